package main

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/cobra"
)

func secretAdd(t *terminal) *cobra.Command {
	var (
		secretFile string
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use: "add ID", Short: "Add a second secret to a client; both work", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given, err := readSecret(secretFile)
			if err != nil {
				return err
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				api.settles = false // the former secret still works
				var s admin.ClientSecret
				_, err := api.do(cmd.Context(), request{method: http.MethodPost, path: "/clients" + segment(args[0]) + "/secrets", body: admin.NewSecret{Secret: given}}, &s)
				if isProblem(err, "too-many-secrets") {
					return fmt.Errorf("client %s: %w: ingam client secret remove %s", args[0], err, args[0])
				}
				if err != nil {
					return named("client "+args[0], err)
				}
				if asJSON {
					return t.printJSON(s)
				}
				fmt.Fprintf(t.stdout, "added secret %s to client %s\n", s.ID, args[0])
				t.showSecret(s.ClientSecret)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&secretFile, "secret-file", "", "a file with the secret to use instead of a generated one, at least 32 characters")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func secretRemove(t *terminal) *cobra.Command {
	var secretID string
	cmd := &cobra.Command{
		Use: "remove ID [--secret SECRET-ID]", Short: "Remove a secret of a client: the older one, unless --secret names another", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if secretID == "" && cmd.Flags().Changed("secret") {
				return usage(cmd, "--secret is empty: without it the older secret is removed")
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				var removed admin.ClientSecret
				_, err := api.do(cmd.Context(), request{method: http.MethodDelete, path: "/clients" + segment(args[0]) + "/secrets" + segment(cmp.Or(secretID, "oldest"))}, &removed)
				switch {
				case isProblem(err, "last-secret"):
					return fmt.Errorf("client %s: %w: ingam client secret add %s", args[0], err, args[0])
				case isProblem(err, "no-such-secret") && secretID != "":
					return fmt.Errorf("client %s: %w: %s", args[0], err, secretID)
				case err != nil:
					return named("client "+args[0], err)
				}
				fmt.Fprintf(t.stdout, "removed secret %s of client %s, which was added %s\n", removed.ID, args[0], instantText(removed.CreatedAt))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&secretID, "secret", "", "the id of the secret to remove, from: ingam client show ID")
	return cmd
}

func (t *terminal) showSecret(secret string) {
	if secret != "" {
		fmt.Fprintf(t.stdout, "client_secret: %s\n", secret)
		fmt.Fprintln(t.stderr, "Keep the secret now: it is not stored and cannot be shown again.")
	}
}

// readSecret reads a secret that the operator chose from a file. It removes a newline
// at the end, which belongs to the file more often than to the secret.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--secret-file: %w", err)
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("--secret-file: %s is empty", path)
	}
	return secret, nil
}
