package main

import (
	"context"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/engine"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/config/limits"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/web"
	"github.com/ingam/ingam/web/admin"
	"github.com/ingam/ingam/web/metrics"
)

// server is everything that is built on a foundation: the HTTP handler, what it needs,
// and the background tasks.
type server struct {
	*foundation
	ring *keys.Keyring
	// watcher tells the caches in memory what has changed. The status lists have a
	// watcher of their own, because a cut of very many grants takes longer to read than
	// other caches may wait.
	watcher, listWatcher *changes.Watcher
	catalog              *catalog.Catalog
	registry             *clients.Registry
	epoch                *revocation.Epoch
	lists                *lists.Lists
	stream               *listeners.Stream
	connections          *listeners.Connections
	health               *health
	measures             *metrics.Metrics
	signIn               *signin.SignIn
	authenticator        *clients.Authenticator
	chain                *chain.Chain
	handler              http.Handler

	listener, metricsListener net.Listener // the second is nil unless metrics are configured
}

// newServer builds a server and loads its caches.
func newServer(ctx context.Context, f *foundation) (*server, error) {
	s := &server{foundation: f, health: &health{Store: f.store, log: f.log}}
	s.measures = metrics.New(metrics.Words{GrantTypes: grants.Supported, SignIns: web.SignInOutcomes, Throttles: web.Throttles})
	if err := s.watch(); err != nil {
		return nil, err
	}
	s.listStatuses()
	s.measure()
	// The first maintenance makes the first keys; the first poll loads them.
	if err := s.maintainKeys(ctx); err != nil {
		return nil, err
	}
	if err := s.watcher.Poll(ctx); err != nil {
		return nil, err
	}
	s.health.tryWriting(ctx)
	if err := s.handle(); err != nil {
		return nil, err
	}
	return s, nil
}

// watch makes the caches of keys, APIs, clients and revocations. Each asks the watcher
// whether its records may be used, and the watcher tells it what has changed.
func (s *server) watch() error {
	own, err := ownScopes(s.cfg)
	if err != nil {
		return err
	}
	s.watcher = changes.NewWatcher(s.store, s.cfg.Changes.Staleness.Std(), s.log)
	s.ring = newKeyring(s.cfg, s.store, s.master, s.now)
	engine, err := openEngine(string(s.cfg.Keys.Engine), s.log)
	if err != nil {
		return err
	}
	s.ring.Use(engine)
	s.chain = chain.New(s.store, s.ring, s.now)
	s.catalog = catalog.New(s.store, own, s.now, s.watcher.Fresh)
	s.registry = clients.NewRegistry(s.store, s.catalog, s.now, s.watcher.Fresh, clients.PKCE(s.cfg.Clients.PKCE))
	s.catalog.Rings, s.registry.Rings = s.ring, s.ring
	s.epoch = revocation.NewEpoch(s.store, s.watcher.Fresh)
	s.watcher.Tell(keyFollower{s.ring}, s.catalog, s.registry, s.epoch)
	return nil
}

// listStatuses makes the status lists, and the stream for those who listen to their
// changes.
func (s *server) listStatuses() {
	s.listWatcher = changes.NewWatcher(s.store, s.cfg.Changes.Staleness.Std(), s.log).Patient("the status lists")
	s.stream, s.connections = listeners.NewStream(), listeners.NewConnections()
	s.lists = lists.New(s.store, lists.Settings{
		Issuer: s.cfg.Issuer.String(), Base: listsOf(s.cfg), MaxAge: s.cfg.Status.MaxAge.Std(), Now: s.now, Stream: s.stream, Listed: s.measures.CutListed,
		Behind: s.listWatcher.Behind, Age: s.listWatcher.Age, Built: s.listWatcher.Loaded,
		Sign: func(claims []byte) (string, error) { return s.ring.Sign(keys.Tokens, lists.TokenType, claims) },
	})
	s.listWatcher.Tell(s.lists)
}

// measure tells the metrics where to read the values that are not counted by events.
func (s *server) measure() {
	s.measures.Ask(metrics.Sources{
		Version: s.made.version, Commit: s.made.commit, GoVersion: s.made.goVersion,
		Listeners: s.connections.Count, Lists: s.listWatcher.Behind, Changes: s.watcher.Behind,
		Statuses: func() metrics.Statuses { return metrics.Statuses(s.lists.Measure()) },
		Keys:     func() []metrics.Key { return measuredKeys(s.ring) },
		Writable: func() bool { return s.health.Unwritable() == "" },
		Pools:    s.store.Pools, Now: s.now,
	})
}

// shared is what several endpoints use.
type shared struct {
	authenticator *clients.Authenticator
	rules         *grants.Rules
	types         *grants.Types
	tokens        *tokens.Issuer
	cuts          *revocation.Cuts
	users         *accounts.Users
	sessions      *sessions.Sessions
	consents      *consents.Consents
}

// handle makes what the endpoints share, the endpoints, and the handler of them all.
func (s *server) handle() error {
	hasher, err := passwords.New(s.cfg.Passwords.AtOnce, passwords.Recommended)
	if err != nil {
		return err
	}
	c := s.share(hasher)
	guesses := throttle.New(s.store, hasher.AtOnce(), s.cfg.Throttle.SignInFailures, s.cfg.Throttle.SignInWindow.Std(), s.now)
	s.authenticator = c.authenticator
	s.signIn = signin.New(c.users, c.sessions, hasher, guesses, masterkey.NewNotes(s.master, "new password", signin.NoteLife, s.now), s.store, s.now)
	s.handler, err = web.New(web.Parts{
		Settings:  settingsOfHTTP(s.cfg),
		Clients:   web.Clients{Registry: s.registry, Authenticator: c.authenticator, Rules: c.rules},
		Endpoints: s.endpoints(c),
		People: web.People{
			SignIn: s.signIn, Sessions: c.sessions, Consents: c.consents,
			Connected: s.connected(c), Pages: s.pages,
		},
		Statuses: web.Statuses{
			Lists: s.lists, Stream: s.stream, Connections: s.connections,
			Events: authz.NewStatusEvents(c.authenticator, s.registry, s.store), Listeners: s.store,
		},
		Administration: s.administration(c),
		Administrators: authz.NewAdministrators(s.cfg.Issuer.String()+admin.Path, c.tokens, s.registry, c.rules, c.users, c.cuts),
		Process:        web.Process{Keys: s.ring, Watcher: s.watcher, Health: s.health, Observer: s.measures, Log: s.log, Now: s.now},
	})
	return err
}

// administration returns what the admin API works with.
func (s *server) administration(c shared) admin.Parts {
	parts := admin.Parts{
		Version: s.made.version, AccessTTL: s.cfg.Tokens.AccessTTL.Std(),
		Settle: s.settle, Cursors: masterkey.NewNotes(s.master, "admin API cursor", cursorLife, s.now),
		APIs:      administration.NewAPIs(s.catalog, s.registry, c.cuts),
		Clients:   administration.NewClients(s.registry, s.catalog, c.cuts, s.cfg.Issuer.String()),
		Keys:      administration.NewKeys(s.ring, s.chain),
		Audit:     administration.NewAudit(s.store, c.users, s.registry, s.chain),
		Overviews: administration.NewOverviews(s.store, administration.NewKeys(s.ring, s.chain), s.now),
		Users:     administration.NewUsers(c.users, c.cuts, idTokens(s.cfg, s.catalog.Own())), Sessions: c.sessions,
	}
	search := grants.NewSearch(s.store, c.users, s.registry, c.cuts, s.now)
	parts.Grants, parts.Access = search, authz.NewAccess(s.connected(c), c.users, s.registry, s.store)
	parts.Cuts = administration.NewCuts(administration.CutParts{
		Cuts: c.cuts, Clients: s.registry, Users: c.users, Sessions: c.sessions, HasGrant: search.Has,
		Tokens: c.tokens, Store: s.store, Issuer: s.cfg.Issuer.String(), Lists: listsOf(s.cfg), Now: s.now,
	})
	parts.Apply = administration.NewApply(s.store, parts.APIs, parts.Clients, parts.Users)
	return parts
}

// connected returns which apps have access to what.
func (s *server) connected(c shared) *authz.Connected {
	return authz.NewConnected(s.registry, c.rules, c.consents, s.store, s.now)
}

// cursorLife is for how long a page of the admin API can be followed by the next.
const cursorLife = time.Hour

// settle waits until every server process must know of a change.
func (s *server) settle(ctx context.Context) { settled(ctx, s.cfg) }

func (s *server) share(hasher *passwords.Hasher) shared {
	cfg, store, now := s.cfg, s.store, s.now
	c := shared{
		authenticator: clients.NewAuthenticator(s.registry, cfg.Throttle.ClientFailures, cfg.Throttle.Window.Std(), now),
		rules:         &grants.Rules{APIs: s.catalog, Clients: s.registry, Issuer: cfg.Issuer.String(), AccessTTL: cfg.Tokens.AccessTTL.Std(), Now: s.now},
		tokens:        tokens.NewIssuer(cfg.Issuer.String(), listsOf(cfg), s.ring, now),
		cuts:          revocation.NewCuts(store, now),
		users:         accounts.NewUsers(store, hasher, now),
		sessions:      sessions.New(store, cfg.Sessions.IdleTTL.Std(), cfg.Sessions.TTL.Std(), now),
		consents:      consents.New(store, now),
	}
	c.rules.Users = c.users
	c.types = grants.New(grants.Parts{
		Rules: c.rules, Epoch: s.epoch, Cuts: c.cuts, Issuer: c.tokens, Store: store, Users: c.users,
		Lists: s.lists, Indices: indices.New(store, s.lists, cfg.Tokens.AccessTTL.Std(), int64(cfg.Status.ListSize), now),
		Lives: grants.Lives{Refresh: cfg.Tokens.RefreshTTL.Std(), Grant: cfg.Tokens.GrantTTL.Std(), Grace: cfg.Tokens.RefreshGrace.Std()},
		Now:   now, Log: s.log,
	})
	return c
}

// endpoints makes each endpoint from what it uses.
func (s *server) endpoints(c shared) web.Endpoints {
	notes := masterkey.NewNotes(s.master, "authorization request", authorization.NoteLife, s.now)
	return web.Endpoints{
		Authorization: authorization.New(c.tokens, s.registry, c.rules, c.consents, s.store, notes, s.now),
		Token:         engine.New(c.types),
		Introspection: authz.NewIntrospector(c.authenticator, c.tokens, s.registry, c.rules, c.types, c.cuts),
		Revocation:    authz.NewRevoker(c.authenticator, c.tokens, c.types, c.cuts),
		UserInfo:      authz.NewUserInfo(c.tokens, s.registry, c.rules, c.users, c.cuts),
		EndSession:    authz.NewEndSession(c.tokens, s.registry),
		FirstParty:    authz.NewFirstParty(c.authenticator, c.tokens, c.types, s.store, c.cuts, c.sessions),
	}
}

// settingsOfHTTP returns the settings of package web.
func settingsOfHTTP(cfg *config.Config) web.Settings {
	return web.Settings{
		Issuer:          cfg.Issuer.String(),
		RequestTimeout:  cfg.HTTP.RequestTimeout.Std(),
		MaxBody:         int64(cfg.HTTP.MaxBody),
		TrustedProxies:  cfg.HTTP.TrustedProxies,
		ForwardedHeader: string(cfg.HTTP.ForwardedHeader),
		CORSOrigins:     cfg.HTTP.CORSOrigins,
		JWKSMaxAge:      cfg.Keys.JWKSMaxAge.Std(),
		RefreshTTL:      cfg.Tokens.RefreshTTL.Std(),
		GrantTTL:        cfg.Tokens.GrantTTL.Std(),
	}
}

// listsOf returns the common beginning of the addresses of the issuer's status lists.
func listsOf(cfg *config.Config) status.Base {
	return status.Base(cfg.Issuer.String() + web.PathStatusLists + "/")
}

// newKeyring returns the key rings with the configured policy.
func newKeyring(cfg *config.Config, store *storage.Store, master keys.Sealer, now func() time.Time) *keys.Keyring {
	return keys.New(store, master, keyPolicy(cfg), now)
}

// keyPolicy says when keys sign, and how long they are kept.
func keyPolicy(cfg *config.Config) keys.Policy {
	return keys.Policy{
		Bits:          cfg.Keys.Bits,
		RotateEvery:   cfg.Keys.RotateEvery.Std(),
		JWKSMaxAge:    cfg.Keys.JWKSMaxAge.Std(),
		VerifierCache: cfg.Keys.VerifierCache.Std(),
		Staleness:     cfg.Changes.Staleness.Std(),
		Skew:          cfg.Tokens.Skew.Std(),
		// Upper bounds and not the present settings: another process, or this one with
		// an earlier setting, may have signed tokens with a longer life.
		LongestToken:   limits.MaxAccessTTL,
		LongestRefresh: limits.MaxRefreshTTL,
		LongestGrace:   limits.MaxRefreshGrace,
		// An ID token belongs to a session or a grant.
		LongestHint: max(limits.MaxSessionTTL, limits.MaxGrantTTL),
	}
}

// measuredKeys returns the keys in the form of the metrics.
func measuredKeys(ring *keys.Keyring) []metrics.Key {
	var all []metrics.Key
	for _, k := range ring.List() {
		all = append(all, metrics.Key{Ring: string(k.Ring), State: string(k.State), SignsFrom: k.SignsFrom, RetiresAt: k.RetiresAt})
	}
	return all
}

// keyFollower makes the key rings, which know nothing of the change sequence, follow
// it.
type keyFollower struct{ ring *keys.Keyring }

func (f keyFollower) Follow(ctx context.Context, changed []changes.Change) error {
	if changed != nil && !slices.ContainsFunc(changed, func(ch changes.Change) bool { return ch.Kind == changes.Key }) {
		return nil
	}
	return f.ring.Reload(ctx)
}
