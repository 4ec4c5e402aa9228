package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/cobra"
)

func apiCommand(t *terminal) *cobra.Command {
	return group("api", "The APIs that tokens are made for", apiCreate(t), apiList(t), apiShow(t), apiUpdate(t), apiDelete(t), apiSecret(t))
}

// pathOf returns the path of the API with that id or audience. An audience is usually a
// URL, and there are proxies that do not pass on a slash within a part of a path: the path
// has its id then.
func (a *adminAPI) pathOf(ctx context.Context, ref string) (string, error) {
	if ref != "" && ref != "." && ref != ".." && !strings.Contains(ref, "/") {
		return "/apis" + segment(ref), nil
	}
	var found admin.Page[admin.API]
	if ref != "" {
		if _, err := a.do(ctx, request{method: http.MethodGet, path: "/apis", query: url.Values{"audience": {ref}}}, &found); err != nil {
			return "", err
		}
	}
	if len(found.Items) == 0 {
		return "", catalog.ErrNotFound
	}
	return "/apis" + segment(found.Items[0].ID), nil
}

func apiCreate(t *terminal) *cobra.Command {
	var (
		audience string
		flags    apiFlags
		asJSON   bool
	)
	cmd := &cobra.Command{
		Use:   `create --audience A --name N --scope "read write"`,
		Short: "Register an API",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "audience", "name", "scope"); err != nil {
				return err
			}
			settings, err := flags.settings(cmd.Flags(), admin.API{})
			if err != nil {
				return err
			}
			return t.withAdminRings(cmd, ringFlags, func(api *adminAPI) error {
				// Servers must have its keys.
				api.settles = cmd.Flags().Changed("signing-alg") && flags.signingAlg != apis.DefaultAlg || settings.EncryptionKey.Value != nil
				var created admin.API
				_, err := api.do(cmd.Context(), request{method: http.MethodPost, path: "/apis", body: admin.NewAPI{Audience: audience, APISettings: settings}}, &created)
				if err != nil {
					return named("API "+audience, err)
				}
				if asJSON {
					return t.printJSON(forPrograms(created))
				}
				fmt.Fprintf(t.stdout, "created API %s\n", created.Audience)
				t.tellShared(created, false)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&audience, "audience", "", "the aud of access tokens for the API, usually its URL")
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
			return t.withAdminRings(cmd, ringFlags, func(api *adminAPI) error {
				path, err := api.pathOf(cmd.Context(), args[0])
				if err != nil {
					return ofAPI(args[0], err)
				}
				shared := false
				a, changed, err := edit(cmd.Context(), api, path, reasoned(reason), func(a admin.API) (administration.APISettings, error) {
					shared = a.SigningAlg == apis.SharedAlg
					return flags.settings(cmd.Flags(), a)
				})
				if err != nil {
					return ofAPI(args[0], err)
				}
				for _, warning := range a.Warnings {
					fmt.Fprintln(t.stderr, warning)
				}
				if changed {
					t.tellSigning("access tokens for the API", apiSigning(a))
				}
				if asJSON {
					return t.printJSON(forPrograms(a))
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

func apiDelete(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "delete AUDIENCE", Short: "Delete an API that no client is registered for", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				path, err := api.pathOf(cmd.Context(), args[0])
				if err == nil {
					api.settles = false // no client could use it any more
					_, err = api.do(cmd.Context(), request{method: http.MethodDelete, path: path, query: url.Values{"force": {"true"}}, version: administration.Any}, nil)
				}
				err = named("API "+args[0], err)
				if isProblem(err, "in-use") {
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
