package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/spf13/cobra"
)

type clientJSON struct {
	ID                     string       `json:"client_id"`
	Name                   string       `json:"name"`
	Grants                 []string     `json:"grant_types"`
	RedirectURIs           []string     `json:"redirect_uris"`
	Scopes                 []string     `json:"scopes"`
	Audiences              []string     `json:"audiences"`
	Introspects            []string     `json:"introspects"`
	Auth                   string       `json:"token_endpoint_auth_method"`
	PostLogoutRedirectURIs []string     `json:"post_logout_redirect_uris"`
	InsecureRedirects      bool         `json:"insecure_redirects,omitempty"`
	PKCE                   string       `json:"pkce"`
	RefreshGrace           *string      `json:"refresh_grace"`
	RefreshIDToken         bool         `json:"refresh_id_token"`
	IDTokenClaims          bool         `json:"id_token_claims"`
	IDTokenAlg             string       `json:"id_token_signed_response_alg"`
	FormerIDTokenAlg       string       `json:"former_id_token_signed_response_alg,omitempty"`
	IDTokenAlgFrom         *string      `json:"id_token_signed_response_alg_from,omitempty"`
	FirstParty             bool         `json:"first_party"`
	Hold                   string       `json:"hold,omitempty"`
	Origins                []string     `json:"origins,omitempty"`
	Disabled               bool         `json:"disabled"`
	Secrets                []secretJSON `json:"secrets"`
	CreatedAt              *string      `json:"created_at"`
	// ClientSecret is present only in the answer to the command that generated it.
	ClientSecret string `json:"client_secret,omitempty"`
}

func newClientJSON(c clients.Client, now time.Time) clientJSON {
	signing := newSigningJSON(c.IDTokenSigning, now)
	secrets := make([]secretJSON, len(c.Secrets))
	for i, s := range c.Secrets {
		secrets[i] = secretJSON{ID: s.ID, CreatedAt: instant(s.CreatedAt)}
	}
	list := func(s []string) []string { return append([]string{}, s...) } // [], never null
	var grace *string
	if c.RefreshGrace != nil {
		s := c.RefreshGrace.String()
		grace = &s
	}
	return clientJSON{
		ID: c.ID, Name: c.Name, Grants: list(c.Grants), RedirectURIs: list(c.RedirectURIs),
		Scopes: list(c.Scopes), Audiences: list(c.Audiences), Introspects: list(c.Introspects), Auth: string(c.Auth),
		PostLogoutRedirectURIs: list(c.PostLogoutRedirectURIs), InsecureRedirects: c.InsecureRedirects, PKCE: string(c.PKCE), RefreshGrace: grace, RefreshIDToken: !c.NoRefreshIDToken, IDTokenClaims: !c.NoIDTokenClaims,
		IDTokenAlg: signing.Alg, FormerIDTokenAlg: signing.Former, IDTokenAlgFrom: signing.From,
		FirstParty: c.FirstParty, Hold: string(c.Hold), Origins: c.Origins, Disabled: c.Disabled, Secrets: secrets, CreatedAt: instant(c.CreatedAt),
	}
}

func clientList(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the clients", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				list, err := c.clients.List(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					out := make([]clientJSON, len(list))
					for i, c := range list {
						out[i] = newClientJSON(c, t.now())
					}
					return t.printJSON(out)
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
			return t.withConcerns(cmd, func(con *concerns) error {
				c, err := con.clients.Client(cmd.Context(), args[0])
				if err != nil {
					return named("client "+args[0], err)
				}
				if asJSON {
					return t.printJSON(newClientJSON(*c, t.now()))
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				for _, row := range [][2]string{
					{"client id", c.ID},
					{"name", c.Name},
					{"state", stateText(*c)},
					{"grant types", strings.Join(c.Grants, " ")},
					{"redirect URIs", strings.Join(c.RedirectURIs, " ")},
					{"after sign-out", strings.Join(c.PostLogoutRedirectURIs, " ")},
					{"scope", strings.Join(c.Scopes, " ")},
					{"audiences", strings.Join(c.Audiences, " ")},
					{"introspects", strings.Join(c.Introspects, " ")},
					{"authentication", string(c.Auth)},
					{"PKCE", string(c.PKCE)},
					{"consent", consentText(*c)},
					{"ID tokens", idTokenText(*c) + ", signed by " + signingText(c.IDTokenSigning, t.now())},
					{"refresh tokens", holdText(*c)},
					{"created", text(c.CreatedAt)},
				} {
					fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
				}
				for _, s := range c.Secrets {
					fmt.Fprintf(w, "secret\t%s, added %s\n", s.ID, text(s.CreatedAt))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func stateText(c clients.Client) string {
	if c.Disabled {
		return "disabled"
	}
	return "enabled"
}

// consentText says whether people are asked for their consent.
func consentText(c clients.Client) string {
	if c.FirstParty {
		return "skipped"
	}
	return "asked for"
}

// idTokenText says what the ID tokens of a client contain.
func idTokenText(c clients.Client) string {
	if c.NoIDTokenClaims {
		return "who it is; the rest is at userinfo"
	}
	return "what the scopes release"
}

// holdText says how a first-party app stores refresh tokens.
func holdText(c clients.Client) string {
	switch c.Hold {
	case clients.HoldCookie:
		return "in a cookie, from " + strings.Join(c.Origins, " ")
	case clients.HoldMemory:
		return "in its memory"
	}
	return "as the standard has it"
}
