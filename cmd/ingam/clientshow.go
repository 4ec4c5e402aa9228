package main

import (
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/cobra"
)

func clientList(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the clients", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				list := []admin.Client{}
				err := eachOf(cmd.Context(), api, "/clients", nil, func(c admin.Client) error { list = append(list, c); return nil })
				if err != nil {
					return err
				}
				if asJSON {
					return t.printJSON(list)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "CLIENT ID\tNAME\tGRANT TYPES\tAUTH\tPKCE\tSTATE")
				for _, c := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.Name, strings.Join(c.Grants, " "), c.Auth, c.PKCE, stateText(c))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func clientShow(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a client", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				var c admin.Client
				if _, err := api.do(cmd.Context(), request{method: http.MethodGet, path: "/clients" + segment(args[0])}, &c); err != nil {
					return named("client "+args[0], err)
				}
				if asJSON {
					return t.printJSON(c)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				for _, row := range [][2]string{
					{"client id", c.ID},
					{"name", c.Name},
					{"state", stateText(c)},
					{"grant types", strings.Join(c.Grants, " ")},
					{"redirect URIs", strings.Join(c.RedirectURIs, " ")},
					{"after sign-out", strings.Join(c.PostLogoutRedirectURIs, " ")},
					{"scope", strings.Join(c.Scopes, " ")},
					{"audiences", strings.Join(c.Audiences, " ")},
					{"introspects", strings.Join(c.Introspects, " ")},
					{"authentication", c.Auth},
					{"PKCE", c.PKCE},
					{"consent", consentText(c)},
					{"ID tokens", idTokenText(c) + ", signed by " + signingText(clientSigning(c))},
					{"refresh tokens", holdText(c)},
					{"created", instantText(c.CreatedAt)},
				} {
					fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
				}
				for _, s := range c.Secrets {
					fmt.Fprintf(w, "secret\t%s, added %s\n", s.ID, instantText(s.CreatedAt))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func stateText(c admin.Client) string {
	if c.Disabled {
		return "disabled"
	}
	return "enabled"
}

// consentText says whether people are asked for their consent.
func consentText(c admin.Client) string {
	if c.FirstParty {
		return "skipped"
	}
	return "asked for"
}

// idTokenText says what the ID tokens of a client contain.
func idTokenText(c admin.Client) string {
	if !c.IDTokenClaims {
		return "who it is; the rest is at userinfo"
	}
	return "what the scopes release"
}

// clientSigning is by which algorithm ID tokens for a client are signed.
func clientSigning(c admin.Client) signing {
	return signing{c.IDTokenAlg, c.FormerIDTokenAlg, c.IDTokenAlgFrom}
}

// holdText says how a first-party app stores refresh tokens.
func holdText(c admin.Client) string {
	switch c.Hold {
	case string(clients.HoldCookie):
		return "in a cookie, from " + strings.Join(c.Origins, " ")
	case string(clients.HoldMemory):
		return "in its memory"
	}
	return "as the standard has it"
}
