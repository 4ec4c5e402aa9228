package web

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
)

// appPages decides whether a browser sends a request for a page of a first-party app.
//
// The Origin header says which page a browser sends a request for; scripts cannot forge
// it. It must be an origin that the client is registered for, on the same site as this
// server, because the refresh cookie is SameSite=Strict and no other site makes the
// browser send it. Bodies are JSON, so a page of another site would first have to ask
// by a CORS preflight, and is refused.
type appPages struct {
	origins *origins
	// issuer is the URL of this server.
	issuer string
}

// serves checks that a request, if a browser sent it, was sent for a page of the
// client.
func (a appPages) serves(r *http.Request, c *clients.Client) error {
	origin := r.Header.Get("Origin")
	known := slices.Contains(c.Origins, origin) && clients.SameSite(origin, a.issuer)
	if origin == "" && c.Hold == clients.HoldMemory && r.Header.Get("Sec-Fetch-Site") == "" || known {
		return nil
	}
	return errOrigin
}

var errOrigin = withStatus{protocol.Refuse(protocol.InvalidRequest, "The client is not used from this origin."), http.StatusForbidden}

// known reports whether a request was sent for a page of any first-party client.
func (a appPages) known(r *http.Request) (bool, error) {
	origin := r.Header.Get("Origin")
	if origin == "" || !clients.SameSite(origin, a.issuer) {
		return false, nil
	}
	return a.origins.has(r.Context(), origin)
}

// cross lets scripts of the clients' origins, and no others, call the endpoints for
// first-party apps with credentials.
func (a appPages) cross(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		// If the origin cannot be looked up, the browser is told nothing, and blocks
		// the page.
		if known, err := a.known(r); err == nil && known {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Expose-Headers", "Retry-After, "+headerRequestID)
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", http.MethodPost)
				h.Set("Access-Control-Allow-Headers", "Content-Type")
				h.Set("Access-Control-Max-Age", strconv.Itoa(600))
			}
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
