package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
)

func masterKeyCommand(t *terminal) *cobra.Command {
	return group("master-key", "The key that the signing keys are sealed under", masterKeyNew(t), masterKeyReseal(t))
}

func masterKeyNew(t *terminal) *cobra.Command {
	var (
		out, from string
		ifMissing bool
	)
	cmd := &cobra.Command{
		Use:   "new --out FILE [--from OLD]",
		Short: "Make a master key",
		Long: "Make a master key in a new file. With --from, the new file also contains the old master key:\n" +
			"give it to every server, then run ingam master-key reseal, and delete the old file.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "out"); err != nil {
				return err
			}
			err := masterkey.Write(out, from)
			if ifMissing && errors.Is(err, fs.ErrExist) {
				// The file may be incomplete because the disk was full.
				if _, err := masterkey.Open(out); err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "there is a master key in %s\n", out)
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(t.stdout, "made a master key in %s\n", out)
			fmt.Fprintln(t.stderr, "Back it up apart from the database: without it the signing keys in the database are lost, and with it they can be read.")
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the file to make; it must not exist")
	cmd.Flags().BoolVar(&ifMissing, "if-missing", false, "if the file exists, leave it as it is and succeed")
	cmd.Flags().StringVar(&from, "from", "", "the old master key file; the new file can decrypt its keys, too")
	return cmd
}

// withoutMasterKey returns what to tell the operator about a master key that could not
// be opened. If the file is missing and the database has keys sealed under it, a new
// master key could not open them, and following the advice to create one would lose
// them for good.
func withoutMasterKey(ctx context.Context, cfg *config.Config, store *storage.Store, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if schemaErr := store.CheckSchema(ctx); errors.Is(schemaErr, storage.ErrNoSchema) {
		return err
	}
	records, readErr := store.SigningKeys(ctx)
	if readErr != nil {
		return readErr
	}
	shared, readErr := store.SharesSecrets(ctx)
	if readErr != nil {
		return readErr
	}
	if !shared && !slices.ContainsFunc(records, func(r keys.Record) bool { return len(r.Sealed) > 0 }) {
		return err
	}
	return fmt.Errorf("%w: there is no file %s, and the signing keys in the database open with it alone: restore the old one from its backup", keys.ErrMasterKey, cfg.MasterKeyFile)
}

func masterKeyReseal(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "reseal",
		Short: "Encrypt all signing keys, and the secrets of APIs, with the newest key of the master key file",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withKeyring(cmd, func(c *concerns, k *keys.Keyring) error {
				n, err := k.Reseal(cmd.Context(), string(c.actor))
				if err != nil {
					return err
				}
				of := audit.Event{At: t.now(), Actor: c.actor, Action: audit.APISecretsResealed}
				shared, err := c.store.ReshareSecrets(cmd.Context(), of, k.Reshare)
				if err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "resealed %d keys\n", n+shared)
				return nil
			})
		},
	}
}
