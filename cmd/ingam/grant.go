package main

import (
	"net/url"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/cobra"
)

func grantCommand(t *terminal) *cobra.Command {
	return group("grant", "What users allowed clients in a sign-in", grantList(t))
}

func grantList(t *terminal) *cobra.Command {
	var (
		of     owners
		shown  bound
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list [--user U] [--client C]", Short: "List grants that have not expired, newest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := shown.check(cmd); err != nil {
				return err
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				query, err := of.query(cmd)
				if err != nil {
					return err
				}
				query.Set("state", string(grants.Unexpired))
				list := t.printList(asJSON, "ID", "CLIENT ID", "CLIENT NAME", "USER NAME", "USER ID", "GENERATION", "CREATED", "EXPIRES", "REVOKED")
				read := records[admin.Grant](cmd.Context(), api, "/grants", query, shown.most())
				return of.named(printBound(t, list, read, &shown, "the newest grants", func(g admin.Grant) (any, []any) {
					return g, []any{g.ID, g.ClientID, visible(g.ClientName), g.Username, g.User, g.Generation, instantText(g.CreatedAt), instantText(g.ExpiresAt), g.Revoked}
				}))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&of.user, "user", "", "whose, by name or id (default everyone's)")
	f.StringVar(&of.client, "client", "", "which client's (default every client's)")
	shown.bind(cmd, 100, "the newest grants")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// owners are the flags that say whose grants, or whose access.
type owners struct{ user, client string }

// query returns what the flags ask the admin API for. A flag with an empty value names
// nobody, and does not mean everybody.
func (o owners) query(cmd *cobra.Command) (url.Values, error) {
	query := url.Values{}
	for _, flag := range []struct {
		name, value string
		missing     error
	}{{"user", o.user, accounts.ErrNotFound}, {"client", o.client, clients.ErrNotFound}} {
		if !cmd.Flags().Changed(flag.name) {
			continue
		}
		if flag.value == "" {
			return nil, named(flag.name+" ", flag.missing)
		}
		query.Set(flag.name, flag.value)
	}
	return query, nil
}

// named adds to a refusal which of the two it is about.
func (o owners) named(err error) error {
	switch parameterOf(err) {
	case "user":
		return named("user "+o.user, err)
	case "client":
		return named("client "+o.client, err)
	}
	return err
}
