package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/protocol"
)

// admit lets a request on to an operation if its caller has the scope. It comes before
// anything else of the request is read, so that nobody learns from errors what a body may
// hold, or which records there are.
func (s surface) admit(scope string) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		caller, known := administration.From(ctx.Context())
		if !known {
			var p *Problem
			if caller, p = s.bearer(ctx); p != nil {
				s.refuse(ctx, p)
				return
			}
			ctx = huma.WithContext(ctx, administration.With(ctx.Context(), caller))
		}
		if !caller.May(scope) {
			p := newKind(http.StatusForbidden, "forbidden", "this needs the scope "+scope)
			p.headers = http.Header{"Www-Authenticate": {fmt.Sprintf(`Bearer realm="ingam", error="%s", scope="%s"`, protocol.InsufficientScope, scope)}}
			s.refuse(ctx, p)
			return
		}
		next(ctx)
	}
}

// again says why the caller of an answer that takes long may not have the rest of it; nil if
// they may.
func (s surface) again(ctx huma.Context, scope string) *Problem {
	r, _ := humago.Unwrap(ctx)
	if _, inside := administration.From(r.Context()); inside {
		return nil
	}
	caller, p := s.bearer(ctx)
	if p == nil && !caller.May(scope) {
		p = newKind(http.StatusForbidden, "forbidden", "this needs the scope "+scope)
	}
	return p
}

// nothing answers a request for which there is no operation. Who has no token is not told
// so: which operations there are is told by the document.
func (s surface) nothing(w http.ResponseWriter, r *http.Request) {
	ctx := humago.NewContext(&huma.Operation{}, r, w)
	if _, known := administration.From(r.Context()); !known {
		if _, p := s.bearer(ctx); p != nil {
			s.refuse(ctx, p)
			return
		}
	}
	s.refuse(ctx, newKind(http.StatusNotFound, "no-operation", "there is no such operation: see "+s.parts.Issuer+Path+"/openapi.json"))
}

// bearer returns who calls by the access token of a request (RFC 6750 section 2.1).
func (s surface) bearer(ctx huma.Context) (administration.Caller, *Problem) {
	unauthorized := func(challenge, detail string) *Problem {
		p := newKind(http.StatusUnauthorized, "unauthorized", detail)
		p.headers = http.Header{"Www-Authenticate": {`Bearer realm="ingam"` + challenge}}
		return p
	}
	var given []string
	ctx.EachHeader(func(name, value string) {
		if http.CanonicalHeaderKey(name) == "Authorization" {
			given = append(given, value)
		}
	})
	if len(given) == 0 {
		return administration.Caller{}, unauthorized("", "this needs an access token for "+s.parts.Issuer+Path)
	}
	kind, token, _ := strings.Cut(given[0], " ")
	if len(given) > 1 || !strings.EqualFold(kind, "Bearer") || s.parts.Bearer == nil {
		return administration.Caller{}, unauthorized(`, error="invalid_request"`, "send one Authorization header, with a Bearer token")
	}
	caller, err := s.parts.Bearer(ctx.Context(), strings.TrimSpace(token))
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.RetryAfter > 0 && refused.Code == protocol.InvalidToken {
		p := newKind(http.StatusTooManyRequests, "too-many", refused.Description)
		p.headers = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(refused.RetryAfter.Seconds())))}}
		return administration.Caller{}, p
	}
	if errors.As(err, &refused) && refused.Code == protocol.InvalidToken {
		return administration.Caller{}, unauthorized(fmt.Sprintf(`, error="%s"`, refused.Code), refused.Description)
	}
	if err != nil {
		return administration.Caller{}, s.told(ctx.Context(), err)
	}
	return caller, nil
}

// refuse answers a request with a problem before it came to its operation.
func (s surface) refuse(ctx huma.Context, p *Problem) {
	for name, values := range p.headers {
		ctx.SetHeader(name, values[0])
	}
	ctx.SetHeader("Content-Type", p.ContentType(""))
	ctx.SetStatus(p.Status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(p) // who has gone needs no answer
}
