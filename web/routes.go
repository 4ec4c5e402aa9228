package web

import (
	"net/http"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/web/pages"
)

// route is one line of the table of routes: what is answered at an address, who may ask,
// and within what bounds. All that the server answers stands in that table, and the
// router, preflights, the addresses in the metadata and docs/endpoints.md are made from it.
type route struct {
	method string
	// path is below the issuer's, unless where says otherwise.
	path  string
	where where
	// sender is whose page may have a browser send the request.
	sender sender
	// body is what the request's body is; no other is read, and none that is too long.
	body body
	// scripts are whose scripts browsers let read the answer (CORS).
	scripts scripts
	// endless is for what does not end, and is not held to the time of a request.
	endless bool
	handler handler
	// announced is where the metadata has the address; nil if it has not.
	announced *string
	// about says what is here, and for whom.
	about string
}

// where is at which addresses a route is, by the issuer's path.
type where string

const (
	belowIssuer where = ""
	// wellKnown: the issuer's path comes after the path of the route (RFC 8414 section 3.1).
	wellKnown where = "before the issuer's path"
	// eitherWay: below the issuer, and as wellKnown. RFC 8414 section 5 wants that for
	// OpenID Connect.
	eitherWay where = "below the issuer, and before its path"
	// rootToo: below the issuer, and at the root of the host. Who probes a server asks it
	// directly, and need not know its issuer.
	rootToo where = "below the issuer, and at the root of the host"
	// rootOnly is at the root of the host, where browsers look for it.
	rootOnly where = "at the root of the host"
)

// sender is whose page may have a browser send a request. It guards against pages of
// other sites that act in the name of whoever is signed in (CSRF).
type sender string

const (
	anyPage sender = ""
	// ownPages of this server alone: what comes from another is refused.
	ownPages sender = "pages of this server"
	// ownForms: what a page of another site sends is sent once more from here, or
	// answered as if nobody was signed in. The handler does so.
	ownForms sender = "any page; a request from another site is sent again from this server's site"
	// appsPages are those at the origins that the client is registered for. The handler
	// asks for that, once it knows the client.
	appsPages sender = "pages of the client's origins"
)

// body is of which type a request's body is.
type body string

const (
	noBody   body = ""
	formBody body = "form"
	jsonBody body = "JSON"
)

// scripts are whose scripts may read an answer in a browser.
type scripts string

const (
	noScripts scripts = ""
	// anyScripts are those of the configured origins, which is all of them unless it is
	// set. Nothing that they may call acts on a cookie, so an origin gains nothing that
	// it could not have from its own server.
	anyScripts scripts = "any"
	// appScripts are those of first-party apps, whose requests have cookies.
	appScripts scripts = "first-party apps"
)

// routes is the table, but for the documents that are made of it. e is the part of the
// metadata that has the addresses.
func (h handlers) routes(e *authz.Endpoints) []route {
	const get, post = http.MethodGet, http.MethodPost
	account := func(m pages.Matter) owned { return h.account.matter(m) }
	return []route{
		{method: get, path: PathAuthorize, handler: page(h.authorize.get), announced: &e.AuthorizationEndpoint, about: "an app sends the browser here to sign the user in"},
		{method: post, path: PathAuthorize, sender: ownForms, body: formBody, handler: page(h.authorize.post), about: "the same, with the parameters in a form"},
		{method: post, path: PathToken, body: formBody, scripts: anyScripts, handler: endpoint(h.oauth.token), announced: &e.TokenEndpoint, about: "an app gets tokens"},
		{method: post, path: pathRevoke, body: formBody, scripts: anyScripts, handler: endpoint(h.oauth.revoke), announced: &e.RevocationEndpoint, about: "an app revokes a token"},
		{method: post, path: pathIntrospect, body: formBody, handler: endpoint(h.oauth.introspect), announced: &e.IntrospectionEndpoint, about: "an API asks whether a token is valid"},
		{method: get, path: pathUserInfo, scripts: anyScripts, handler: endpoint(h.oauth.userInfo), announced: &e.UserInfoEndpoint, about: "an app asks who its user is"},
		{method: post, path: pathUserInfo, body: formBody, scripts: anyScripts, handler: endpoint(h.oauth.userInfo), about: "the same; the token may be in the form"},

		{method: post, path: pathLogin, sender: appsPages, body: jsonBody, scripts: appScripts, handler: endpoint(h.appLogin.post), about: "a first-party app signs its user in"},
		{method: post, path: pathTokenRefresh, sender: appsPages, body: jsonBody, scripts: appScripts, handler: endpoint(h.appRefresh.post), about: "a first-party app gets new tokens"},
		{method: post, path: pathTokenLogout, sender: appsPages, body: jsonBody, scripts: appScripts, handler: endpoint(h.appLogout.post), about: "a first-party app signs its user out"},
		{method: post, path: pathChallenge, sender: appsPages, body: formBody, handler: endpoint(h.challenge.post), announced: &e.ChallengeEndpoint, about: "a first-party app gets a code for a user name and a password"},

		{method: get, path: pathHome, handler: page(h.home.get), about: "the start page"},
		{method: get, path: pathLogin, handler: page(h.login.get), about: "the sign-in page"},
		{method: post, path: pathLogin, sender: ownPages, body: formBody, handler: page(h.login.post), about: "the form of the sign-in page"},
		{method: post, path: pathConsent, sender: ownPages, body: formBody, handler: page(h.consent.post), about: "the form of the consent page"},
		{method: get, path: PathLogout, handler: page(h.logout.get), announced: &e.EndSessionEndpoint, about: "the sign-out page; an app may send the browser here"},
		{method: post, path: PathLogout, sender: ownForms, body: formBody, handler: page(h.logout.post), about: "the form of the sign-out page, or an app's"},
		{method: get, path: pathAccount, handler: owned(h.account.get), about: "the account page"},
		{method: get, path: pathSessions, handler: account(pages.SessionMatter), about: "where the user is signed in"},
		{method: post, path: pathSessions, sender: ownPages, body: formBody, handler: owned(h.accountSessions.post), about: "end login sessions"},
		{method: get, path: pathApps, handler: account(pages.AppMatter), about: "which apps have access"},
		{method: post, path: pathApps, sender: ownPages, body: formBody, handler: owned(h.accountApps.post), about: "remove an app's access"},
		{method: get, path: pathPassword, handler: account(pages.PasswordMatter), about: "the page to change the password"},
		{method: post, path: pathPassword, sender: ownPages, body: formBody, handler: owned(h.accountPassword.post), about: "change the password"},
		{method: get, path: pathLanguage, handler: page(h.language.get), about: "choose the language of the pages"},
		{method: get, path: pages.AssetPath, handler: page(h.assets.get), about: "style, scripts and images of pages"},
		{method: get, path: pathIcon, where: rootOnly, handler: page(h.assets.icon), about: "the icon, for answers that are not pages"},

		{method: get, path: PathJWKS, scripts: anyScripts, handler: endpoint(h.jwks.get), announced: &e.JWKSURI, about: "the keys by which tokens are checked"},
		{method: get, path: PathStatusLists, scripts: anyScripts, handler: endpoint(h.statuses.aggregate), announced: &e.StatusLists, about: "the addresses of all status lists"},
		{method: get, path: pathStatusList, scripts: anyScripts, handler: endpoint(h.statuses.list), about: "a status list, which says which tokens were revoked"},
		{method: get, path: pathStatusEvents, endless: true, handler: endpoint(h.statuses.events), announced: &e.StatusEvents, about: "the status stream, from which an API learns what is revoked"},
		{method: post, path: pathStatusAck, body: formBody, handler: endpoint(h.statuses.acknowledge), announced: &e.StatusAck, about: "an API acknowledges what it has applied"},

		{method: get, path: pathLive, where: rootToo, handler: endpoint(live), about: "whether the process serves HTTP"},
		{method: get, path: pathReady, where: rootToo, handler: endpoint(h.ready.get), about: "whether to send traffic here"},
	}
}

// documents are the routes of what is made of the table: the metadata.
func documents(discovery document) []route {
	return []route{
		{method: http.MethodGet, path: pathOpenID, where: eitherWay, scripts: anyScripts, handler: endpoint(discovery.get), about: "the metadata of the server (OpenID Connect)"},
		{method: http.MethodGet, path: pathOAuth, where: wellKnown, scripts: anyScripts, handler: endpoint(discovery.get), about: "the metadata of the server (OAuth)"},
	}
}
