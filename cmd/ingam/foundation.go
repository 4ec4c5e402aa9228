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
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/web/pages"
)

// foundation is what a server stands on: its settings, its master key and its database.
type foundation struct {
	cfg    *config.Config
	log    *slog.Logger
	now    func() time.Time
	made   build
	pages  *pages.Pages
	master *keys.MasterKey
	store  *storage.Store
}

// openFoundation opens the master key and the database, and refuses what a server must
// not start on: a schema of another version, or the database of another issuer.
func openFoundation(ctx context.Context, t *terminal, cfg *config.Config, opts serveOptions, with storage.Options) (_ *foundation, err error) {
	f := &foundation{cfg: cfg, log: newLogger(t, cfg), now: t.now, made: thisBuild()}
	f.log.InfoContext(ctx, "starting", "version", f.made.version, "commit", f.made.commit, "date", f.made.date, "go", f.made.goVersion)
	if f.pages, err = newPages(cfg, ""); err != nil {
		return nil, err
	}
	if f.master, err = keys.OpenMasterKey(cfg.MasterKeyFile); err != nil {
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

// withoutMasterKey returns why the master key could not be opened. What it says depends
// on what is in the database, if there is one.
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

// prepare brings the schema up to date, or checks it, and takes the database for the
// issuer.
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
	// Before anybody signs in by an address that the migration could not read.
	return f.store.RenewEmailForms(ctx)
}

// claim refuses a database that belongs to another issuer, unless that is accepted.
// A setting that was changed, or forgotten, would otherwise end all tokens at once:
// whoever checks one compares the issuer in it byte by byte (RFC 8414 section 3.3).
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

// newLogger writes to standard error, which every supervisor collects.
func newLogger(t *terminal, cfg *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Log.Level}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(t.stderr, options))
	}
	return slog.New(slog.NewJSONHandler(t.stderr, options))
}
