package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config"
)

func revokeCommand(t *terminal) *cobra.Command {
	var (
		client, reason        string
		fromStdin, everything bool
	)
	cmd := &cobra.Command{
		Use:   "revoke --client C | --token-stdin | --all",
		Short: "Take back what was issued",
		Long: "Take back what was issued. Introspection refuses it from this moment on. What is\n" +
			"issued afterwards stands: to stop a client altogether, disable it.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := 0
			for _, f := range []string{"client", "token-stdin", "all"} {
				if cmd.Flags().Changed(f) {
					given++
				}
			}
			switch {
			case given != 1:
				return usage(cmd, "give one of --client, --token-stdin and --all")
			case fromStdin:
				return revokeToken(t, cmd, reason)
			case everything:
				return t.withConcerns(cmd, func(c *concerns) error {
					if err := c.cuts.Everything(cmd.Context(), reason, c.actor); err != nil {
						return err
					}
					c.settle(cmd.Context())
					fmt.Fprintln(t.stdout, "revoked everything that was issued so far")
					return nil
				})
			case client == "":
				return usage(cmd, "--client names no client")
			}
			return t.withConcerns(cmd, func(c *concerns) error {
				if err := c.cuts.Client(cmd.Context(), client, reason, c.actor); err != nil {
					return fmt.Errorf("client %s: %w", client, err)
				}
				c.settle(cmd.Context())
				fmt.Fprintf(t.stdout, "revoked everything that was issued to client %s so far\n", client)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&client, "client", "", "revoke all that was issued to this client")
	f.BoolVar(&fromStdin, "token-stdin", false, "revoke the access token on standard input")
	f.BoolVar(&everything, "all", false, "revoke all that was issued to anyone")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

// revokeToken reads the token from standard input: an argument would stand in
// the process list and in the shell's history.
func revokeToken(t *terminal, cmd *cobra.Command, reason string) error {
	token, err := readToken(t.stdin)
	if err != nil {
		return err
	}
	return t.withConcerns(cmd, func(c *concerns) error {
		ring := c.keyring(nil)
		if err := ring.Reload(cmd.Context()); err != nil {
			return err
		}
		access, err := tokens.NewIssuer(c.cfg.Issuer.String(), ring, t.now).ReadAccess(cmd.Context(), token)
		if errors.Is(err, tokens.ErrInvalid) {
			return fmt.Errorf("nothing to revoke: %w", err)
		}
		if err != nil {
			return err
		}
		if err := c.cuts.Token(cmd.Context(), access.ID, access.ClientID, access.ExpiresAt, reason, c.actor); err != nil {
			return err
		}
		fmt.Fprintf(t.stdout, "revoked token %s of client %s, which would have expired at %s\n", access.ID, access.ClientID, text(access.ExpiresAt))
		return nil
	}, config.ForIssuer)
}
