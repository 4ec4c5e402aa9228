package main

import (
	"fmt"
	"net/http"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/cobra"
)

func apiSecret(t *terminal) *cobra.Command {
	return group("secret", "The secrets that are shared with an API, for HS256", apiSecretAdd(t), apiSecretUse(t), apiSecretRemove(t))
}

func apiSecretAdd(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "add AUDIENCE",
		Short: "Make a further secret for an API; it does not sign yet",
		Long: `Make a further secret for an API. It does not sign: give it to the API beside the one that
does, and then let it sign with: ingam api secret use AUDIENCE SECRET-ID. An API whose
tokens have another algorithm can get its first secret so, before they change to HS256.`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdminKeys(cmd, func(api *adminAPI) error {
				var made admin.APISecret
				path, err := api.pathOf(cmd.Context(), args[0])
				if err == nil {
					_, err = api.do(cmd.Context(), request{method: http.MethodPost, path: path + "/secrets"}, &made)
				}
				if err != nil {
					return ofAPI(args[0], err)
				}
				if asJSON {
					return t.printJSON(made)
				}
				fmt.Fprintf(t.stdout, "added secret %s to API %s; it does not sign yet\n", made.ID, args[0])
				t.showAPISecret(made.APISecret)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiSecretUse(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "use AUDIENCE SECRET-ID", Short: "Let a secret sign, once the API has it", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				var used admin.UsedSecret
				path, err := api.pathOf(cmd.Context(), args[0])
				if err == nil {
					_, err = api.do(cmd.Context(), request{method: http.MethodPost, path: path + "/secrets" + segment(args[1]) + "/use"}, &used)
				}
				if err != nil {
					return ofAPI(args[0], err)
				}
				if !used.Changed {
					fmt.Fprintf(t.stdout, "unchanged: secret %s of API %s is the one that signs\n", args[1], args[0])
					return nil
				}
				fmt.Fprintf(t.stdout, "secret %s of API %s is the one that signs\n", args[1], args[0])
				return nil
			})
		},
	}
}

func apiSecretRemove(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "remove AUDIENCE SECRET-ID", Short: "Remove a secret that does not sign any more, and all tokens that it signed", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				path, err := api.pathOf(cmd.Context(), args[0])
				if err == nil {
					_, err = api.do(cmd.Context(), request{method: http.MethodDelete, path: path + "/secrets" + segment(args[1])}, nil)
				}
				if err != nil {
					return ofAPI(args[0], err)
				}
				fmt.Fprintf(t.stdout, "removed secret %s of API %s: introspection refuses what it signed; the API itself does once it has forgotten the secret\n", args[1], args[0])
				return nil
			})
		},
	}
}

// ofAPI says which API an error is about, and what would help.
func ofAPI(audience string, err error) error {
	switch named := named("API "+audience, err); {
	case isProblem(err, "too-many-secrets"):
		return fmt.Errorf("%w: ingam api secret remove %s SECRET-ID", named, audience)
	case isProblem(err, "secret-signs"), isProblem(err, "none-signs"):
		return fmt.Errorf("%w: ingam api secret use %s SECRET-ID", named, audience)
	case isProblem(err, "no-such-secret"):
		return fmt.Errorf("%w (ingam api show %s has those that there are)", named, audience)
	default:
		return named
	}
}

// showAPISecret shows a secret to the operator who made it.
func (t *terminal) showAPISecret(secret string) {
	fmt.Fprintf(t.stdout, "api_secret: %s\n", secret)
	fmt.Fprintln(t.stderr, "Keep the secret now: it cannot be shown again. Whoever has it can make tokens for this API. It is base64url of the 32 bytes that are the key.")
}

// tellShared says what it means that an API has come to share a secret with the server.
func (t *terminal) tellShared(a admin.API, before bool) {
	if before && a.APISecret == "" || a.SigningAlg != apis.SharedAlg {
		return
	}
	for _, s := range a.Secrets {
		if s.Signs {
			fmt.Fprintf(t.stdout, "secret %s signs access tokens for the API from now on\n", s.ID)
		}
	}
	if a.APISecret != "" {
		t.showAPISecret(a.APISecret)
	}
}
