package main

import (
	"fmt"
	"net/http"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/cobra"
)

func clientCommand(t *terminal) *cobra.Command {
	return group("client", "The applications that ask for tokens",
		clientCreate(t), clientList(t), clientShow(t), clientUpdate(t),
		clientChange(t, "disable", "Refuse a client everything until it is enabled", "disabled"),
		clientChange(t, "enable", "Take a disable back", "enabled"),
		clientChange(t, "delete", "Remove a client; what was issued to it no longer stands", "deleted"),
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
			settings, err := flags.settings(cmd.Flags(), admin.Client{})
			if err != nil {
				return err
			}
			given, err := readSecret(secretFile)
			if err != nil {
				return err
			}
			return t.withAdminRings(cmd, []string{"id-token-alg"}, func(api *adminAPI) error {
				api.settles = cmd.Flags().Changed("id-token-alg") && flags.given.IDTokenAlg != apis.DefaultAlg // servers must have its keys
				var created admin.Client
				_, err := api.do(cmd.Context(), request{method: http.MethodPost, path: "/clients", body: admin.NewClient{ID: id, Auth: auth, Secret: given, ClientSettings: settings}}, &created)
				if err != nil {
					return named("client "+id, err)
				}
				t.warn(&created.Warnings)
				if asJSON {
					return t.printJSON(created)
				}
				fmt.Fprintf(t.stdout, "created client %s\n", created.ID)
				t.showSecret(created.ClientSecret)
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

// warn prints the warnings about a record to whoever changed it, and takes them out of what
// is printed for programs.
func (t *terminal) warn(warnings *[]string) {
	for _, warning := range *warnings {
		fmt.Fprintf(t.stderr, "warning: %s\n", warning)
	}
	*warnings = nil
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
			return t.withAdminRings(cmd, []string{"id-token-alg"}, func(api *adminAPI) error {
				c, changed, err := edit(cmd.Context(), api, "/clients"+segment(args[0]), reasoned(reason), func(c admin.Client) (administration.ClientSettings, error) {
					return flags.settings(cmd.Flags(), c)
				})
				if err != nil {
					return named("client "+args[0], err)
				}
				t.warn(&c.Warnings)
				if changed {
					t.tellSigning("ID tokens for the client", clientSigning(c))
				}
				if asJSON {
					return t.printJSON(c)
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

func clientChange(t *terminal, verb, short, past string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: verb + " ID", Short: short, Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				r := request{method: http.MethodPost, path: "/clients" + segment(args[0]) + "/" + verb, query: reasoned(reason)}
				if verb == "delete" {
					r = request{method: http.MethodDelete, path: "/clients" + segment(args[0]), query: reasoned(reason), version: administration.Any}
					r.query.Set("force", "true")
				}
				api.settles = verb != "enable" // a server that is behind never refuses by what it holds
				if _, err := api.do(cmd.Context(), r, nil); err != nil {
					return named("client "+args[0], err)
				}
				fmt.Fprintf(t.stdout, "%s client %s\n", past, args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}
