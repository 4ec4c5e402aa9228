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
	"github.com/ingam/ingam/web/pages"
)

// Parts is what the handlers are made of. New hands each handler what it uses and no
// more.
type Parts struct {
	Settings  Settings
	Clients   Clients
	Endpoints Endpoints
	People    People
	Statuses  Statuses
	Process   Process
}

// Settings are what the configuration says of HTTP.
type Settings struct {
	// Issuer is the URL of this server.
	Issuer string
	// RequestTimeout bounds one request, storage included.
	RequestTimeout time.Duration
	// MaxBody is the longest request body, in bytes.
	MaxBody int64
	// TrustedProxies may tell the client's address, in ForwardedHeader alone:
	// X-Forwarded-For or Forwarded.
	TrustedProxies  []netip.Prefix
	ForwardedHeader string
	// CORSOrigins are the web origins whose scripts may call the endpoints
	// that are called from browsers; "*" is all of them.
	CORSOrigins []string
	// JWKSMaxAge is for how long a key set may be cached.
	JWKSMaxAge time.Duration
	// RefreshTTL is for how long a browser keeps a refresh token.
	RefreshTTL time.Duration
	// GrantTTL is how long what a person allowed lasts at most. Pages say so.
	GrantTTL time.Duration
}

// Clients is who may ask for tokens, how they prove it, and for what they may ask.
type Clients struct {
	Registry      *clients.Registry
	Authenticator *clients.Authenticator
	Rules         *grants.Rules
}

// Endpoints are the endpoints of OAuth and OpenID Connect: what they decide, without
// HTTP.
type Endpoints struct {
	Authorization *authorization.Endpoint
	Token         *engine.Engine
	Introspection *authz.Introspector
	Revocation    *authz.Revoker
	UserInfo      *authz.UserInfo
	EndSession    *authz.EndSession
	FirstParty    *authz.FirstParty
}

// People is what the pages need: people sign in, see where they are signed in and what
// apps have, and end it.
type People struct {
	SignIn    *signin.SignIn
	Sessions  *sessions.Sessions
	Consents  *consents.Consents
	Connected *authz.Connected
	Pages     *pages.Pages
}

// Statuses is what the status lists and their stream are served from.
type Statuses struct {
	Lists  *lists.Lists
	Stream *listeners.Stream
	// Events says who may listen to the stream, Listeners keeps who does, in the
	// database, and Connections counts those of this process.
	Events      *authz.StatusEvents
	Listeners   listeners.Store
	Connections *listeners.Connections
}

// Process is what the handlers know of the process that they run in.
type Process struct {
	Keys     KeySet
	Watcher  Freshness
	Health   Health
	Observer Observer
	Log      *slog.Logger
	Now      func() time.Time
}
