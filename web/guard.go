package web

import "net/http"

// guard refuses what a page of another site sends in the name of whoever is signed in.
type guard struct{ *http.CrossOriginProtection }

// newGuard trusts pages of the server's own origin: browsers without Sec-Fetch-Site
// are told by their Origin, which is not the Host where a proxy puts another there.
func newGuard(origin string) (guard, error) {
	g := guard{http.NewCrossOriginProtection()}
	return g, g.AddTrustedOrigin(origin)
}

// ours wraps what only the pages of this server may send: a page of another site
// must not act in the name of whoever is signed in.
func (g guard) ours(h page) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := g.Check(r); err != nil {
			return errForeign(err)
		}
		return h(w, r)
	}
}
