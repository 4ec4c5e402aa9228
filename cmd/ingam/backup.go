package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/storage"
)

// ownTools are the backup tools that come with a database engine, by the scheme of its
// URL.
var ownTools = map[string]string{
	"postgres": "pg_dump and pg_restore", "postgresql": "pg_dump and pg_restore", "mysql": "mariadb-dump (or mysqldump) and mariadb (or mysql)",
}

// needsOwnTools refuses a database that is not a SQLite file, and names the engine's
// own tools.
func needsOwnTools(cfg *config.Config) error {
	scheme, _, _ := strings.Cut(cfg.Database.Reveal(), ":")
	if tools := ownTools[scheme]; tools != "" {
		return fmt.Errorf("this database is backed up and restored with its server's own tools: %s; after a restore run `ingam restore --in-place` (see docs/backup.md)", tools)
	}
	return nil
}

func backupCommand(t *terminal) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "backup --out FILE",
		Short: "Copy a SQLite database, while servers use it",
		Long: "Copy a SQLite database into one file, while servers use it. The copy shows the database at one\n" +
			"moment, is checked, and is readable only by its owner. The master key is not in it: back that\n" +
			"up in another place.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := require(cmd, "out"); err != nil {
				return err
			}
			cfg, err := t.load(cmd, config.ForDatabase)
			if err != nil {
				return err
			}
			if err := needsOwnTools(cfg); err != nil {
				return err
			}
			store, err := openStore(cmd.Context(), cfg, storage.Options{Existing: true})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			if err := t.during("copying the database", func() error { return store.Backup(cmd.Context(), out) }); err != nil {
				return err
			}
			fmt.Fprintf(t.stdout, "backed up %s to %s\n", cfg.Database, out)
			fmt.Fprintln(t.stderr, "The master key is not in it, and is needed to restore it: back it up in another place.")
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the file to make; it must not exist")
	return cmd
}

// restoring holds the flags of `ingam restore`.
type restoring struct {
	t               *terminal
	file, reason    string
	inPlace, cutAll bool
}

func restoreCommand(t *terminal) *cobra.Command {
	r := restoring{t: t}
	cmd := &cobra.Command{
		Use:   "restore FILE | --in-place",
		Short: "Restore a SQLite database from a backup, or prepare one that was restored by other tools",
		Long: "Restore the configured SQLite database, which must not exist, from a backup. Or, with\n" +
			"--in-place, prepare a database that was restored by other tools, such as pg_restore: run\n" +
			"it once, before any server starts. Both ensure that no change number and no status list\n" +
			"index is used twice.",
		Args: func(cmd *cobra.Command, args []string) error {
			if r.inPlace == (len(args) == 1) || len(args) > 1 {
				return usage(cmd, "give the file of one backup, or --in-place")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := t.load(cmd, config.ForDatabase)
			if err != nil {
				return err
			}
			if r.inPlace {
				return r.here(cmd.Context(), cfg)
			}
			r.file = args[0]
			if err := needsOwnTools(cfg); err != nil {
				return err
			}
			return r.fromFile(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&r.inPlace, "in-place", false, "the configured database is the one that was restored")
	f.BoolVar(&r.cutAll, "cut-all", false, "also revoke everything that was issued, as revoke --all does")
	f.StringVar(&r.reason, "reason", "", "why, for the audit log")
	return cmd
}

func (r *restoring) fromFile(ctx context.Context, cfg *config.Config) error {
	plain, err := storage.IsPlainCopy(r.file)
	if err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	if plain {
		fmt.Fprintf(r.t.stderr, "Warning: ingam backup did not make %s. If it was copied while a server ran, what was done last, or since that server started, is missing.\n", r.file)
	}
	absolute, err := filepath.Abs(r.file)
	if err != nil {
		return err
	}
	var as string
	err = r.t.during("copying the database", func() error {
		return storage.Restore(ctx, r.file, cfg.Database.Reveal(), options(cfg, storage.Options{}), func(s *storage.Store) (err error) {
			as, err = r.goOn(ctx, s, map[string]string{"file": absolute})
			return err
		})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(r.t.stdout, "restored %s from %s, %s\n", cfg.Database, r.file, as)
	r.explain()
	return nil
}

// here continues with the configured database, which the operator has restored with
// other tools.
func (r *restoring) here(ctx context.Context, cfg *config.Config) (err error) {
	s, err := openStore(ctx, cfg, storage.Options{Existing: true, Restoring: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.CheckSchema(ctx); err != nil {
		return err
	}
	as, err := r.goOn(ctx, s, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.t.stdout, "%s goes on %s\n", cfg.Database, as)
	r.explain()
	return nil
}

// goOn records the restore in the database, and returns the time of its last change.
func (r *restoring) goOn(ctx context.Context, s *storage.Store, details map[string]string) (as string, err error) {
	n, err := s.ChangeNumber(ctx)
	if err != nil {
		return "", err
	}
	last, err := s.AuditPart(ctx, audit.Query{NewestFirst: true}, 1)
	if err != nil {
		return "", err
	}
	as = fmt.Sprintf("as of change %d", n)
	if details == nil {
		details = map[string]string{}
	}
	details["change"] = fmt.Sprint(n)
	for _, ev := range last.Events {
		as += fmt.Sprintf("; the last thing recorded in it is of %s (UTC)", text(ev.At))
		details["last_event_at"] = *instant(ev.At)
	}
	cuts, actor := revocation.NewCuts(s, r.t.now), operator()
	if err := cuts.Restored(ctx, details, r.reason, actor); err != nil {
		return "", err
	}
	if r.cutAll {
		return as, cuts.Everything(ctx, r.reason, actor)
	}
	return as, nil
}

// explain tells the operator what a restore means.
func (r *restoring) explain() {
	fmt.Fprint(r.t.stderr, "Everything is as it was at the time of the backup. Repeat what was done since: users and\n"+
		"clients that were disabled, deleted, signed out or revoked are back, and so are withdrawn keys\n"+
		"and old passwords. Apps that refreshed since must sign their users in again. The master key must\n"+
		"be that of the backup.\n")
	if r.cutAll {
		fmt.Fprintln(r.t.stderr, "Everything that was issued has ended: everybody signs in again.")
	} else {
		fmt.Fprintln(r.t.stderr, "If something was revoked since and nobody knows what, revoke everything that was issued: ingam revoke --all")
	}
}
