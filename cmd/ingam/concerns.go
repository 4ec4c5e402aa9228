package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

// concerns is what an operator's command acts upon: the same methods that the
// server calls, on the same database, while it runs.
type concerns struct {
	cfg     *config.Config
	store   *storage.Store
	actor   audit.Actor
	apis    *catalog.Catalog
	clients *clients.Registry
	cuts    *revocation.Cuts
	t       *terminal
}

// load reads the configuration and checks that what the command needs is
// there.
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

// openStore opens the configured database, whatever its schema. Its pools are as
// configured.
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

// options returns o with pools as configured.
func options(cfg *config.Config, o storage.Options) storage.Options {
	o.MaxOpen, o.MaxIdle, o.MaxLifetime = cfg.Pool.MaxOpen, cfg.Pool.MaxIdle, cfg.Pool.MaxLifetime.Std()
	return o
}

// withConcerns opens the configured database, checks its schema and calls do.
func (t *terminal) withConcerns(cmd *cobra.Command, do func(*concerns) error, needs ...config.Need) (err error) {
	// In the wrong folder a relative path leads nowhere. An empty database made
	// there would look like the real one with everything lost.
	cfg, store, err := t.openStore(cmd, storage.Options{Existing: true}, needs...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.CheckSchema(cmd.Context()); err != nil {
		return err
	}
	own, err := ownScopes(cfg)
	if err != nil {
		return err
	}
	catalog := catalog.New(store, own, t.now, nil)
	return do(&concerns{
		cfg: cfg, store: store, actor: operator(),
		apis:    catalog,
		clients: clients.NewRegistry(store, catalog, t.now, nil, clients.PKCE(cfg.Clients.PKCE)),
		cuts:    revocation.NewCuts(store, t.now),
		t:       t,
	})
}

// ownScopes returns the scopes that the server itself understands, with those that
// the configuration adds.
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
		// One by one, for the place of what is wrong.
		if _, err := apis.NewOwn(further...); err != nil {
			return nil, fmt.Errorf("the configuration is wrong:\n%s: claims: %w", s.At, err)
		}
	}
	return apis.NewOwn(further...)
}

// operator names who runs the command, for the audit log.
func operator() audit.Actor {
	u, err := user.Current()
	if err != nil {
		// As in a container, where users have no names.
		return audit.Operator(fmt.Sprintf("uid-%d", os.Getuid()))
	}
	return audit.Operator(u.Username)
}

// keyring returns the key rings; without a master key they can read and
// verify, and not sign or add.
func (c *concerns) keyring(master *keys.MasterKey) *keys.Keyring {
	return newKeyring(c.cfg, c.store, master, c.t.now)
}

// settle waits until every server process must know of a change, so that an
// operator who was told "disabled" or "revoked" can rely on it everywhere. (A
// cut holds where SQL is asked even before; but servers that do not know of it
// yet make tokens under the old epoch, which are cut at birth.)
func (c *concerns) settle(ctx context.Context) {
	select {
	case <-time.After(c.cfg.Changes.Staleness.Std()):
	case <-ctx.Done():
	}
}
