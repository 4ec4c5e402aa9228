package web

import (
	"net/http"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/web/pages"
)

// route is one line of the table of routes: what a path serves, who may call it, and
// with which limits. The table has everything that the server answers. The router, CORS
// preflights, the addresses in the metadata and docs/endpoints.md are made from it.
type route struct {
	method string
	// path is below the issuer's path, unless where says otherwise.
	path  string
	where where
	// sender says whose pages may make a browser send the request.
	sender sender
	// body is the type of body that is read; no other type is, and no longer body than
	// allowed.
	body body
	// scripts says whose scripts may read the answer in a browser (CORS).
	scripts scripts
	// endless is set for an answer that does not end; it has no time limit, and no HEAD.
	endless bool
	handler handler
	// announced is the field of the metadata that gets the address; nil if there is
	// none.
	announced *string
	// about says what the route is for, and who calls it; it is part of the
	// documentation.
	about string
}

// where says at which paths a route is, in relation to the issuer's path.
type where string

const (
	belowIssuer where = ""
	// wellKnown means that the issuer's path comes after the route's path (RFC 8414
	// section 3.1).
	wellKnown where = "before the issuer's path"
	// eitherWay means below the issuer, and also as wellKnown. RFC 8414 section 5 asks
	// for both for OpenID Connect.
	eitherWay where = "below the issuer, and before its path"
	// rootToo means below the issuer, and also at the root of the host, for probes that
	// call the server directly and need not know its issuer.
	rootToo where = "below the issuer, and at the root of the host"
	// rootOnly means at the root of the host, where browsers look for it.
	rootOnly where = "at the root of the host"
)

// sender says whose pages may make a browser send a request. It guards against pages of
// other sites that act in the name of the user who is signed in (CSRF).
type sender string

const (
	anyPage sender = ""
	// ownPages admits pages of this server only, and refuses others.
	ownPages sender = "pages of this server"
	// ownForms admits pages of other sites, but the handler makes the browser send
	// their request again from this server, or answers it as if nobody was signed in.
	ownForms sender = "any page; a request from another site is sent again from this server's site"
	// holdersPages admits any page: the handler acts on a link that the form carries, and
	// on no cookie. (A page whose address has a secret sends no Referer, and browsers then
	// say of its form that it comes from nowhere.)
	holdersPages sender = "any page; the link in the form counts"
	// appsPages admits pages at the origins that the client is registered for. The
	// handler checks this once it knows the client.
	appsPages sender = "pages of the client's origins"
)

// body is the type of a request's body.
type body string

const (
	noBody   body = ""
	formBody body = "form"
	jsonBody body = "JSON"
	// operationBody is read by the operation of the admin API that gets the request.
	operationBody body = "JSON, as its document says"
)

// scripts says whose scripts may read an answer in a browser.
type scripts string

const (
	noScripts scripts = ""
	// anyScripts admits scripts of the configured origins; by default, of all. Nothing
	// that they may call uses a cookie, so a script gains nothing that its own server
	// could not get without a browser.
	anyScripts scripts = "any"
	// appScripts admits scripts of first-party apps, whose requests carry cookies.
	appScripts scripts = "first-party apps"
)

// routes returns the table, without the documents that are made from it. e is the part
// of the metadata that contains the addresses.
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
		{method: post, path: pathNew, sender: ownPages, body: formBody, handler: page(h.newPassword.post), about: "the form for a new password, where the former one must be changed"},
		{method: get, path: PathLink, handler: page(h.link.get), about: "the page to set a password by a link"},
		{method: post, path: PathLink, sender: holdersPages, body: formBody, handler: page(h.link.post), about: "set a password by a link"},
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

		{method: get, path: pathAuditExport, endless: true, handler: h.administration, about: "the audit log, one JSON object in each line (`application/x-ndjson`); of the admin API"},
		{method: get, path: pathAdministration, handler: h.administration, about: "the admin API; its document is at /admin/v1/openapi.json"},
		{method: post, path: pathAdministration, body: operationBody, handler: h.administration, about: "the admin API"},
		{method: http.MethodPut, path: pathAdministration, body: operationBody, handler: h.administration, about: "the admin API"},
		{method: http.MethodPatch, path: pathAdministration, body: operationBody, handler: h.administration, about: "the admin API"},
		{method: http.MethodDelete, path: pathAdministration, handler: h.administration, about: "the admin API"},

		{method: get, path: pathLive, where: rootToo, handler: endpoint(live), about: "whether the process serves HTTP"},
		{method: get, path: pathReady, where: rootToo, handler: endpoint(h.ready.get), about: "whether to send traffic here"},
	}
}

// documents returns the routes of the metadata, which is made from the other routes.
func documents(discovery document) []route {
	return []route{
		{method: http.MethodGet, path: pathOpenID, where: eitherWay, scripts: anyScripts, handler: endpoint(discovery.get), about: "the metadata of the server (OpenID Connect)"},
		{method: http.MethodGet, path: pathOAuth, where: wellKnown, scripts: anyScripts, handler: endpoint(discovery.get), about: "the metadata of the server (OAuth)"},
	}
}
