package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/spf13/cobra"
)

func clientCommand(t *terminal) *cobra.Command {
	return group("client", "The applications that ask for tokens",
		clientCreate(t), clientList(t), clientShow(t), clientUpdate(t),
		clientChange(t, "disable", "Refuse a client everything until it is enabled", "disabled", (*clients.Registry).Disable),
		clientChange(t, "enable", "Take a disable back", "enabled", (*clients.Registry).Enable),
		clientChange(t, "delete", "Remove a client; what was issued to it no longer stands", "deleted", (*clients.Registry).Delete),
		group("secret", "Rotate a client's secret", secretAdd(t), secretRemove(t)),
	)
}

func clientCreate(t *terminal) *cobra.Command {
	var (
		flags                clientFlags
		id, auth, secretFile string
		asJSON               bool
	)
	cmd := &cobra.Command{
		Use:   `create --id ID --name N --grant G… --scope "a b" --auth METHOD`,
		Short: "Register a client",
		Long:  "Register a client. A generated secret is shown once, here, and cannot be shown again.",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "id", "name", "auth"); err != nil {
				return err
			}
			c := clients.Client{ID: id, Auth: clients.AuthMethod(auth)}
			if err := flags.apply(cmd.Flags(), &c); err != nil {
				return err
			}
			given, err := readSecret(secretFile)
			if err != nil {
				return err
			}
			return t.withRings(cmd, []string{"id-token-alg"}, func(con *concerns) error {
				if err := con.onSite(c); err != nil {
					return err
				}
				created, secret, err := con.clients.Create(cmd.Context(), c, given, con.actor)
				if err != nil {
					return named("client "+id, err)
				}
				t.warn(created)
				if created.IDTokenSigning != (apis.Signing{}) {
					con.settle(cmd.Context()) // servers must have its keys
				}
				if given != "" {
					secret = "" // the operator chose it, and need not be shown it
				}
				if asJSON {
					j := newClientJSON(created, t.now())
					j.ClientSecret = secret
					return t.printJSON(j)
				}
				fmt.Fprintf(t.stdout, "created client %s\n", created.ID)
				t.showSecret(secret)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&id, "id", "", "the client_id")
	f.StringVar(&auth, "auth", "", "how the client authenticates: client_secret_basic, client_secret_post, or none (a public client)")
	f.StringVar(&secretFile, "secret-file", "", "a file with the secret to use instead of a generated one, at least 32 characters")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	flags.bind(f)
	return cmd
}

// warn prints warnings about a client to whoever registered it.
func (t *terminal) warn(c clients.Client) {
	for _, warning := range c.Warnings() {
		fmt.Fprintf(t.stderr, "warning: %s\n", warning)
	}
}

// warnStillAPI warns of APIs for which a client may ask no longer, and whose tokens it may
// still introspect.
func (t *terminal) warnStillAPI(c clients.Client, before []string) {
	for _, audience := range before {
		if !slices.Contains(c.Audiences, audience) && slices.Contains(c.Introspects, audience) {
			fmt.Fprintf(t.stderr, "warning: client %s still is the API %s: it may introspect its tokens, until: ingam client update %s --remove-introspects %s\n", c.ID, audience, c.ID, audience)
		}
	}
}

func clientUpdate(t *terminal) *cobra.Command {
	var (
		flags  clientFlags
		reason string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change a client; what was issued to it stays",
		Long: `Change a client. A flag replaces a value; without a flag the value stays. Nothing ends:
secrets, grants and refresh tokens stay. If you remove a scope or an API, new tokens lack
it from the next refresh on, and introspection does not show it. If you add it again, the
grants that had it have it again.`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := somethingGiven(cmd); err != nil {
				return err
			}
			return t.withRings(cmd, []string{"id-token-alg"}, func(con *concerns) error {
				var before []string
				c, changed, err := con.clients.Update(cmd.Context(), args[0], func(c *clients.Client) error {
					before = c.Audiences
					if err := flags.apply(cmd.Flags(), c); err != nil {
						return err
					}
					return con.onSite(*c)
				}, reason, con.actor)
				if err != nil {
					return named("client "+args[0], err)
				}
				if changed {
					t.warn(c)
					if !cmd.Flags().Changed("introspects") { // or it was said which it is to be
						t.warnStillAPI(c, before)
					}
					t.tellSigning("ID tokens for the client", c.IDTokenSigning)
					con.settle(cmd.Context())
				}
				if asJSON {
					return t.printJSON(newClientJSON(c, t.now()))
				}
				t.updated(changed, "client", c.ID)
				return nil
			})
		},
	}
	f := cmd.Flags()
	flags.bind(f)
	flags.edits.bind(f)
	fix(f, "id", "a client's id cannot be changed: grants and tokens name it", false)
	fix(f, "auth", "whether a client has a secret cannot be changed; register another one", false)
	fix(f, "secret-file", "secrets are changed by: ingam client secret add ID, and ingam client secret remove ID", false)
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type clientVerb func(d *clients.Registry, ctx context.Context, id, reason string, by audit.Actor) error

func clientChange(t *terminal, verb, short, past string, change clientVerb) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: verb + " ID", Short: short, Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				if err := change(c.clients, cmd.Context(), args[0], reason, c.actor); err != nil {
					return named("client "+args[0], err)
				}
				if verb != "enable" { // a server that is behind never refuses by what it holds
					c.settle(cmd.Context())
				}
				fmt.Fprintf(t.stdout, "%s client %s\n", past, args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}
