package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
)

func sessionCommand(t *terminal) *cobra.Command {
	return group("session", "The browsers in which people are signed in", sessionList(t), sessionEnd(t))
}

type sessionJSON struct {
	ID string `json:"id"`
	// User is the user name.
	User      string  `json:"user"`
	UserID    string  `json:"user_id"`
	CreatedAt *string `json:"created_at"`
	SeenAt    *string `json:"seen_at"`
	ExpiresAt *string `json:"expires_at"`
	Address   string  `json:"address"`
	UserAgent string  `json:"user_agent"`
	// ClientID is the first-party app that signed the user in.
	ClientID   string `json:"client_id,omitempty"`
	ClientName string `json:"client_name,omitempty"`
}

func (c *concerns) sessions() *sessions.Sessions {
	return sessions.New(c.store, c.cfg.Sessions.IdleTTL.Std(), c.cfg.Sessions.TTL.Std(), c.t.now)
}

func sessionList(t *terminal) *cobra.Command {
	var (
		user   string
		shown  bound
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list [--user U]", Short: "List where users are signed in, newest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := shown.check(cmd); err != nil {
				return err
			}
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) error {
				of, err := idOf(cmd, users, user)
				if err != nil {
					return err
				}
				list := t.printList(asJSON, "ID", "USER NAME", "USER ID", "SINCE", "SEEN", "ADDRESS", "BROWSER", "APP", "APP NAME")
				read := c.sessions().List(cmd.Context(), sessions.Query{UserID: of, Limit: shown.most()})
				return printBound(t, list, read, &shown, "the newest login sessions", func(s sessions.Listed) (any, []any) {
					return sessionJSON{
						s.ID, s.Username, s.UserID, instant(s.CreatedAt), instant(s.SeenAt), instant(s.ExpiresAt), s.Address, s.UserAgent, s.ClientID, s.ClientName,
					}, []any{s.ID, s.Username, s.UserID, text(s.CreatedAt), text(s.SeenAt), visible(s.Address), visible(s.UserAgent), s.ClientID, visible(s.ClientName)}
				})
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "whose, by name or id (default everyone's)")
	shown.bind(cmd, 100, "the newest login sessions")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// idOf returns the id of the user that --user names; empty if the flag was not given.
func idOf(cmd *cobra.Command, users *accounts.Users, name string) (string, error) {
	if !cmd.Flags().Changed("user") {
		return "", nil
	}
	u, err := findUser(cmd.Context(), users, name)
	return u.ID, err
}

func sessionEnd(t *terminal) *cobra.Command {
	var user, id, reason string
	cmd := &cobra.Command{
		Use: "end --user U [--session ID]", Short: "End a user's login sessions: all, or the one that --session names", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "user"); err != nil {
				return err
			}
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) error {
				u, err := findUser(cmd.Context(), users, user)
				if err != nil {
					return err
				}
				var ended int
				if id == "" {
					ended, err = c.sessions().EndAll(cmd.Context(), u.ID, reason, c.actor)
				} else if err = c.sessions().End(cmd.Context(), u.ID, id, reason, c.actor); err == nil {
					ended = 1
				} else if errors.Is(err, sessions.ErrNotFound) {
					err = named("session "+id, sessions.ErrNotFound)
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
	f.StringVar(&id, "session", "", "end only this login session")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

func grantCommand(t *terminal) *cobra.Command {
	return group("grant", "What users allowed clients in a sign-in", grantList(t))
}

type grantJSON struct {
	ID         string `json:"id"`
	ClientID   string `json:"client_id"`
	ClientName string `json:"client_name"`
	// User is the user's id.
	User       string   `json:"user"`
	Username   string   `json:"username"`
	Session    string   `json:"session"`
	Scopes     []string `json:"scopes"`
	Audiences  []string `json:"audiences"`
	Generation int64    `json:"generation"`
	CreatedAt  *string  `json:"created_at"`
	RefreshAt  *string  `json:"refreshed_at"`
	ExpiresAt  *string  `json:"expires_at"`
	// Revoked says that the grant no longer stands, for whatever reason.
	Revoked bool `json:"revoked"`
}

func grantList(t *terminal) *cobra.Command {
	var (
		user, client string
		shown        bound
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use: "list [--user U] [--client C]", Short: "List grants that have not expired, newest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := shown.check(cmd); err != nil {
				return err
			}
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) error {
				of, err := idOf(cmd, users, user)
				if err != nil {
					return err
				}
				if cmd.Flags().Changed("client") {
					// A misspelled client id would find no grants, and look as if all
					// was well.
					if _, err := c.clients.Client(cmd.Context(), client); err != nil {
						return named("client "+client, err)
					}
				}
				list := t.printList(asJSON, "ID", "CLIENT ID", "CLIENT NAME", "USER NAME", "USER ID", "GENERATION", "CREATED", "EXPIRES", "REVOKED")
				read := c.store.Grants(cmd.Context(), grants.Query{UserID: of, ClientID: client, Limit: shown.most()}, t.now())
				return printBound(t, list, read, &shown, "the newest grants", func(g grants.Listed) (any, []any) {
					return grantJSON{
						g.ID, g.ClientID, g.ClientName, g.UserID, g.Username, g.SessionID, append([]string{}, g.Scopes...), append([]string{}, g.Audiences...),
						g.Refresh.Generation, instant(g.CreatedAt), instant(g.Refresh.IssuedAt), instant(g.ExpiresAt), !g.Stands,
					}, []any{g.ID, g.ClientID, visible(g.ClientName), g.Username, g.UserID, g.Refresh.Generation, text(g.CreatedAt), text(g.ExpiresAt), !g.Stands}
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&user, "user", "", "whose, by name or id (default everyone's)")
	f.StringVar(&client, "client", "", "which client's (default every client's)")
	shown.bind(cmd, 100, "the newest grants")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
