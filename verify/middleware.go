package verify

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

type contextKey struct{}

// FromContext returns the access token of a request that Require has let through.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(contextKey{}).(*Token)
	return t, ok
}

// Require returns middleware that lets a request through if its Authorization header
// has a good token with all of those scopes. It answers other requests itself, as RFC
// 6750 section 3 says: by 400, 401 or 403; and by 503 when it cannot check tokens now.
func (v *Verifier) Require(scopes ...string) func(http.Handler) http.Handler {
	scope := strings.Join(scopes, " ")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, err := bearer(r)
			if err != nil {
				v.counts.refused[byRequest].Add(1)
				v.refuse(w, err, scope)
				return
			}
			t, err := v.Verify(r.Context(), token)
			if err == nil {
				if err = t.Need(scopes...); err != nil {
					v.counts.refuse(err)
				}
			}
			if err != nil {
				v.refuse(w, err, scope)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, t)))
		})
	}
}

// errNoToken: the request has no access token. errRequest: it has one, but sends it in
// a way that is not accepted.
var (
	errNoToken = errors.New("no access token")
	errRequest = errors.New("the request is not one with an access token")
)

// bearer returns the token of a request (RFC 6750 section 2.1).
func bearer(r *http.Request) (string, error) {
	if r.URL.RawQuery != "" {
		// A token in an address ends up in logs, in the browser's history, and by
		// Referer at the next site. It is refused even where there is a header, too,
		// so that the sender notices.
		query, err := url.ParseQuery(r.URL.RawQuery)
		if _, there := query["access_token"]; there || err != nil && strings.Contains(r.URL.RawQuery, "access_token") {
			return "", errRequest
		}
	}
	headers := r.Header["Authorization"]
	switch len(headers) {
	case 0:
		return "", errNoToken
	case 1:
	default:
		// A proxy in front of this API may have checked the other header.
		return "", errRequest
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errNoToken
	}
	token = strings.Trim(token, " ")
	if token == "" || strings.ContainsAny(token, " ,\t\"") {
		return "", errRequest
	}
	return token, nil
}

// refuse answers a request that is not let through. The answer repeats nothing that was
// sent.
func (v *Verifier) refuse(w http.ResponseWriter, err error, scope string) {
	status, code, text := http.StatusUnauthorized, "invalid_token", ""
	switch {
	case errors.Is(err, errNoToken):
		// A request without a token gets a challenge without an error code (section 3.1).
		code, text = "", "This needs an access token."
	case errors.Is(err, errRequest):
		status, code = http.StatusBadRequest, "invalid_request"
		text = "The access token must be sent once, in the Authorization header."
	case errors.Is(err, ErrExpired):
		text = "The access token has expired."
	case errors.Is(err, ErrRevoked):
		text = "The access token was revoked."
	case errors.Is(err, ErrInvalid):
		text = "The access token is not valid here."
		var r *refusal
		if errors.As(err, &r) {
			text = "The access token is not valid here: " + r.why + "."
		}
	case errors.Is(err, ErrInsufficientScope):
		status, code, text = http.StatusForbidden, "insufficient_scope", "The access token lacks a scope."
	default:
		// Which server cannot be reached is told by State and the log alone.
		status, code, text = http.StatusServiceUnavailable, "temporarily_unavailable", "Access tokens cannot be checked now."
	}
	h := w.Header()
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	} else {
		challenge := "Bearer realm=" + quoted(v.cfg.Audience)
		if code != "" {
			challenge += ", error=" + quoted(code) + ", error_description=" + quoted(text)
		}
		if scope != "" && status != http.StatusBadRequest {
			challenge += ", scope=" + quoted(scope)
		}
		if v.cfg.Resource.ID != "" {
			challenge += ", resource_metadata=" + quoted(v.cfg.Resource.metadataURL())
		}
		h.Set("WWW-Authenticate", challenge)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(struct {
		Error       string `json:"error,omitempty"`
		Description string `json:"error_description"`
	}{code, text})
}

// quoted writes a quoted-string (RFC 9110 section 5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "").Replace(s) + `"`
}
