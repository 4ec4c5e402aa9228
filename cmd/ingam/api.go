package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/spf13/cobra"
)

func apiCommand(t *terminal) *cobra.Command {
	return group("api", "The APIs that tokens are made for", apiCreate(t), apiList(t), apiShow(t), apiUpdate(t), apiDelete(t), apiSecret(t))
}

func apiCreate(t *terminal) *cobra.Command {
	var (
		a      apis.API
		flags  apiFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   `create --audience A --name N --scope "read write"`,
		Short: "Register an API",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "audience", "name", "scope"); err != nil {
				return err
			}
			if err := flags.apply(cmd.Flags(), &a); err != nil {
				return err
			}
			return t.withRings(cmd, ringFlags, func(c *concerns) error {
				created, err := c.apis.Create(cmd.Context(), a, c.actor)
				if err != nil {
					return named("API "+a.Audience, err)
				}
				if created.Signing != (apis.Signing{}) || created.EncryptionJWK != "" {
					c.settle(cmd.Context()) // servers must have its keys
				}
				if asJSON {
					return t.printJSON(newAPIJSON(created, c.apis.Own(), t.now()))
				}
				fmt.Fprintf(t.stdout, "created API %s\n", created.Audience)
				t.tellShared(created, false)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.Audience, "audience", "", "the aud of access tokens for the API, usually its URL")
	flags.bind(f)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiUpdate(t *terminal) *cobra.Command {
	var (
		flags  apiFlags
		reason string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "update AUDIENCE",
		Short: "Change an API; what was issued stays",
		Long: `Change an API. A flag replaces a value; without a flag the value stays. Nothing ends.
If you remove a scope, new tokens lack it from the next refresh on, and introspection
does not show it. If you add it again, the grants that had it have it again. If you
change the algorithm, the former one signs until every verifier can know a key for the
new one; the command says from when. HS256 signs at once: give the API its secret before,
with ingam api secret add, or it refuses tokens until it has the one that this command
makes. If you set an encryption key, new tokens are encrypted at once, so the API must
have the private half before.`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := somethingGiven(cmd); err != nil {
				return err
			}
			return t.withRings(cmd, ringFlags, func(c *concerns) error {
				var offered []string
				shared := false
				a, changed, err := c.apis.Update(cmd.Context(), args[0], func(a *apis.API) error {
					offered, shared = a.Scopes, a.Signing.Wants() == apis.SharedAlg
					return flags.apply(cmd.Flags(), a)
				}, reason, c.actor)
				if err != nil {
					return ofAPI(args[0], err)
				}
				if changed {
					if err := c.warnUnoffered(cmd, a, offered); err != nil {
						return err
					}
					t.tellSigning("access tokens for the API", newSigningJSON(a.Signing, t.now()))
					c.settle(cmd.Context())
				}
				if asJSON {
					return t.printJSON(newAPIJSON(a, c.apis.Own(), t.now()))
				}
				t.updated(changed, "API", a.Audience)
				t.tellShared(a, shared)
				return nil
			})
		},
	}
	f := cmd.Flags()
	flags.bind(f)
	flags.scopes.split = apis.ParseScope
	flags.scopes.bind(f, "scope")
	for _, flag := range scopeTextFlags {
		f.Lookup(flag.name).Usage += "; SCOPE= removes the text"
	}
	fix(f, "audience", "an API's audience cannot be changed: clients and tokens name it", false)
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// warnUnoffered warns of clients that are registered for a scope which the API offered
// before, and which none of their APIs offers now.
func (c *concerns) warnUnoffered(cmd *cobra.Command, a apis.API, before []string) error {
	all, err := c.apis.List(cmd.Context())
	if err != nil {
		return err
	}
	named, err := c.clients.List(cmd.Context())
	if err != nil {
		return err
	}
	for _, client := range named {
		lost := slices.DeleteFunc(client.Unoffered(all, c.apis.Own()), func(scope string) bool { return !slices.Contains(before, scope) })
		if slices.Contains(client.Audiences, a.Audience) && len(lost) > 0 {
			fmt.Fprintf(c.t.stderr, "client %s still names the scope %s, which none of its APIs offers now: it gets no more tokens for that scope\n",
				client.ID, strings.Join(lost, " "))
		}
	}
	return nil
}

func apiDelete(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "delete AUDIENCE", Short: "Delete an API that no client is registered for", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				err := c.apis.Delete(cmd.Context(), args[0], c.actor)
				err = named("API "+args[0], err)
				if errors.Is(err, catalog.ErrInUse) {
					return fmt.Errorf("%w; first, for each: ingam client update ID --remove-audience %s, or --remove-introspects %s, or both", err, args[0], args[0])
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "deleted API %s\n", args[0])
				return nil
			})
		},
	}
}
