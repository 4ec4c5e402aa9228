package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/web/pages"
)

// foundation is what a server is built on: its settings, its master key and its
// database.
type foundation struct {
	cfg    *config.Config
	log    *slog.Logger
	now    func() time.Time
	made   build
	pages  *pages.Pages
	master *masterkey.Key
	store  *storage.Store
}

// openFoundation opens the master key and the database. It refuses a database that a
// server must not use: one with another schema version, or of another issuer.
func openFoundation(ctx context.Context, t *terminal, cfg *config.Config, opts serveOptions, with storage.Options) (_ *foundation, err error) {
	f := &foundation{cfg: cfg, log: newLogger(t, cfg), now: t.now, made: thisBuild()}
	f.log.InfoContext(ctx, "starting", "version", f.made.version, "commit", f.made.commit, "date", f.made.date, "go", f.made.goVersion)
	if f.pages, err = newPages(cfg, ""); err != nil {
		return nil, err
	}
	if f.master, err = masterkey.Open(cfg.MasterKeyFile); err != nil {
		return nil, f.withoutMasterKey(ctx, with, err)
	}
	if f.store, err = openStore(ctx, cfg, with); err != nil {
		return nil, err
	}
	if err := f.prepare(ctx, opts); err != nil {
		return nil, errors.Join(err, f.store.Close())
	}
	return f, nil
}

// withoutMasterKey returns the error for a master key that could not be opened. Its
// text depends on what the database contains, if there is one.
func (f *foundation) withoutMasterKey(ctx context.Context, with storage.Options, err error) error {
	with.Serving, with.Existing = false, true
	store, openErr := openStore(ctx, f.cfg, with)
	switch {
	case errors.Is(openErr, storage.ErrNoDatabase):
		return err
	case openErr != nil:
		return openErr
	}
	return errors.Join(withoutMasterKey(ctx, f.cfg, store, err), store.Close())
}

// prepare migrates the schema or checks it, and claims the database for the issuer.
func (f *foundation) prepare(ctx context.Context, opts serveOptions) error {
	warnOfReaders(ctx, f.log, f.cfg.PrivateFiles())
	if opts.migrate || f.store.Engine() == storage.SQLite {
		if err := f.store.Migrate(ctx); err != nil {
			return err
		}
	}
	if err := f.store.CheckSchema(ctx); err != nil {
		return err
	}
	if err := f.claim(ctx, opts.acceptIssuer); err != nil {
		return err
	}
	if f.store.Pooled() {
		f.log.InfoContext(ctx, "there is a pooler in front of the database: statements are not prepared, and outside of transactions lock_timeout is what the database has for the user")
	}
	// Before anybody signs in by an e-mail address whose form the migration could not
	// compute.
	return f.store.RenewEmailForms(ctx)
}

// claim refuses a database that belongs to another issuer, unless accept is set. A
// setting that was changed or forgotten would otherwise make all tokens invalid at
// once: verifiers compare the issuer in a token byte by byte (RFC 8414 section 3.3).
func (f *foundation) claim(ctx context.Context, accept bool) error {
	issuer := f.cfg.Issuer.String()
	former, err := f.store.TakeIssuer(ctx, issuer)
	if err != nil || former == issuer {
		return err
	}
	if !accept {
		return fmt.Errorf("the database belongs to the issuer %s, and this server is set up as %s: all tokens would end, and apps would see every user as a new one; set issuer to %[1]s, or start once with --accept-issuer", former, issuer)
	}
	err = f.store.ChangeIssuer(ctx, issuer, audit.Event{
		At: f.now(), Actor: operator(), Action: audit.IssuerChanged, Details: map[string]string{"former_issuer": former, "issuer": issuer},
	})
	if err != nil {
		return err
	}
	f.log.WarnContext(ctx, "the issuer was changed: all tokens of the former one have ended, and apps see every user as a new one", "former_issuer", former, "issuer", issuer)
	return nil
}

// warnOfReaders warns of files that other users of this machine can read or write.
// Whoever can read the database and the master key can sign tokens.
func warnOfReaders(ctx context.Context, log *slog.Logger, files []string) {
	if runtime.GOOS == "windows" { // Windows has no such file modes, but reports some
		return
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode()&0o077 != 0 {
			log.WarnContext(ctx, "others have access to a file that only the server should read: chmod go= it", "file", file, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
		}
	}
}

// newPages returns the pages that people see, or says which setting is wrong. An empty
// name means the configured one.
func newPages(cfg *config.Config, name string) (*pages.Pages, error) {
	name = cmp.Or(name, cfg.Pages.Name, cfg.Issuer.Host())
	return pages.New(cfg.Issuer.Path(), pages.House{
		Name: name, LogoFile: cfg.Pages.LogoFile, Accent: cfg.Pages.Accent, AccentDark: cfg.Pages.AccentDark,
		Help: string(cfg.Pages.HelpURL), Terms: string(cfg.Pages.TermsURL), Privacy: string(cfg.Pages.PrivacyURL),
	})
}

// newLogger returns a logger to standard error, which every supervisor collects.
func newLogger(t *terminal, cfg *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Log.Level}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(t.stderr, options))
	}
	return slog.New(slog.NewJSONHandler(t.stderr, options))
}
