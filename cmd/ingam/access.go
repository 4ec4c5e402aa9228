package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/config"
)

// access is what one client may do for one user.
type access struct {
	of consents.Holder
	authz.Connection
}

type accessJSON struct {
	UserID       string `json:"user_id"`
	Username     string `json:"username"`
	UserDisabled bool   `json:"user_disabled"`

	ClientID       string `json:"client_id"`
	ClientName     string `json:"client_name"`
	ClientDisabled bool   `json:"client_disabled"`

	Permissions []permissionJSON `json:"permissions"`
	Since       *string          `json:"since"`
	LastUsed    *string          `json:"last_used"`
}

type permissionJSON struct {
	// Audience is empty for one of the server's own scopes.
	Audience string `json:"audience"`
	Scope    string `json:"scope"`
}

func accessCommand(t *terminal) *cobra.Command {
	var (
		user, client string
		shown        bound
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use:   "access --user U | --client C",
		Short: "Show who has access to what, since when, and when it was last used",
		Long: "Show which clients have access to a user's data, or to which users' data a client has access:\n" +
			"the scopes that are still allowed, with or without consent, since when, and when the client\n" +
			"last got tokens for them. The account page shows the same to the user.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			byUser, byClient := cmd.Flags().Changed("user"), cmd.Flags().Changed("client")
			if !byUser && !byClient {
				return usage(cmd, "give --user, --client or both")
			}
			if err := shown.check(cmd); err != nil {
				return err
			}
			ctx := cmd.Context()
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) error {
				if byClient {
					of, err := c.clients.Client(ctx, client)
					if err != nil {
						return named("client "+client, err)
					}
					if slices.Contains(of.Grants, clients.ClientCredentials) {
						fmt.Fprintf(t.stderr, "Client %s also gets client credentials tokens, for: %s. It is not recorded when.\n", client, strings.Join(of.Scopes, " "))
					}
				}
				var read iter.Seq2[access, error]
				if byUser {
					u, err := findUser(ctx, users, user)
					if err != nil {
						return err
					}
					read = c.accessOf(ctx, consents.Holder{UserID: u.ID, Username: u.Username, Disabled: u.Disabled}, client)
				} else {
					read = c.accessBy(ctx, client)
				}
				list := t.printList(asJSON, "USER NAME", "USER ID", "CLIENT ID", "CLIENT NAME", "SINCE", "LAST USED", "STATE", "PERMISSIONS")
				return printBound(t, list, read, &shown, "the first by name", func(a access) (any, []any) {
					permissions := permission.ParseAll(a.Permissions)
					j := accessJSON{
						UserID: a.of.UserID, Username: a.of.Username, UserDisabled: a.of.Disabled,
						ClientID: a.ClientID, ClientName: a.Name, ClientDisabled: a.Disabled,
						Permissions: make([]permissionJSON, len(permissions)), Since: instant(a.Since), LastUsed: instant(a.LastUsed),
					}
					for i, p := range permissions {
						j.Permissions[i] = permissionJSON(p)
					}
					return j, []any{a.of.Username, a.of.UserID, a.ClientID, visible(a.Name), text(a.Since), text(a.LastUsed), a.state(), permissionsText(permissions)}
				})
			}, config.ForIssuer)
		},
	}
	f := cmd.Flags()
	f.StringVar(&user, "user", "", "a user, by name or id")
	f.StringVar(&client, "client", "", "a client, by its client_id")
	shown.bind(cmd, 100, "the first by name")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// accessOf returns the access of all clients, or of one, for a user.
func (c *concerns) accessOf(ctx context.Context, of consents.Holder, client string) iter.Seq2[access, error] {
	rules := &grants.Rules{APIs: c.apis, Issuer: c.cfg.Issuer.String(), AccessTTL: c.cfg.Tokens.AccessTTL.Std(), Now: c.t.now}
	connections := authz.NewConnected(c.clients, rules, consents.New(c.store, c.t.now), c.store, c.t.now)
	return func(yield func(access, error) bool) {
		var connected []authz.Connection
		var err error
		if client == "" {
			connected, err = connections.Of(ctx, of.UserID)
		} else {
			connected, err = connections.To(ctx, of.UserID, client)
		}
		if err != nil {
			yield(access{}, err)
			return
		}
		for _, connection := range connected {
			if !yield(access{of, connection}, nil) {
				return
			}
		}
	}
}

// accessBy returns the access of a client for every user.
func (c *concerns) accessBy(ctx context.Context, client string) iter.Seq2[access, error] {
	return func(yield func(access, error) bool) {
		for of, err := range c.store.Holders(ctx, client) {
			if err != nil {
				yield(access{}, err)
				return
			}
			for a, err := range c.accessOf(ctx, of, client) {
				if !yield(a, err) || err != nil {
					return
				}
			}
		}
	}
}

// state says what prevents the access from being used at present.
func (a access) state() string {
	switch {
	case a.of.Disabled:
		return "user disabled"
	case a.Disabled:
		return "client disabled"
	}
	return "enabled"
}

// permissionsText lists the server's own scopes, and then those of each API.
func permissionsText(all []permission.Permission) string {
	var audiences []string
	scopes := map[string][]string{}
	for _, p := range all {
		if scopes[p.Audience] == nil {
			audiences = append(audiences, p.Audience)
		}
		scopes[p.Audience] = append(scopes[p.Audience], p.Scope)
	}
	slices.Sort(audiences) // the server's own are first
	var told []string
	for _, audience := range audiences {
		of := strings.Join(scopes[audience], " ")
		if audience != "" {
			of += " at " + audience
		}
		told = append(told, of)
	}
	if told == nil {
		return "-"
	}
	return strings.Join(told, ", ")
}
