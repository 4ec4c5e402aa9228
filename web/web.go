package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/rs/cors"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/web/pages"
)

// Parts is what the handlers stand on.
type Parts struct {
	Authority *authz.Authority
	Sessions  *accounts.Sessions
	SignIn    *accounts.SignIn
	Keys      KeySet
	Watcher   Freshness
	Health    Health
	Lists     *status.Lists
	Listening *Listening
	Observer  Observer
	Log       *slog.Logger
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
	issuer, err := url.Parse(p.Authority.Issuer.URL())
	if err != nil {
		return nil, err
	}
	at := strings.TrimSuffix(issuer.EscapedPath(), "/")
	metadata, err := json.Marshal(authz.NewMetadata(p.Authority.Issuer.URL(), endpointsOf(p.Authority.Issuer.URL()), p.Authority.Rules.APIs.Own()))
	if err != nil {
		return nil, err
	}
	forms := forms{maxBody: p.MaxBody}
	oauth := oauth{p.Authority, forms}
	// A page of another site may not act in the name of whoever is signed in.
	// (The authorization endpoint only shows and redirects; to it and to the
	// logout endpoint clients may post.)
	guard := http.NewCrossOriginProtection()
	// Browsers without Sec-Fetch-Site are told by their Origin, which is not the Host
	// where a proxy puts another there.
	origin := originOf(issuer)
	if err := guard.AddTrustedOrigin(origin); err != nil {
		return nil, err
	}
	apps := &origins{list: p.Authority.Directory.List}
	people := people{p.Authority, p.Sessions, p.SignIn, forms, newCookies(at, issuer.Scheme == "https"), guard, origin, at, p.Pages, apps, p.GrantTTL}
	discovery := document{metadata, "application/json"}

	mux := http.NewServeMux()
	// Scripts of any origin may call these: nothing here acts on a cookie, so
	// an origin gains nothing that it could not have from its own server.
	open := cors.New(cors.Options{
		AllowedOrigins: p.CORSOrigins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		// Whatever a library adds of its own, as tracing does: a header that means
		// nothing here is no reason to turn a script away.
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{"Retry-After", "WWW-Authenticate", headerRequestID},
		MaxAge:         600,
	})
	route := func(method, path string, h endpoint) { mux.Handle(method+" "+path, h) }
	preflighted := map[string]bool{}
	routeOpen := func(method, path string, h endpoint) {
		if len(p.CORSOrigins) == 0 { // which the library takes for all
			route(method, path, h)
			return
		}
		mux.Handle(method+" "+path, open.Handler(h))
		if preflighted[path] {
			return
		}
		preflighted[path] = true
		// Not h: an OPTIONS that is no preflight must do nothing.
		mux.Handle(http.MethodOptions+" "+path, open.Handler(http.HandlerFunc(options)))
	}
	routeOpen(http.MethodPost, at+PathToken, oauth.token)
	routeOpen(http.MethodPost, at+pathRevoke, oauth.revoke)
	route(http.MethodPost, at+pathIntrospect, oauth.introspect)
	routeOpen(http.MethodGet, at+pathUserInfo, oauth.userInfo)
	routeOpen(http.MethodPost, at+pathUserInfo, oauth.userInfo)

	show := func(path string, h page) { mux.Handle("GET "+at+path, people.page(h)) }
	act := func(path string, h page) { mux.Handle("POST "+at+path, people.page(people.ours(h))) }
	show("/{$}", people.home)
	mux.Handle(everything, people.page(nothing(mux)))
	show(PathAuthorize, people.authorizeByGet)
	mux.Handle("POST "+at+PathAuthorize, people.page(people.authorizeByPost))
	show(pathLogin, people.loginPage)
	// Apps of whoever runs the server sign people in here, with JSON; a form never
	// gets tokens.
	first := firstParty{people, p.MaxBody, apps, clients.SiteOf(p.Authority.Issuer.URL()), p.RefreshTTL}
	signIn, form := first.cross(endpoint(first.login)), people.page(people.ours(people.login))
	mux.HandleFunc("POST "+at+pathLogin, func(w http.ResponseWriter, r *http.Request) {
		if isJSON(r) {
			signIn.ServeHTTP(w, r)
			return
		}
		form.ServeHTTP(w, r)
	})
	route(http.MethodPost, at+pathChallenge, first.challenge)
	for path, h := range map[string]endpoint{pathLogin: nil, pathTokenRefresh: first.refresh, pathTokenLogout: first.logout} {
		if h != nil {
			mux.Handle("POST "+at+path, first.cross(h))
		}
		mux.Handle("OPTIONS "+at+path, first.cross(http.HandlerFunc(options)))
	}
	act(pathConsent, people.consent)
	show(PathLogout, people.logoutPage)
	mux.Handle("POST "+at+PathLogout, people.page(people.logout))
	show(pathAccount, people.owner(people.account))
	show(pathSessions, people.matter(pages.SessionMatter))
	act(pathSessions, people.owner(people.endOther))
	show(pathApps, people.matter(pages.AppMatter))
	act(pathApps, people.owner(people.disconnect))
	show(pathPassword, people.matter(pages.PasswordMatter))
	act(pathPassword, people.owner(people.changePassword))

	show(pathLanguage, people.language)
	show(pages.AssetPath, people.asset)
	// Beside what is no page browsers look for it here.
	mux.Handle("GET /favicon.ico", people.page(people.icon))

	routeOpen(http.MethodGet, at+PathJWKS, jwks{p.Keys, p.Watcher, p.JWKSMaxAge}.get)
	routeOpen(http.MethodGet, at+pathOpenID, discovery.get)
	// RFC 8414 section 3.1 puts the well-known part before the issuer's path.
	routeOpen(http.MethodGet, "/.well-known/oauth-authorization-server"+at, discovery.get)
	statuses := statuses{p.Authority, p.Lists, p.Listening, p.Observer, forms, p.RequestTimeout}
	routeOpen(http.MethodGet, at+pathStatusLists, statuses.aggregate)
	routeOpen(http.MethodGet, at+pathStatusList, statuses.list)
	route(http.MethodGet, at+pathStatusEvents, statuses.events)
	route(http.MethodPost, at+pathStatusAck, statuses.acknowledge)
	route(http.MethodGet, at+pathLive, live)
	route(http.MethodGet, at+pathReady, ready{p.Health, p.Watcher, p.Lists}.get)
	if at != "" {
		// Section 5 wants that for OpenID Connect as well.
		routeOpen(http.MethodGet, pathOpenID+at, discovery.get)
		// Who probes a server asks it directly, and need not know its issuer.
		route(http.MethodGet, pathLive, live)
		route(http.MethodGet, pathReady, ready{p.Health, p.Watcher, p.Lists}.get)
	}

	return chain(mux,
		statuses.quick(at),
		recorded(p.Log, p.Observer),
		addressed(forwarding{p.TrustedProxies, p.ForwardedHeader}),
		recovered,
		secured(issuer.Scheme == "https"),
		timed(p.RequestTimeout, at),
		routed(at),
	), nil
}

const (
	pathOpenID = "/.well-known/openid-configuration"
	pathLive   = "/health/live"
	pathReady  = "/health/ready"
)

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
