package main

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
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
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/web"
	"github.com/ingam/ingam/web/metrics"
	"github.com/ingam/ingam/web/pages"
)

func serveCommand(t *terminal) *cobra.Command {
	var migrate, demonstrate, acceptIssuer bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server. It needs an issuer, a database and a master key. With --demo it creates\n" +
			"all three and a client to try, in ./" + demoFolder + ".",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if demonstrate {
				return serveDemo(t, cmd)
			}
			cfg, err := t.load(cmd, config.ForServe)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), t, cfg, serveOptions{migrate: migrate, acceptIssuer: acceptIssuer})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&migrate, "migrate", false, "migrate an older schema first (SQLite is always migrated)")
	f.BoolVar(&acceptIssuer, "accept-issuer", false, "start on a database of another issuer: all its tokens end, and apps see every user as a new one")
	f.BoolVar(&demonstrate, "demo", false, "run a demonstration, with its own database, keys and client, in ./"+demoFolder)
	return cmd
}

type serveOptions struct {
	migrate bool
	// acceptIssuer lets the issuer be another one than that of the database.
	acceptIssuer bool
	// prepare is called on the migrated database before the server listens.
	prepare func(ctx context.Context, store *storage.Store) error
	// listening is called once the server accepts connections.
	listening func(address string)
	// beside are handlers of addresses that are not the server's.
	beside map[string]http.Handler
	// wrap is put around the database's driver, to count or to fail.
	wrap func(driver.Connector) driver.Connector
}

// serve is the composition root: it opens what the server stands on from
// bottom to top, and closes it in reverse.
func serve(ctx context.Context, t *terminal, cfg *config.Config, opts serveOptions) (err error) {
	log := newLogger(t, cfg)
	made := thisBuild()
	log.InfoContext(ctx, "starting", "version", made.version, "commit", made.commit, "date", made.date, "go", made.goVersion)

	shown, err := newPages(cfg, "")
	if err != nil {
		return err
	}
	master, err := keys.OpenMasterKey(cfg.MasterKeyFile)
	if err != nil {
		store, openErr := openStore(ctx, cfg, storage.Options{Wrap: opts.wrap, Existing: true})
		switch {
		case errors.Is(openErr, storage.ErrNoDatabase):
			return err
		case openErr != nil:
			return openErr
		}
		return errors.Join(withoutMasterKey(ctx, cfg, store, err), store.Close())
	}
	store, err := openStore(ctx, cfg, storage.Options{Wrap: opts.wrap, Serving: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	warnOfReaders(ctx, log, cfg.PrivateFiles())
	if opts.migrate || store.Engine() == storage.SQLite {
		if err := store.Migrate(ctx); err != nil {
			return err
		}
	}
	if err := store.CheckSchema(ctx); err != nil {
		return err
	}
	if err := claim(ctx, log, cfg.Issuer.String(), store, opts.acceptIssuer, t.now()); err != nil {
		return err
	}
	if store.Pooled() {
		log.InfoContext(ctx, "there is a pooler in front of the database: statements are not prepared, and outside of transactions lock_timeout is what the database has for the user")
	}
	if opts.prepare != nil {
		if err := opts.prepare(ctx, store); err != nil {
			return err
		}
	}

	ring := newKeyring(cfg, store, master, t.now)
	// What is held in memory asks the watcher whether it may be used, and the
	// watcher tells it what changed.
	var watcher *changes.Watcher
	fresh := func() bool { return watcher.Fresh() }
	own, err := ownScopes(cfg)
	if err != nil {
		return err
	}
	catalog := catalog.New(store, own, t.now, fresh)
	registry := clients.NewRegistry(store, catalog, t.now, fresh, clients.PKCE(cfg.Clients.PKCE))
	epoch, cuts := revocation.NewEpoch(store, fresh), revocation.NewCuts(store, t.now)
	listening := listeners.NewConnections()
	// The lists have a watcher of their own: a cut of very much takes longer to
	// read than anything else may wait for.
	var listWatcher *changes.Watcher
	var statusLists *lists.Lists
	behind := func() time.Duration { return listWatcher.Behind() }
	age := func() time.Duration { return listWatcher.Age() }
	health := &health{Store: store, log: log}
	measures := metrics.New(metrics.Sources{
		Version: made.version, Commit: made.commit, GoVersion: made.goVersion,
		GrantTypes: grants.Supported, SignIns: web.SignInOutcomes, Throttles: web.Throttles,
		Listeners: listening.Count, Lists: behind, Changes: func() time.Duration { return watcher.Behind() },
		Statuses: func() metrics.Statuses { return metrics.Statuses(statusLists.Measure()) },
		Keys:     func() []metrics.Key { return measuredKeys(ring) },
		Writable: func() bool { return health.Unwritable() == "" },
		Pools:    store.Pools, Now: t.now,
	})
	stream := listeners.NewStream()
	statusLists = lists.New(store, lists.Settings{
		Issuer: cfg.Issuer.String(), Base: listsOf(cfg), Stream: stream, MaxAge: cfg.Status.MaxAge.Std(), Now: t.now, Behind: behind, Age: age, Listed: measures.CutListed,
		Built: func() <-chan struct{} { return listWatcher.Loaded() },
		Sign:  func(claims []byte) (string, error) { return ring.Sign(keys.Tokens, lists.TokenType, claims) },
	})
	watcher = changes.NewWatcher(store, cfg.Changes.Staleness.Std(), log, keyFollower{ring}, catalog, registry, epoch)
	listWatcher = changes.NewWatcher(store, cfg.Changes.Staleness.Std(), log, statusLists).Patient("the status lists")

	// The first Maintain makes the first keys; the first Poll loads them.
	if err := maintain(ctx, cfg, store, ring, t.now); err != nil {
		return err
	}
	if err := watcher.Poll(ctx); err != nil {
		return err
	}

	// Before anybody signs in by an address that the migration could not read.
	if err := store.RenewEmailForms(ctx); err != nil {
		return err
	}
	hasher, err := passwords.New(cfg.Passwords.AtOnce, passwords.Recommended)
	if err != nil {
		return err
	}
	users := accounts.NewUsers(store, hasher, t.now)
	logins := sessions.New(store, cfg.Sessions.IdleTTL.Std(), cfg.Sessions.TTL.Std(), t.now)
	guesses := throttle.New(store, hasher.AtOnce(), cfg.Throttle.SignInFailures, cfg.Throttle.SignInWindow.Std(), t.now)
	signIn := signin.New(users, logins, hasher, guesses, store, t.now)
	// When nobody can be refused any more, and before the database closes.
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if writing := signIn.WriteRefusals(last); writing != nil {
			log.ErrorContext(ctx, "what is in the audit log of those who were not signed in is not complete", "error", writing)
		}
	}()
	rules := &grants.Rules{APIs: catalog, Clients: registry, Issuer: cfg.Issuer.String(), AccessTTL: cfg.Tokens.AccessTTL.Std()}
	issuer := tokens.NewIssuer(cfg.Issuer.String(), listsOf(cfg), ring, t.now)
	types := grants.New(grants.Parts{
		Rules: rules, Epoch: epoch, Cuts: cuts, Issuer: issuer, Store: store, Users: users,
		Lists: statusLists, Indices: indices.New(store, statusLists, cfg.Tokens.AccessTTL.Std(), int64(cfg.Status.ListSize), t.now),
		Lives: grants.Lives{Refresh: cfg.Tokens.RefreshTTL.Std(), Grant: cfg.Tokens.GrantTTL.Std(), Grace: cfg.Tokens.RefreshGrace.Std()},
		Now:   t.now, Log: log,
	})
	authenticator := clients.NewAuthenticator(registry, cfg.Throttle.ClientFailures, cfg.Throttle.Window.Std(), t.now)
	consents := consents.New(store, t.now)
	notes := keys.NewNotes(master, "authorization request", authorization.NoteLife, t.now)
	health.tryWriting(ctx)
	handler, err := web.New(web.Parts{
		Issuer: cfg.Issuer.String(), Rules: rules, Registry: registry, Clients: authenticator, Consents: consents,
		Authorization: authorization.New(issuer, registry, rules, consents, store, notes, t.now),
		Introspection: authz.NewIntrospector(authenticator, issuer, registry, rules, types, cuts),
		Revocation:    authz.NewRevoker(authenticator, issuer, cuts),
		UserInfo:      authz.NewUserInfo(issuer, registry, rules, users, cuts),
		EndSession:    authz.NewEndSession(issuer, registry),
		FirstParty:    authz.NewFirstParty(authenticator, issuer, types, store, cuts, logins),
		Connected:     authz.NewConnected(registry, rules, consents, store, t.now),
		StatusEvents:  authz.NewStatusEvents(authenticator, registry, store),
		Listeners:     store,
		Engine:        engine.New(types), Sessions: logins, SignIn: signIn,
		Keys: ring, Watcher: watcher, Health: health, Log: log, Now: t.now,
		Lists: statusLists, Stream: stream, Listening: listening, Observer: measures,
		JWKSMaxAge:     cfg.Keys.JWKSMaxAge.Std(),
		RequestTimeout: cfg.HTTP.RequestTimeout.Std(),
		RefreshTTL:     cfg.Tokens.RefreshTTL.Std(),
		GrantTTL:       cfg.Tokens.GrantTTL.Std(),
		MaxBody:        int64(cfg.HTTP.MaxBody),
		TrustedProxies: cfg.HTTP.TrustedProxies, ForwardedHeader: string(cfg.HTTP.ForwardedHeader),
		CORSOrigins: cfg.HTTP.CORSOrigins,
		Pages:       shown,
	})
	if err != nil {
		return err
	}
	if len(opts.beside) > 0 {
		mux := http.NewServeMux()
		mux.Handle("/", handler)
		for pattern, h := range opts.beside {
			mux.Handle(pattern, h)
		}
		handler = mux
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: cfg.HTTP.ReadHeaderTimeout.Std(),
		ReadTimeout:       cfg.HTTP.ReadTimeout.Std(),
		WriteTimeout:      cfg.HTTP.WriteTimeout.Std(),
		IdleTimeout:       cfg.HTTP.IdleTimeout.Std(),
		MaxHeaderBytes:    int(cfg.HTTP.MaxHeader),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	// Streams do not end by themselves.
	server.RegisterOnShutdown(stream.Close)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	// At an address of their own: they are for the operator, and not for whoever
	// can reach the server.
	if cfg.Metrics.Listen != "" {
		beside, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Metrics.Listen)
		if err != nil {
			listener.Close()
			return fmt.Errorf("listen for metrics: %w", err)
		}
		watched := &http.Server{Handler: measures.Handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, ErrorLog: server.ErrorLog}
		go watched.Serve(beside)
		defer watched.Close()
	}

	// The server's own tasks end before the database closes.
	tasks, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { watcher.Run(tasks) })
	running.Go(func() { health.run(tasks) })
	running.Go(func() { listWatcher.Run(tasks) })
	running.Go(func() {
		every(tasks, keyInterval, log, "maintain the signing keys", func(ctx context.Context) error {
			return maintain(ctx, cfg, store, ring, t.now)
		})
	})
	running.Go(func() {
		every(tasks, seenInterval, log, "note which verifiers listen", func(ctx context.Context) error {
			gone, err := store.SeeListeners(ctx, listening.IDs())
			listening.End(gone)
			return err
		})
	})
	running.Go(func() {
		every(tasks, refusalInterval, log, "write down who was not signed in", signIn.WriteRefusals)
	})
	running.Go(func() {
		every(tasks, settleInterval, log, "bring what was written into the database's file", store.Settle)
	})
	running.Go(func() {
		every(tasks, formInterval, log, "renew the forms of addresses", store.RenewEmailForms)
	})
	running.Go(func() {
		// Every process knows of it long before it happens.
		ahead := 2*cfg.Changes.Staleness.Std() + time.Minute
		every(tasks, listInterval, log, "close full status lists", func(ctx context.Context) error { return statusLists.Maintain(ctx, ahead) })
	})
	running.Go(func() {
		every(tasks, cfg.Purge.Interval.Std(), log, "purge what has expired", func(ctx context.Context) error {
			now := t.now()
			if err := agrees(ctx, cfg, store, now); err != nil {
				return err
			}
			// To a server whose clock is behind, it has not expired yet.
			if _, err := store.Purge(ctx, now.Add(-cfg.Tokens.Skew.Std()), cfg.Purge.Batch, now.Add(-cfg.Changes.Retention.Std())); err != nil {
				return err
			}
			if cfg.Audit.Retention == 0 {
				return nil
			}
			_, err := store.PurgeAudit(ctx, now.Add(-cfg.Audit.Retention.Std()), cfg.Purge.Batch)
			return err
		})
	})

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.InfoContext(ctx, "listening", "address", listener.Addr().String(), "issuer", cfg.Issuer.String(),
		"database", store.Engine())
	if opts.listening != nil {
		opts.listening(listener.Addr().String())
	}

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	health.draining.Store(true)
	log.InfoContext(ctx, "stopping: finishing the requests under way")
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(cfg.HTTP.DrainDelay.Std()):
	}
	patience, giveUp := context.WithTimeout(context.WithoutCancel(ctx), cfg.HTTP.ShutdownTimeout.Std())
	defer giveUp()
	if err := server.Shutdown(patience); err != nil {
		server.Close()
		return fmt.Errorf("stopped with requests under way after %s: %w", cfg.HTTP.ShutdownTimeout, err)
	}
	log.InfoContext(ctx, "stopped")
	return nil
}

// claim refuses a database that belongs to another issuer, unless that is accepted.
// A setting that was changed, or forgotten, would otherwise end all tokens at once:
// whoever checks one compares the issuer in it byte by byte (RFC 8414 section 3.3).
func claim(ctx context.Context, log *slog.Logger, issuer string, store *storage.Store, accept bool, now time.Time) error {
	former, err := store.TakeIssuer(ctx, issuer)
	if err != nil || former == issuer {
		return err
	}
	if !accept {
		return fmt.Errorf("the database belongs to the issuer %s, and this server is set up as %s: all tokens would end, and apps would see every user as a new one; set issuer to %[1]s, or start once with --accept-issuer", former, issuer)
	}
	err = store.ChangeIssuer(ctx, issuer, audit.Event{
		At: now, Actor: operator(), Action: audit.IssuerChanged, Details: map[string]string{"former_issuer": former, "issuer": issuer},
	})
	if err != nil {
		return err
	}
	log.WarnContext(ctx, "the issuer was changed: all tokens of the former one have ended, and apps see every user as a new one", "former_issuer", former, "issuer", issuer)
	return nil
}

// listsOf returns what the addresses of the issuer's status lists begin with.
func listsOf(cfg *config.Config) status.Base {
	return status.Base(cfg.Issuer.String() + web.PathStatusLists + "/")
}

// warnOfReaders warns of files that other users of this machine can read or write.
// Whoever reads the database and the master key can sign.
func warnOfReaders(ctx context.Context, log *slog.Logger, files []string) {
	if runtime.GOOS == "windows" { // which has no such modes, and reports some
		return
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode()&0o077 != 0 {
			log.WarnContext(ctx, "others have access to a file that only the server should read: chmod go= it", "file", file, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
		}
	}
}

// newPages returns the pages that people are shown, or says what of the
// configuration cannot be. An empty name is that of the settings.
func newPages(cfg *config.Config, name string) (*pages.Pages, error) {
	name = cmp.Or(name, cfg.Pages.Name, cfg.Issuer.Host())
	return pages.New(cfg.Issuer.Path(), pages.House{
		Name: name, LogoFile: cfg.Pages.LogoFile, Accent: cfg.Pages.Accent, AccentDark: cfg.Pages.AccentDark,
		Help: string(cfg.Pages.HelpURL), Terms: string(cfg.Pages.TermsURL), Privacy: string(cfg.Pages.PrivacyURL),
	})
}

// maintain looks after the key rings, which destroys and forgets keys by the
// clock: a clock that is wrong would do it to the keys of every server.
func maintain(ctx context.Context, cfg *config.Config, store *storage.Store, ring *keys.Keyring, now func() time.Time) error {
	if err := agrees(ctx, cfg, store, now()); err != nil {
		return err
	}
	return ring.Maintain(ctx)
}

// agrees refuses what depends on the time where this machine's clock and the
// database's are further apart than is allowed for.
func agrees(ctx context.Context, cfg *config.Config, store *storage.Store, now time.Time) error {
	clock, err := store.Clock(ctx)
	if err != nil {
		return err
	}
	// Asking takes time as well.
	if off := now.Sub(clock); off.Abs() > cfg.Tokens.Skew.Std()+5*time.Second {
		return fmt.Errorf("the clock of this machine is %s off that of the database, which is more than tokens.skew (%s): correct one of them", off.Round(time.Second), cfg.Tokens.Skew)
	}
	return nil
}

// keyInterval is how often the key rings are looked after. Which key signs
// follows from stored times, so nothing hangs on it but when the next key is
// published, which has days.
const keyInterval = 30 * time.Second

// listInterval is how often it is looked which status lists are full.
const listInterval = 10 * time.Second

// refusalInterval is how long refused sign-ins are counted together, and what a crash
// can lose of them.
const refusalInterval = time.Minute

// formInterval is how often addresses are looked for that an older version wrote
// beside this one.
const formInterval = 10 * time.Minute

// settleInterval is for how long nothing must have been written, at least, until what
// was is brought into SQLite's file.
const settleInterval = 2 * time.Second

// seenInterval is how often it is noted who listens; whoever was not seen for
// three times as long is taken to be gone.
const seenInterval = 10 * time.Second

// longestTask is how long a task may take that is done every so often. What it has
// not come to, it does the next time.
const longestTask = 30 * time.Second

// every calls do at the interval until ctx ends. A failure is logged, and
// tried again the next time.
func every(ctx context.Context, interval time.Duration, log *slog.Logger, task string, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		bounded, cancel := context.WithTimeout(ctx, longestTask)
		err := do(bounded)
		cancel()
		if err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "a task of the server failed and will be tried again", "task", task, "error", err)
		}
	}
}

// newKeyring returns the key rings under the configured policy.
func newKeyring(cfg *config.Config, store *storage.Store, master *keys.MasterKey, now func() time.Time) *keys.Keyring {
	return keys.New(store, master, keyPolicy(cfg), now)
}

// keyPolicy says when keys sign, and for how long they are kept.
func keyPolicy(cfg *config.Config) keys.Policy {
	return keys.Policy{
		Bits:          cfg.Keys.Bits,
		RotateEvery:   cfg.Keys.RotateEvery.Std(),
		JWKSMaxAge:    cfg.Keys.JWKSMaxAge.Std(),
		VerifierCache: cfg.Keys.VerifierCache.Std(),
		Staleness:     cfg.Changes.Staleness.Std(),
		Skew:          cfg.Tokens.Skew.Std(),
		// None of these as it is set here: another process, or this one with an earlier
		// setting, may have signed for longer.
		LongestToken:   limits.MaxAccessTTL,
		LongestRefresh: limits.MaxRefreshTTL,
		LongestGrace:   limits.MaxRefreshGrace,
		// What an ID token tells of is a session or a grant.
		LongestHint: max(limits.MaxSessionTTL, limits.MaxGrantTTL),
	}
}

// measuredKeys returns the keys as their metrics have them.
func measuredKeys(ring *keys.Keyring) []metrics.Key {
	var all []metrics.Key
	for _, k := range ring.List() {
		all = append(all, metrics.Key{Ring: string(k.Ring), State: string(k.State), SignsFrom: k.SignsFrom, RetiresAt: k.RetiresAt})
	}
	return all
}

// keyFollower lets the key rings, which know nothing of the change sequence,
// follow it.
type keyFollower struct{ ring *keys.Keyring }

func (f keyFollower) Follow(ctx context.Context, changed []changes.Change) error {
	if changed != nil && !slices.ContainsFunc(changed, func(ch changes.Change) bool { return ch.Kind == changes.Key }) {
		return nil
	}
	return f.ring.Reload(ctx)
}

// newLogger writes to standard error, which every supervisor collects.
func newLogger(t *terminal, cfg *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Log.Level}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(t.stderr, options))
	}
	return slog.New(slog.NewJSONHandler(t.stderr, options))
}
