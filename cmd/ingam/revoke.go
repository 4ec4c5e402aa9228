package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config"
)

func revokeCommand(t *terminal) *cobra.Command {
	var (
		client, grant, user, session, reason string
		fromStdin, everything                bool
	)
	cmd := &cobra.Command{
		Use:   "revoke --grant G | --session S | --user U | --client C | --token-stdin | --all",
		Short: "Take back what was issued",
		Long: "Take back what was issued. Introspection refuses it from this moment on. What is\n" +
			"issued afterwards stands: to stop a client or a user altogether, disable it.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := 0
			for _, f := range []string{"grant", "session", "user", "client", "token-stdin", "all"} {
				if cmd.Flags().Changed(f) {
					given++
				}
			}
			switch {
			case given != 1:
				return usage(cmd, "give one of --grant, --session, --user, --client, --token-stdin and --all")
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
			case grant != "":
				return revokeGrant(t, cmd, grant, reason)
			case session != "":
				return revokeSession(t, cmd, session, reason)
			case user != "":
				return revokeUser(t, cmd, user, reason)
			case client == "":
				return usage(cmd, "what to revoke is not named")
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
	f.StringVar(&grant, "grant", "", "revoke this grant")
	f.StringVar(&session, "session", "", "end this login session, and what was allowed in it without offline_access")
	f.StringVar(&user, "user", "", "revoke all that was issued for this user, and end all their sessions")
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
		if access.GrantID != "" {
			return c.revokeGrant(cmd.Context(), access.GrantID, reason)
		}
		if err := c.cuts.Token(cmd.Context(), access.ID, access.ClientID, access.ExpiresAt, access.Status, reason, c.actor); err != nil {
			return err
		}
		fmt.Fprintf(t.stdout, "revoked token %s of client %s, which would have expired at %s\n", access.ID, access.ClientID, text(access.ExpiresAt))
		return nil
	}, config.ForIssuer)
}

func revokeGrant(t *terminal, cmd *cobra.Command, id, reason string) error {
	return t.withConcerns(cmd, func(c *concerns) error { return c.revokeGrant(cmd.Context(), id, reason) })
}

func (c *concerns) revokeGrant(ctx context.Context, id, reason string) error {
	err := c.store.RevokeGrant(ctx, id, audit.Event{
		At: c.t.now(), Actor: c.actor, Action: audit.GrantCut, Subject: id, Reason: reason,
	})
	if err != nil {
		return fmt.Errorf("grant %s: %w", id, err)
	}
	fmt.Fprintf(c.t.stdout, "revoked grant %s\n", id)
	return nil
}

func revokeSession(t *terminal, cmd *cobra.Command, id, reason string) error {
	return t.withConcerns(cmd, func(c *concerns) error {
		user, err := c.store.SessionUser(cmd.Context(), id)
		if err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
		if err := c.sessions().End(cmd.Context(), user, id, reason, c.actor); err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
		fmt.Fprintf(t.stdout, "ended login session %s\n", id)
		return nil
	})
}

func revokeUser(t *terminal, cmd *cobra.Command, name, reason string) error {
	return t.withUsers(cmd, func(c *concerns, users *accounts.Directory) error {
		u, err := findUser(cmd.Context(), users, name)
		if err != nil {
			return err
		}
		if err := c.cuts.User(cmd.Context(), u.ID, reason, c.actor); err != nil {
			return fmt.Errorf("user %s: %w", name, err)
		}
		fmt.Fprintf(t.stdout, "revoked everything that was issued for user %s so far\n", u.Username)
		return nil
	})
}
