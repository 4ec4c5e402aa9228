package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/engine"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/web/pages"
)

// Parts is what the handlers stand on.
type Parts struct {
	// Issuer is the URL of this server.
	Issuer   string
	Rules    *grants.Rules
	Registry *clients.Registry
	Clients  *clients.Authenticator
	Consents *consents.Consents

	Authorization *authorization.Endpoint
	Introspection *authz.Introspector
	Revocation    *authz.Revoker
	UserInfo      *authz.UserInfo
	EndSession    *authz.EndSession
	FirstParty    *authz.FirstParty
	Connected     *authz.Connected
	StatusEvents  *authz.StatusEvents
	Listeners     listeners.Store

	Engine    *engine.Engine
	Sessions  *sessions.Sessions
	SignIn    *signin.SignIn
	Keys      KeySet
	Watcher   Freshness
	Health    Health
	Lists     *lists.Lists
	Stream    *listeners.Stream
	Listening *listeners.Connections
	Observer  Observer
	Log       *slog.Logger
	Now       func() time.Time
	// Pages are those that people are shown.
	Pages *pages.Pages

	// JWKSMaxAge is for how long a key set may be cached.
	JWKSMaxAge time.Duration
	// RequestTimeout bounds one request, storage included.
	RequestTimeout time.Duration
	// RefreshTTL is for how long a browser keeps a refresh token.
	RefreshTTL time.Duration
	// GrantTTL is how long what a person allowed lasts at most.
	GrantTTL time.Duration
	// MaxBody is the longest request body, in bytes.
	MaxBody int64
	// TrustedProxies may tell the client's address, in ForwardedHeader alone:
	// X-Forwarded-For or Forwarded.
	TrustedProxies  []netip.Prefix
	ForwardedHeader string
	// CORSOrigins are the web origins whose scripts may call the endpoints
	// that are called from browsers; "*" is all of them.
	CORSOrigins []string
}

// New returns the server's handler.
func New(p Parts) (http.Handler, error) {
	issuer, err := url.Parse(p.Issuer)
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
		cookies: cookies, browsers: browsers{cookies, p.Sessions}, screen: screen{p.Pages, cookies.language, base},
		guard: guard, origin: originOf(issuer), base: base,
	}
	s.authorizations = authorizations{p.Authorization, p.Issuer, s.screen, p.MaxBody}
	s.owners = owners{s.browsers, s.screen}
	origins := &origins{list: p.Registry.List}
	s.apps = appPages{origins, p.Issuer}
	rt := router{
		base: base, maxBody: p.MaxBody, limit: p.RequestTimeout, open: newCORS(p.CORSOrigins), apps: s.apps,
		faults: faults{p.Authorization, s.authorizations, s.screen, s.origin, origins}, guard: guard, owners: s.owners,
	}
	handlers := newHandlers(p, s)
	table, err := handlers.table(p.Issuer, p.Rules.APIs.Own())
	if err != nil {
		return nil, err
	}
	return chain(rt.mux(table),
		handlers.statuses.quick(base),
		recorded(p.Log, p.Observer),
		addressed(forwarding{p.TrustedProxies, p.ForwardedHeader}),
		recovered,
		secured(https),
		routed(base),
	), nil
}

// originOf returns the web origin of u as browsers write it: without the port that
// its scheme has anyway.
func originOf(u *url.URL) string {
	standard := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, standard)
}

// options answers OPTIONS; what a script may do is in the header already.
func options(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// chain wraps h so that the first of around sees a request first.
func chain(h http.Handler, around ...func(http.Handler) http.Handler) http.Handler {
	for i := len(around) - 1; i >= 0; i-- {
		h = around[i](h)
	}
	return h
}
