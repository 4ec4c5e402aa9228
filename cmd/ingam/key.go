package main

import (
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
)

func keyCommand(t *terminal) *cobra.Command {
	return group("key", "The signing keys", keyList(t), keyRotate(t), keyWithdraw(t))
}

type keyJSON struct {
	KID         string  `json:"kid"`
	Ring        string  `json:"ring"`
	State       string  `json:"state"`
	PublishedAt *string `json:"published_at"`
	SignsFrom   *string `json:"signs_from"`
	RetiresAt   *string `json:"retires_at"`
	GoneAt      *string `json:"gone_at"`
	WithdrawnAt *string `json:"withdrawn_at"`
}

func keyList(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the signing keys and their states", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				ring := c.keyring(nil)
				if err := ring.Reload(cmd.Context()); err != nil {
					return err
				}
				list := ring.List()
				if asJSON {
					out := make([]keyJSON, len(list))
					for i, k := range list {
						out[i] = keyJSON{
							k.KID, string(k.Ring), string(k.State),
							instant(k.PublishedAt), instant(k.SignsFrom), instant(k.RetiresAt), instant(k.GoneAt), instant(k.WithdrawnAt),
						}
					}
					return t.printJSON(out)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "KID\tRING\tSTATE\tPUBLISHED\tSIGNS FROM\tRETIRES\tGONE\tWITHDRAWN")
				for _, k := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.KID, k.Ring, k.State,
						text(k.PublishedAt), text(k.SignsFrom), text(k.RetiresAt), text(k.GoneAt), text(k.WithdrawnAt))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// withKeyring calls do with key rings that can sign, for commands that create keys.
func (t *terminal) withKeyring(cmd *cobra.Command, do func(*concerns, *keys.Keyring) error) error {
	return t.withConcerns(cmd, func(c *concerns) error {
		master, err := masterkey.Open(c.cfg.MasterKeyFile)
		if err != nil {
			return withoutMasterKey(cmd.Context(), c.cfg, c.store, err)
		}
		if err := agrees(cmd.Context(), c.cfg, c.store, t.now()); err != nil {
			return err
		}
		ring := c.keyring(master)
		if err := ring.Reload(cmd.Context()); err != nil {
			return err
		}
		return do(c, ring)
	}, config.ForMasterKey)
}

// withRings is withConcerns for commands that may ask for another algorithm, or for
// encryption. If they do, by one of those flags, keys for it may have to be made.
func (t *terminal) withRings(cmd *cobra.Command, flags []string, do func(*concerns) error) error {
	if !slices.ContainsFunc(flags, func(name string) bool {
		given := cmd.Flags().Lookup(name)
		return given.Changed && (cmd.Name() != "create" || given.Value.String() != given.DefValue)
	}) {
		return t.withConcerns(cmd, do)
	}
	return t.withKeyring(cmd, func(c *concerns, k *keys.Keyring) error {
		c.apis.Rings, c.clients.Rings = k, k
		return do(c)
	})
}

func keyRotate(t *terminal) *cobra.Command {
	var (
		opts keys.Intervention
		ring keys.Ring
	)
	cmd := &cobra.Command{
		Use:   "rotate [--now] [--force]",
		Short: "Let the next key sign as soon as every verifier can know it",
		Long: "Let the next key sign as soon as every verifier can know it or, with --now, at once.\n" +
			"--now is refused if the key was published too recently: verifiers that cache the key set\n" +
			"would refuse its tokens for a while. --force accepts that.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Force && !opts.Now {
				return usage(cmd, "--force goes with --now")
			}
			return t.withKeyring(cmd, func(c *concerns, k *keys.Keyring) error {
				opts.Actor = string(c.actor)
				next, err := k.Rotate(cmd.Context(), ring, opts)
				if err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "key %s of ring %s signs from %s\n", next.KID, next.Ring, text(next.SignsFrom))
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&opts.Now, "now", false, "let it sign at once")
	f.BoolVar(&opts.Force, "force", false, "with --now, even if some verifiers cannot know the next key yet")
	f.TextVar(&ring, "ring", keys.Tokens, "the `ring` of keys: tokens (for access and ID tokens by RS256; published), tokens/PS256, tokens/ES256, tokens/EdDSA (for those by another algorithm), refresh (for refresh tokens; never published) or seal (for what only the server reads in encrypted tokens)")
	f.StringVar(&opts.Reason, "reason", "", "why, for the audit log")
	return cmd
}

func keyWithdraw(t *terminal) *cobra.Command {
	var opts keys.Intervention
	cmd := &cobra.Command{
		Use:   "withdraw KID [--force]",
		Short: "Withdraw a key, and with it everything that it signed",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withKeyring(cmd, func(c *concerns, k *keys.Keyring) error {
				opts.Actor = string(c.actor)
				sealed := slices.ContainsFunc(k.List(), func(s keys.Status) bool { return s.KID == args[0] && s.Ring == keys.Seals })
				if err := k.Withdraw(cmd.Context(), args[0], opts); err != nil {
					return fmt.Errorf("%w (ingam key list has the keys that there are)", err)
				}
				c.settle(cmd.Context())
				if sealed {
					fmt.Fprintf(t.stdout, "withdrew key %s: to the server encrypted tokens that were sealed with it are unknown now, so it answers that they are not active, and revokes none that is presented; their APIs accept them until they expire or are revoked otherwise (ingam revoke --client, --grant, --user)\n", args[0])
					return nil
				}
				fmt.Fprintf(t.stdout, "withdrew key %s: every instance now refuses what it signed; resource servers will when they next fetch the key set, within %s\n",
					args[0], c.cfg.Keys.JWKSMaxAge)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&opts.Force, "force", false, "even if some verifiers cannot know the next key yet")
	f.StringVar(&opts.Reason, "reason", "", "why, for the audit log")
	return cmd
}
