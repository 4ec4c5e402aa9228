package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/cobra"
)

// forPrograms returns an API as --json prints it.
func forPrograms(a admin.API) admin.API {
	a.DefaultTTL, a.EncryptionKey, a.Warnings = "", nil, nil
	return a
}

// encryptionText says to which key access tokens for an API are encrypted.
func encryptionText(e *admin.Encryption) string {
	switch {
	case e == nil:
		return "none"
	case e.KID == "":
		return fmt.Sprintf("%s, thumbprint %s", e.Alg, e.Thumbprint)
	}
	return fmt.Sprintf("%s, kid %s, thumbprint %s", e.Alg, e.KID, e.Thumbprint)
}

// signing is by which algorithm tokens are signed and, where a change has yet to take
// effect, by which one until when.
type signing struct {
	alg, former string
	from        *string
}

// apiSigning is by which algorithm access tokens for an API are signed.
func apiSigning(a admin.API) signing {
	return signing{a.SigningAlg, a.FormerSigningAlg, a.SigningAlgFrom}
}

// signingText says the same for people.
func signingText(s signing) string {
	if s.from == nil {
		return s.alg
	}
	return fmt.Sprintf("%s from %s, until then %s", s.alg, instantText(s.from), s.former)
}

// tellSigning says from when a new algorithm signs, if that is not at once.
func (t *terminal) tellSigning(what string, s signing) {
	if s.from != nil {
		fmt.Fprintf(t.stderr, "%s are signed with %s: verifiers may keep a key set without the new key until then\n", what, signingText(s))
	}
}

func apiList(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the APIs", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				list := []admin.API{}
				err := eachOf(cmd.Context(), api, "/apis", nil, func(a admin.API) error { list = append(list, a); return nil })
				if err != nil {
					return err
				}
				if asJSON {
					for i, a := range list {
						list[i] = forPrograms(a)
					}
					return t.printJSON(list)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "AUDIENCE\tNAME\tSCOPE\tACCESS TTL\tROLES")
				for _, a := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\n", a.Audience, a.Name, strings.Join(a.Scopes, " "), ttlText(a), a.Roles)
				}
				if err := w.Flush(); err != nil {
					return err
				}
				for _, a := range list {
					if len(a.Kept) > 0 {
						fmt.Fprintf(t.stdout, "%s offered %s before the server had scopes of these names: for clients of this API they are the API's.\n", a.Audience, strings.Join(a.Kept, ", "))
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiShow(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show AUDIENCE", Short: "Show an API", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				var a admin.API
				path, err := api.pathOf(cmd.Context(), args[0])
				if err == nil {
					_, err = api.do(cmd.Context(), request{method: http.MethodGet, path: path}, &a)
				}
				if err != nil {
					return named("API "+args[0], err)
				}
				if asJSON {
					return t.printJSON(forPrograms(a))
				}
				rows := [][2]string{
					{"audience", a.Audience},
					{"id", a.ID},
					{"name", a.Name},
					{"scope", strings.Join(a.Scopes, " ")},
				}
				for _, scope := range a.Scopes {
					texts := a.ScopeTexts[scope]
					for _, language := range slices.Sorted(maps.Keys(texts)) {
						rows = append(rows, [2]string{scope + " (" + language + ")", texts[language]})
					}
				}
				rows = append(rows, [][2]string{
					{"access TTL", ttlText(a)},
					{"roles", fmt.Sprint(a.Roles)},
					{"token typ", a.TokenType},
					{"signing alg", signingText(apiSigning(a))},
					{"encryption key", encryptionText(a.Encryption)},
					{"created", instantText(a.CreatedAt)},
				}...)
				for _, s := range a.Secrets {
					rows = append(rows, [2]string{"secret", secretText(s)})
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				for _, row := range rows {
					fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// secretText says which secret it is, of those that are shared with an API.
func secretText(s admin.APISecret) string {
	added := s.ID + ", added " + instantText(s.CreatedAt)
	if s.Signs {
		return added + ", the one that signs"
	}
	return added
}

// ttlText says how long access tokens for an API are valid.
func ttlText(a admin.API) string {
	if a.AccessTTL == "" {
		return a.DefaultTTL + " (default)"
	}
	return a.AccessTTL
}
