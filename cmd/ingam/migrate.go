package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/storage"
)

func migrateCommand(t *terminal) *cobra.Command {
	return group("migrate", "The database's schema", migrateUp(t), migrateStatus(t))
}

func migrateUp(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "Migrate the database to the schema that this binary needs", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, store, err := t.openStore(cmd, storage.Options{})
			if err != nil {
				return err
			}
			defer store.Close()
			if err := t.during("migrating the database", func() error { return store.Migrate(cmd.Context()) }); err != nil {
				return err
			}
			fmt.Fprintf(t.stdout, "the schema of %s is up to date\n", cfg.Database)
			return nil
		},
	}
}

func migrateStatus(t *terminal) *cobra.Command {
	var asJSON bool
	type row struct {
		Version   int64   `json:"version"`
		Name      string  `json:"name"`
		AppliedAt *string `json:"applied_at"`
	}
	cmd := &cobra.Command{
		Use: "status", Short: "Show which migrations were applied", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, store, err := t.openStore(cmd, storage.Options{Existing: true})
			if err != nil {
				return err
			}
			defer store.Close()
			list, err := store.MigrationStatus(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				out := make([]row, len(list))
				for i, m := range list {
					out[i] = row{m.Version, m.Name, instant(m.AppliedAt)}
				}
				return t.printJSON(out)
			}
			w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "VERSION\tNAME\tAPPLIED")
			for _, m := range list {
				applied := text(m.AppliedAt)
				if m.AppliedAt.IsZero() {
					applied = "pending"
				}
				fmt.Fprintf(w, "%d\t%s\t%s\n", m.Version, m.Name, applied)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
