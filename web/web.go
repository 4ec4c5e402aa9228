package web

import (
	"net/http"
	"net/url"
	"strings"
)

// New returns the server's handler.
func New(p Parts) (http.Handler, error) {
	set := p.Settings
	issuer, err := url.Parse(set.Issuer)
	if err != nil {
		return nil, err
	}
	base, https := strings.TrimSuffix(issuer.EscapedPath(), "/"), issuer.Scheme == "https"
	guard, err := newGuard(originOf(issuer))
	if err != nil {
		return nil, err
	}
	cookies := newCookies(base, https)
	s := shared{
		cookies: cookies, browsers: browsers{cookies, p.People.Sessions}, screen: screen{p.People.Pages, cookies.language, base},
		guard: guard, origin: originOf(issuer), base: base,
	}
	s.authorizations = authorizations{p.Endpoints.Authorization, set.Issuer, s.screen, set.MaxBody}
	s.owners = owners{s.browsers, s.screen}
	origins := &origins{list: p.Clients.Registry.List}
	s.apps = appPages{origins, set.Issuer}
	rt := router{
		base: base, maxBody: set.MaxBody, limit: set.RequestTimeout, open: newCORS(set.CORSOrigins), apps: s.apps,
		faults: faults{p.Endpoints.Authorization, s.authorizations, s.screen, s.origin, origins}, guard: guard, owners: s.owners,
	}
	handlers := newHandlers(p, s)
	table, err := handlers.table(set.Issuer, p.Clients.Rules.APIs.Own())
	if err != nil {
		return nil, err
	}
	protection := protection(https)
	return chain(rt.mux(table),
		handlers.statuses.quick(base, protection),
		recorded(p.Process.Log, p.Process.Observer),
		addressed(forwarding{set.TrustedProxies, set.ForwardedHeader}),
		recovered,
		secured(protection),
		unmoved(base),
		routed(base),
	), nil
}

// originOf returns the web origin of u as browsers write it, without the scheme's
// default port.
func originOf(u *url.URL) string {
	standard := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, standard)
}

// options answers OPTIONS requests; earlier middleware has set the CORS headers.
func options(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// chain wraps h; the first of around sees a request first.
func chain(h http.Handler, around ...func(http.Handler) http.Handler) http.Handler {
	for i := len(around) - 1; i >= 0; i-- {
		h = around[i](h)
	}
	return h
}
