package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

// concerns is what an operator's command works with: the same methods as the server's,
// on the same database, while the server runs.
type concerns struct {
	cfg     *config.Config
	store   *storage.Store
	actor   audit.Actor
	apis    *catalog.Catalog
	clients *clients.Registry
	cuts    *revocation.Cuts
	users   *accounts.Users
	// rings can be listed only, except within withKeyring.
	rings *keys.Keyring
	t     *terminal
}

// load reads the configuration and checks that it has what the command needs.
func (t *terminal) load(cmd *cobra.Command, needs ...config.Need) (*config.Config, error) {
	cfg, err := config.Load(cmd.Root().PersistentFlags(), t.environ)
	if err != nil {
		return nil, err
	}
	if _, err := ownScopes(cfg); err != nil {
		return nil, err
	}
	return cfg, cfg.Validate(needs...)
}

// openStore opens the configured database, whatever its schema version, with connection
// pools as configured.
func (t *terminal) openStore(cmd *cobra.Command, o storage.Options, needs ...config.Need) (*config.Config, *storage.Store, error) {
	cfg, err := t.load(cmd, append(needs, config.ForDatabase)...)
	if err != nil {
		return nil, nil, err
	}
	store, err := openStore(cmd.Context(), cfg, o)
	return cfg, store, err
}

func openStore(ctx context.Context, cfg *config.Config, o storage.Options) (*storage.Store, error) {
	return storage.Open(ctx, cfg.Database.Reveal(), options(cfg, o))
}

// options returns o with connection pools as configured.
func options(cfg *config.Config, o storage.Options) storage.Options {
	o.MaxOpen, o.MaxIdle, o.MaxLifetime = cfg.Pool.MaxOpen, cfg.Pool.MaxIdle, cfg.Pool.MaxLifetime.Std()
	return o
}

// withConcerns opens the configured database, checks its schema and calls do.
func (t *terminal) withConcerns(cmd *cobra.Command, do func(*concerns) error, needs ...config.Need) (err error) {
	// From the wrong working directory a relative path names no file. An empty database
	// created there would look as if everything was lost.
	cfg, store, err := t.openStore(cmd, storage.Options{Existing: true}, needs...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.CheckSchema(cmd.Context()); err != nil {
		return err
	}
	c, err := newConcerns(t, cfg, store, operator())
	if err != nil {
		return err
	}
	return do(c)
}

// newConcerns returns what a command works with, on a database that is open.
func newConcerns(t *terminal, cfg *config.Config, store *storage.Store, actor audit.Actor) (*concerns, error) {
	own, err := ownScopes(cfg)
	if err != nil {
		return nil, err
	}
	hasher, err := passwords.New(0, passwords.Recommended)
	if err != nil {
		return nil, err
	}
	catalog := catalog.New(store, own, t.now, nil)
	c := &concerns{
		cfg: cfg, store: store, actor: actor,
		apis:    catalog,
		clients: clients.NewRegistry(store, catalog, t.now, nil, clients.PKCE(cfg.Clients.PKCE)),
		cuts:    revocation.NewCuts(store, t.now),
		users:   accounts.NewUsers(store, hasher, t.now),
		t:       t,
	}
	c.rings = c.keyring(nil)
	return c, nil
}

func (c *concerns) sessions() *sessions.Sessions {
	return sessions.New(c.store, c.cfg.Sessions.IdleTTL.Std(), c.cfg.Sessions.TTL.Std(), c.t.now)
}

// idTokens is what decides how long ID tokens become.
func idTokens(cfg *config.Config, own *apis.Own) administration.IDTokens {
	return administration.IDTokens{Own: own, Issuer: cfg.Issuer.String(), Bits: cfg.Keys.Bits}
}

// ownScopes returns the server's own scopes, including those that the configuration
// adds.
func ownScopes(cfg *config.Config) (*apis.Own, error) {
	var further []apis.OwnScope
	for _, s := range cfg.Claims {
		texts := map[string]string{}
		for lang, text := range map[string]string{"en": s.Text, "ko": s.TextKo} {
			if text != "" {
				texts[lang] = text
			}
		}
		further = append(further, apis.OwnScope{Name: s.Scope, Claims: s.Claims, Texts: texts})
		// One by one, so that an error names the place of the wrong one.
		if _, err := apis.NewOwn(further...); err != nil {
			return nil, fmt.Errorf("the configuration is wrong:\n%s: claims: %w", s.At, err)
		}
	}
	return apis.NewOwn(further...)
}

// operator returns the user who runs the command, for the audit log.
func operator() audit.Actor {
	u, err := user.Current()
	if err != nil {
		// For example in a container, where users have no names.
		return audit.Operator(fmt.Sprintf("uid-%d", os.Getuid()))
	}
	return audit.Operator(u.Username)
}

// keyring returns the key rings. Without a master key they can read and verify, but not
// sign or add keys.
func (c *concerns) keyring(master keys.Sealer) *keys.Keyring {
	return newKeyring(c.cfg, c.store, master, c.t.now)
}

// settle waits until every server process must know of a change, so that an operator
// who is told "disabled" or "revoked" can rely on it everywhere. (Where the database is
// asked, a cut works at once. But a server that does not know of it yet still issues
// tokens under the old epoch, which are revoked from the beginning.)
func (c *concerns) settle(ctx context.Context) { settled(ctx, c.cfg) }

func settled(ctx context.Context, cfg *config.Config) {
	select {
	case <-time.After(cfg.Changes.Staleness.Std()):
	case <-ctx.Done():
	}
}
