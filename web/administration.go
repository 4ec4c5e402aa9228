package web

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/web/admin"
)

// administrators admits whoever calls the admin API, and notes it for the log.
type administrators struct {
	Parts
}

// handler returns the admin API for requests below base.
func (a administrators) handler(base string) endpoint {
	parts := a.Administration
	parts.Issuer, parts.Bearer, parts.Failed, parts.Now = a.Settings.Issuer, a.caller, failed, a.Process.Now
	parts.LinkOf = func(token string) string { return LinkOf(parts.Issuer, token) }
	api := admin.New(parts, base)
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		api.ServeHTTP(w, r)
		return nil
	}
}

// unmoved has requests for the admin API that have dots or nothing as a part of their path
// answered there, as others for which there is no operation. Otherwise the mux would send
// them on to another path; and who follows would do to another record what was meant for one
// whose id is odd.
func unmoved(base string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if below, is := strings.CutPrefix(r.URL.EscapedPath(), base+admin.Path+"/"); is && path.Clean("/"+below) != "/"+strings.TrimSuffix(below, "/") {
				r = r.Clone(r.Context())
				r.URL.Path, r.URL.RawPath = base+admin.Path+"/", ""
			}
			next.ServeHTTP(w, r)
		})
	}
}

// caller returns who calls by an access token. Tokens that are not good are counted by
// where they come from, as failed clients are.
func (a administrators) caller(ctx context.Context, token string) (administration.Caller, error) {
	rec := ctx.Value(recordKey{}).(*record)
	ctx, cancel := context.WithTimeout(ctx, a.Settings.RequestTimeout) // some routes have no limit
	defer cancel()
	caller, client, err := a.Administrators.Caller(ctx, token)
	rec.clientID = client
	rec.userID, _ = caller.Actor.User()
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.InvalidToken {
		rec.err, rec.errorCode = err, string(refused.Code)
		if wait := a.Clients.Authenticator.Failed(fromAddress(rec.address)); wait > 0 {
			rec.throttled = throttledClients
			late := protocol.Refuse(protocol.InvalidToken, "Too many bad access tokens from this address.")
			late.RetryAfter, late.Cause = wait, errors.Join(clients.ErrThrottled, err)
			return caller, late
		}
	}
	return caller, err
}

// failed notes the cause of a fault for the log.
func failed(ctx context.Context, err error) {
	rec := ctx.Value(recordKey{}).(*record)
	rec.err, rec.errorCode = err, string(protocol.From(err).Code)
}
