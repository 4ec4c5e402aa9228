package web

import "net/http"

// guard refuses requests that a page of another site sends in the name of the user who
// is signed in (CSRF).
type guard struct{ *http.CrossOriginProtection }

// newGuard trusts pages of the server's own origin. This matters for browsers without
// Sec-Fetch-Site, which are judged by their Origin header: behind a proxy that changes
// Host, it differs from Host.
func newGuard(origin string) (guard, error) {
	g := guard{http.NewCrossOriginProtection()}
	return g, g.AddTrustedOrigin(origin)
}

// ours wraps a page or endpoint to which only pages of this server may send requests.
func (g guard) ours(h page) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := g.Check(r); err != nil {
			return errForeign(err)
		}
		return h(w, r)
	}
}
