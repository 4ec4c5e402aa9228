package web

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
)

// appPages tells the pages of first-party apps from those of anybody else.
//
// Whom a browser serves is told by Origin, which scripts cannot forge, and which must be
// one that the client is registered for, on this server's own site: the cookie is
// SameSite=Strict, and sent by no other. Because bodies are JSON, another site cannot
// post one without asking first (CORS), and is told no.
type appPages struct {
	origins *origins
	// issuer is the URL of this server.
	issuer string
}

// serves checks that a browser that sends a request does so for a page of the
// client's.
func (a appPages) serves(r *http.Request, c *clients.Client) error {
	origin := r.Header.Get("Origin")
	known := slices.Contains(c.Origins, origin) && clients.SameSite(origin, a.issuer)
	if origin == "" && c.Hold == clients.HoldMemory && r.Header.Get("Sec-Fetch-Site") == "" || known {
		return nil
	}
	return errOrigin
}

var errOrigin = withStatus{protocol.Refuse(protocol.InvalidRequest, "The client is not used from this origin."), http.StatusForbidden}

// known reports whether a request is sent by a page of any client's.
func (a appPages) known(r *http.Request) (bool, error) {
	origin := r.Header.Get("Origin")
	if origin == "" || !clients.SameSite(origin, a.issuer) {
		return false, nil
	}
	return a.origins.has(r.Context(), origin)
}

// cross lets scripts of the clients' origins call what they are meant to, with
// credentials, and no others.
func (a appPages) cross(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		// While it cannot be told, the browser says that the page may not.
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
