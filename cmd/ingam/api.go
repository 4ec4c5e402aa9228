package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/apis"
)

func apiCommand(t *terminal) *cobra.Command {
	return group("api", "The APIs that tokens are made for", apiCreate(t), apiList(t), apiDelete(t))
}

type apiJSON struct {
	ID        string   `json:"id"`
	Audience  string   `json:"audience"`
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes"`
	AccessTTL string   `json:"access_ttl,omitempty"`
	Roles     bool     `json:"roles"`
	CreatedAt *string  `json:"created_at"`
}

func newAPIJSON(a apis.API) apiJSON {
	j := apiJSON{ID: a.ID, Audience: a.Audience, Name: a.Name, Scopes: a.Scopes, Roles: a.Roles, CreatedAt: instant(a.CreatedAt)}
	if a.AccessTTL != 0 {
		j.AccessTTL = a.AccessTTL.String()
	}
	return j
}

func apiCreate(t *terminal) *cobra.Command {
	var (
		a      apis.API
		scope  string
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
			if cmd.Flags().Changed("access-ttl") && a.AccessTTL == 0 {
				return fmt.Errorf("%w: --access-ttl is zero", apis.ErrInvalid)
			}
			var err error
			if a.Scopes, err = apis.ParseScope(scope); err != nil {
				return err
			}
			return t.withConcerns(cmd, func(c *concerns) error {
				created, err := c.apis.Create(cmd.Context(), a, c.actor)
				if err != nil {
					return err
				}
				if asJSON {
					return t.printJSON(newAPIJSON(created))
				}
				fmt.Fprintf(t.stdout, "created API %s\n", created.Audience)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.Audience, "audience", "", "what tokens for this API carry in aud, usually its URL")
	f.StringVar(&a.Name, "name", "", "what people are shown")
	f.StringVar(&scope, "scope", "", "the scopes it offers, separated by spaces")
	f.DurationVar(&a.AccessTTL, "access-ttl", 0, "life of an access token for it, from 1m to 24h (default: the server's tokens.access_ttl)")
	f.BoolVar(&a.Roles, "roles", false, "access tokens for it carry the user's roles")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiList(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the APIs", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				list, err := c.apis.List(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					out := make([]apiJSON, len(list))
					for i, a := range list {
						out[i] = newAPIJSON(a)
					}
					return t.printJSON(out)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "AUDIENCE\tNAME\tSCOPE\tACCESS TTL")
				for _, a := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.Audience, a.Name, strings.Join(a.Scopes, " "), ttlText(a.AccessTTL))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiDelete(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "delete AUDIENCE", Short: "Remove an API that no client names", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				if err := c.apis.Delete(cmd.Context(), args[0], c.actor); err != nil {
					return fmt.Errorf("API %s: %w", args[0], err)
				}
				fmt.Fprintf(t.stdout, "deleted API %s\n", args[0])
				return nil
			})
		},
	}
}

func ttlText(d time.Duration) string {
	if d == 0 {
		return "default"
	}
	return d.String()
}
