package web

import "github.com/ingam/ingam/web/admin"

// The paths, below the issuer, that other packages need too.
const (
	PathAuthorize = "/oauth2/authorize"
	PathToken     = "/oauth2/token"
	PathLogout    = "/logout"
	PathLink      = "/password"
	PathJWKS      = "/.well-known/jwks.json"

	PathStatusLists = "/oauth2/status"
)

// The other paths of endpoints and pages, below the issuer.
const (
	pathChallenge  = "/oauth2/authorize-challenge"
	pathUserInfo   = "/userinfo"
	pathLogin      = "/login"
	pathConsent    = "/consent"
	pathAccount    = "/account"
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"

	// For first-party clients.
	pathTokenRefresh = "/token/refresh"
	pathTokenLogout  = "/token/logout"

	pathStatusList   = PathStatusLists + "/{list}"
	pathStatusEvents = PathStatusLists + "/events"
	pathStatusAck    = pathStatusEvents + "/ack"

	pathOpenID = "/.well-known/openid-configuration"
	pathOAuth  = "/.well-known/oauth-authorization-server"
	pathLive   = "/health/live"
	pathReady  = "/health/ready"

	pathAdministration = admin.Path + "/{operation...}"
	pathAuditExport    = admin.Path + admin.ExportPath

	pathHome     = "/{$}"
	pathLanguage = "/language"
	pathIcon     = "/favicon.ico"
	pathSessions = pathAccount + "/sessions"
	pathApps     = pathAccount + "/apps"
	pathPassword = pathAccount + "/password"
	pathNew      = pathLogin + "/password"
)
