package web

import (
	"log/slog"
	"net/netip"
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
	"github.com/ingam/ingam/web/admin"
	"github.com/ingam/ingam/web/pages"
)

// Parts is everything that the handlers use. New gives each handler only what it uses.
type Parts struct {
	Settings  Settings
	Clients   Clients
	Endpoints Endpoints
	People    People
	Statuses  Statuses
	Process   Process
	// Administration is the admin API, and Administrators are who may call it.
	Administration admin.Parts
	Administrators *authz.Administrators
}

// Settings are the settings for HTTP.
type Settings struct {
	// Issuer is the URL of this server.
	Issuer string
	// RequestTimeout limits the time of one request, database calls included.
	RequestTimeout time.Duration
	// MaxBody is the longest request body, in bytes.
	MaxBody int64
	// TrustedProxies are the proxies that may name the client's address, only in
	// ForwardedHeader: X-Forwarded-For or Forwarded.
	TrustedProxies  []netip.Prefix
	ForwardedHeader string
	// CORSOrigins are the web origins whose scripts may call the endpoints for
	// browsers; "*" means all.
	CORSOrigins []string
	// JWKSMaxAge is how long caches may keep the key set.
	JWKSMaxAge time.Duration
	// RefreshTTL is how long a browser keeps a refresh token.
	RefreshTTL time.Duration
	// GrantTTL is the longest life of a grant; pages name it.
	GrantTTL time.Duration
}

// Clients is what concerns clients: who they are, how they authenticate, and what they
// may request.
type Clients struct {
	Registry      *clients.Registry
	Authenticator *clients.Authenticator
	Rules         *grants.Rules
}

// Endpoints are the endpoints of OAuth and OpenID Connect, without HTTP.
type Endpoints struct {
	Authorization *authorization.Endpoint
	Token         *engine.Engine
	Introspection *authz.Introspector
	Revocation    *authz.Revoker
	UserInfo      *authz.UserInfo
	EndSession    *authz.EndSession
	FirstParty    *authz.FirstParty
}

// People is what the pages use, where people sign in, see their login sessions and the
// access of apps, and end these.
type People struct {
	SignIn    *signin.SignIn
	Sessions  *sessions.Sessions
	Consents  *consents.Consents
	Connected *authz.Connected
	Pages     *pages.Pages
}

// Statuses is what the status lists and their stream use.
type Statuses struct {
	Lists  *lists.Lists
	Stream *listeners.Stream
	// Events decides who may listen to the stream, Listeners stores the listeners in
	// the database, and Connections counts those of this process.
	Events      *authz.StatusEvents
	Listeners   listeners.Store
	Connections *listeners.Connections
}

// Process is what the handlers know about the process that they run in.
type Process struct {
	Keys     KeySet
	Watcher  Freshness
	Health   Health
	Observer Observer
	Log      *slog.Logger
	Now      func() time.Time
}
