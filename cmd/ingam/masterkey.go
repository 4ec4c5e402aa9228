package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/keys"
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
		Long: "Make a master key in a new file. With --from, the file holds the old master key as\n" +
			"well: give it to every server, then run ingam master-key reseal, and the old file can go.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "out"); err != nil {
				return err
			}
			err := keys.WriteMasterKey(out, from)
			if ifMissing && errors.Is(err, fs.ErrExist) {
				// Perhaps it is half a one, of a disk that was full.
				if _, err := keys.OpenMasterKey(out); err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "there is a master key in %s\n", out)
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(t.stdout, "made a master key in %s\n", out)
			fmt.Fprintln(t.stderr, "Back it up apart from the database: without it the signing keys in there are lost, and with it they can be read.")
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the file to make; it must not exist")
	cmd.Flags().BoolVar(&ifMissing, "if-missing", false, "if the file exists, leave it as it is and succeed")
	cmd.Flags().StringVar(&from, "from", "", "an old master key file, whose keys the new one is to open as well")
	return cmd
}

func masterKeyReseal(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "reseal",
		Short: "Seal all signing keys under the newest key of the master key file",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withKeyring(cmd, func(c *concerns, k *keys.Keyring) error {
				n, err := k.Reseal(cmd.Context(), string(c.actor))
				if err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "resealed %d keys\n", n)
				return nil
			})
		},
	}
}
