package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/grants"
)

func sessionCommand(t *terminal) *cobra.Command {
	return group("session", "The browsers in which people are signed in", sessionList(t), sessionEnd(t))
}

type sessionJSON struct {
	ID        string  `json:"id"`
	User      string  `json:"user"`
	CreatedAt *string `json:"created_at"`
	SeenAt    *string `json:"seen_at"`
	ExpiresAt *string `json:"expires_at"`
	Address   string  `json:"address"`
	UserAgent string  `json:"user_agent"`
	// ClientID is the app that signed the user in by itself.
	ClientID string `json:"client_id,omitempty"`
}

// withSessions is withUsers for what is about one user's login sessions.
func (t *terminal) withSessions(cmd *cobra.Command, user string, do func(*concerns, *accounts.Sessions, accounts.User) error) error {
	if err := require(cmd, "user"); err != nil {
		return err
	}
	return t.withUsers(cmd, func(c *concerns, users *accounts.Directory) error {
		u, err := findUser(cmd.Context(), users, user)
		if err != nil {
			return err
		}
		return do(c, c.sessions(), u)
	})
}

func (c *concerns) sessions() *accounts.Sessions {
	return accounts.NewSessions(c.store, c.cfg.Sessions.IdleTTL.Std(), c.cfg.Sessions.TTL.Std(), c.t.now)
}

func sessionList(t *terminal) *cobra.Command {
	var (
		user   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list --user U", Short: "List where a user is signed in, newest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withSessions(cmd, user, func(_ *concerns, sessions *accounts.Sessions, u accounts.User) error {
				list, _, err := sessions.Of(cmd.Context(), u.ID, "", 0)
				if err != nil {
					return err
				}
				if asJSON {
					out := make([]sessionJSON, len(list))
					for i, s := range list {
						out[i] = sessionJSON{s.ID, u.Username, instant(s.CreatedAt), instant(s.SeenAt), instant(s.ExpiresAt), s.Address, s.UserAgent, s.ClientID}
					}
					return t.printJSON(out)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tSINCE\tSEEN\tADDRESS\tBROWSER\tAPP")
				for _, s := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, text(s.CreatedAt), text(s.SeenAt), visible(s.Address), visible(s.UserAgent), s.ClientID)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "whose, by name or id")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func sessionEnd(t *terminal) *cobra.Command {
	var user, id, reason string
	cmd := &cobra.Command{
		Use: "end --user U [--session ID]", Short: "End a user's login sessions: all, unless one is named", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withSessions(cmd, user, func(c *concerns, sessions *accounts.Sessions, u accounts.User) error {
				var ended int
				var err error
				if id == "" {
					ended, err = sessions.EndAll(cmd.Context(), u.ID, reason, c.actor)
				} else if err = sessions.End(cmd.Context(), u.ID, id, reason, c.actor); err == nil {
					ended = 1
				} else if errors.Is(err, accounts.ErrNoSession) {
					err = fmt.Errorf("session %s: %w", id, accounts.ErrNoSession)
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "ended %d login sessions of user %s\n", ended, u.Username)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&user, "user", "", "whose, by name or id")
	f.StringVar(&id, "session", "", "only this one")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

func grantCommand(t *terminal) *cobra.Command {
	return group("grant", "What users allowed clients in a sign-in", grantList(t))
}

type grantJSON struct {
	ID         string   `json:"id"`
	ClientID   string   `json:"client_id"`
	User       string   `json:"user"`
	Session    string   `json:"session"`
	Scopes     []string `json:"scopes"`
	Audiences  []string `json:"audiences"`
	Generation int64    `json:"generation"`
	CreatedAt  *string  `json:"created_at"`
	RefreshAt  *string  `json:"refreshed_at"`
	ExpiresAt  *string  `json:"expires_at"`
	// Revoked is whether it does not stand any more, for whatever reason.
	Revoked bool `json:"revoked"`
}

func grantList(t *terminal) *cobra.Command {
	var (
		user, client string
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use: "list --user U | --client C", Short: "List grants that have not expired, newest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if user == "" && client == "" {
				return usage(cmd, "give --user, --client or both")
			}
			return t.withUsers(cmd, func(c *concerns, users *accounts.Directory) error {
				q := grants.Query{ClientID: client}
				if user != "" {
					u, err := findUser(cmd.Context(), users, user)
					if err != nil {
						return err
					}
					q.UserID = u.ID
				}
				list, err := c.store.Grants(cmd.Context(), q, t.now())
				if err != nil {
					return err
				}
				out := make([]grantJSON, len(list))
				for i, g := range list {
					out[i] = grantJSON{
						g.ID, g.ClientID, g.UserID, g.SessionID, append([]string{}, g.Scopes...), append([]string{}, g.Audiences...),
						g.Refresh.Generation, instant(g.CreatedAt), instant(g.Refresh.IssuedAt), instant(g.ExpiresAt), !g.Stands,
					}
				}
				if asJSON {
					return t.printJSON(out)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tCLIENT\tUSER\tGENERATION\tCREATED\tEXPIRES\tREVOKED")
				for _, g := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%t\n", g.ID, g.ClientID, g.UserID, g.Refresh.Generation, text(g.CreatedAt), text(g.ExpiresAt), !g.Stands)
				}
				return w.Flush()
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&user, "user", "", "whose, by name or id")
	f.StringVar(&client, "client", "", "which client's")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
