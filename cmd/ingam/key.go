package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/web/admin"
)

func keyCommand(t *terminal) *cobra.Command {
	return group("key", "The signing keys", keyList(t), keyRotate(t), keyWithdraw(t))
}

func keyList(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the signing keys and their states", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				list := []admin.Key{}
				err := eachOf(cmd.Context(), api, "/keys", nil, func(k admin.Key) error { list = append(list, k); return nil })
				if err != nil {
					return err
				}
				if asJSON {
					return t.printJSON(list)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "KID\tRING\tSTATE\tPUBLISHED\tSIGNS FROM\tRETIRES\tGONE\tWITHDRAWN")
				for _, k := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.KID, k.Ring, k.State,
						instantText(k.PublishedAt), instantText(k.SignsFrom), instantText(k.RetiresAt), instantText(k.GoneAt), instantText(k.WithdrawnAt))
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
		c.rings = c.keyring(master)
		if err := c.rings.Reload(cmd.Context()); err != nil {
			return err
		}
		c.apis.Rings, c.clients.Rings = c.rings, c.rings
		return do(c, c.rings)
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
	return t.withKeyring(cmd, func(c *concerns, _ *keys.Keyring) error { return do(c) })
}

func keyRotate(t *terminal) *cobra.Command {
	var (
		ring       keys.Ring
		now, force bool
		reason     string
	)
	cmd := &cobra.Command{
		Use:   "rotate [--now] [--force]",
		Short: "Let the next key sign as soon as every verifier can know it",
		Long: "Let the next key sign as soon as every verifier can know it or, with --now, at once.\n" +
			"--now is refused if the key was published too recently: verifiers that cache the key set\n" +
			"would refuse its tokens for a while. --force accepts that.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if force && !now {
				return usage(cmd, "--force goes with --now")
			}
			return t.withAdminKeys(cmd, func(api *adminAPI) error {
				api.settles = false // what the former key signs goes on to be good
				r := request{method: http.MethodPost, path: "/keys/rotate", query: reasoned(reason)}
				r.query.Set("ring", string(ring))
				r.query.Set("now", strconv.FormatBool(now))
				r.query.Set("force", strconv.FormatBool(force))
				var next admin.Key
				if _, err := api.do(cmd.Context(), r, &next); err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "key %s of ring %s signs from %s\n", next.KID, next.Ring, instantText(next.SignsFrom))
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&now, "now", false, "let it sign at once")
	f.BoolVar(&force, "force", false, "with --now, even if some verifiers cannot know the next key yet")
	f.TextVar(&ring, "ring", keys.Tokens, "the `ring` of keys: tokens (for access and ID tokens by RS256; published), tokens/PS256, tokens/ES256, tokens/EdDSA (for those by another algorithm), refresh (for refresh tokens; never published) or seal (for what only the server reads in encrypted tokens)")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

func keyWithdraw(t *terminal) *cobra.Command {
	var (
		force  bool
		reason string
	)
	cmd := &cobra.Command{
		Use:   "withdraw KID [--force]",
		Short: "Withdraw a key, and with it everything that it signed",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdminKeys(cmd, func(api *adminAPI) error {
				r := request{method: http.MethodPost, path: "/keys" + segment(args[0]) + "/withdraw", query: reasoned(reason)}
				r.query.Set("force", strconv.FormatBool(force))
				var withdrawn admin.WithdrawnKey
				_, err := api.do(cmd.Context(), r, &withdrawn)
				if isProblem(err, "not-found") {
					err = fmt.Errorf("%w (ingam key list has the keys that there are)", err)
				}
				if err != nil {
					return err
				}
				cached, err := time.ParseDuration(withdrawn.CachedFor)
				if err != nil {
					return err
				}
				if withdrawn.Ring == string(keys.Seals) {
					fmt.Fprintf(t.stdout, "withdrew key %s: to the server encrypted tokens that were sealed with it are unknown now, so it answers that they are not active, and revokes none that is presented; their APIs accept them until they expire or are revoked otherwise (ingam revoke --client, --grant, --user)\n", args[0])
					return nil
				}
				fmt.Fprintf(t.stdout, "withdrew key %s: every instance now refuses what it signed; resource servers will when they next fetch the key set, within %s\n",
					args[0], config.Duration(cached))
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&force, "force", false, "even if some verifiers cannot know the next key yet")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}
