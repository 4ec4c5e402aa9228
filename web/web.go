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
	"github.com/ingam/ingam/authz/engine"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/web/pages"
)

// Parts is what the handlers stand on.
type Parts struct {
	Authority *authz.Authority
	Engine    *engine.Engine
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
	oauth := oauth{p.Authority, p.Engine, forms}
	// A page of another site may not act in the name of whoever is signed in.
	// (The authorization endpoint only shows and redirects; to it and to the
	// logout endpoint clients may post.)
	origin := originOf(issuer)
	guard, err := newGuard(origin)
	if err != nil {
		return nil, err
	}
	cookies := newCookies(at, issuer.Scheme == "https")
	browsers := browsers{cookies, p.Sessions}
	screen := screen{p.Pages, cookies.language, at}
	authorizations := authorizations{p.Authority, screen, p.MaxBody}
	wording := wording{p.Authority.Rules.APIs, p.GrantTTL}
	origins := &origins{list: p.Authority.Directory.List}
	faults := faults{p.Authority, authorizations, screen, origin, origins}
	assets := assets{p.Pages, at}
	consent := consentPage{p.Authority, authorizations, browsers, screen, forms, wording}
	authorize := authorizePage{p.Authority, authorizations, browsers, screen, forms, guard, consent}
	login := loginPage{p.Authority, authorizations, browsers, screen, forms, p.SignIn}
	logout := logoutPage{p.Authority, browsers, screen, forms, guard}
	owners := owners{browsers, screen, forms}
	account := accountPage{p.Authority, p.Sessions, screen, wording, origin}
	accountSessions := accountSessions{account, p.Sessions}
	accountApps := accountApps{account, p.Authority.Consents}
	accountPassword := accountPassword{account, browsers, screen, p.SignIn}
	apps := appPages{origins, clients.SiteOf(p.Authority.Issuer.URL())}
	refreshCookies := refreshCookies{at, p.RefreshTTL}
	holders := holders{p.Authority, forms, apps}
	appSignIn := appSignIn{p.SignIn, p.Sessions, cookies}
	appLogin := appLogin{p.Authority, forms, apps, appSignIn, cookies, refreshCookies}
	appRefresh := appRefresh{p.Authority, holders, p.Sessions, cookies, refreshCookies, at}
	appLogout := appLogout{p.Authority, holders, p.Sessions, refreshCookies}
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

	show := func(path string, h page) { mux.Handle("GET "+at+path, faults.page(h)) }
	act := func(path string, h page) { mux.Handle("POST "+at+path, faults.page(guard.ours(h))) }
	show("/{$}", homePage{screen}.get)
	mux.Handle(everything, faults.page(nothing(mux)))
	show(PathAuthorize, authorize.get)
	mux.Handle("POST "+at+PathAuthorize, faults.page(authorize.post))
	show(pathLogin, login.get)
	// Apps of whoever runs the server sign people in here, with JSON; a form never
	// gets tokens.
	signIn, form := apps.cross(endpoint(appLogin.post)), faults.page(guard.ours(login.post))
	mux.HandleFunc("POST "+at+pathLogin, func(w http.ResponseWriter, r *http.Request) {
		if isJSON(r) {
			signIn.ServeHTTP(w, r)
			return
		}
		form.ServeHTTP(w, r)
	})
	route(http.MethodPost, at+pathChallenge, challenge{p.Authority, forms, apps, appSignIn}.post)
	for path, h := range map[string]endpoint{pathLogin: nil, pathTokenRefresh: appRefresh.post, pathTokenLogout: appLogout.post} {
		if h != nil {
			mux.Handle("POST "+at+path, apps.cross(h))
		}
		mux.Handle("OPTIONS "+at+path, apps.cross(http.HandlerFunc(options)))
	}
	act(pathConsent, consent.post)
	show(PathLogout, logout.get)
	mux.Handle("POST "+at+PathLogout, faults.page(logout.post))
	show(pathAccount, owners.only(account.get))
	show(pathSessions, owners.only(account.matter(pages.SessionMatter)))
	act(pathSessions, owners.only(accountSessions.post))
	show(pathApps, owners.only(account.matter(pages.AppMatter)))
	act(pathApps, owners.only(accountApps.post))
	show(pathPassword, owners.only(account.matter(pages.PasswordMatter)))
	act(pathPassword, owners.only(accountPassword.post))

	show(pathLanguage, languagePage{screen, cookies}.get)
	show(pages.AssetPath, assets.get)
	// Beside what is no page browsers look for it here.
	mux.Handle("GET /favicon.ico", faults.page(assets.icon))

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
