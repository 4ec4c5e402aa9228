package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/web/admin"
)

func accessCommand(t *terminal) *cobra.Command {
	var (
		of     owners
		shown  bound
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "access --user U | --client C",
		Short: "Show who has access to what, since when, and when it was last used",
		Long: "Show which clients have access to a user's data, or to which users' data a client has access:\n" +
			"the scopes that are still allowed, with or without consent, since when, and when the client\n" +
			"last got tokens for them. The account page shows the same to the user.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			byUser, byClient := cmd.Flags().Changed("user"), cmd.Flags().Changed("client")
			if !byUser && !byClient {
				return usage(cmd, "give --user, --client or both")
			}
			if err := shown.check(cmd); err != nil {
				return err
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				query, err := of.query(cmd)
				if err != nil {
					return err
				}
				list := t.printList(asJSON, "USER NAME", "USER ID", "CLIENT ID", "CLIENT NAME", "SINCE", "LAST USED", "STATE", "PERMISSIONS")
				read := records[admin.Accessible](cmd.Context(), api, "/access", query, shown.most())
				return of.named(printBound(t, list, read, &shown, "the first by name", func(a admin.Accessible) (any, []any) {
					return a, []any{a.Username, a.UserID, a.ClientID, visible(a.ClientName), instantText(a.Since), instantText(a.LastUsed), accessState(a), permissionsText(a.Permissions)}
				}))
			}, config.ForIssuer)
		},
	}
	f := cmd.Flags()
	f.StringVar(&of.user, "user", "", "a user, by name or id")
	f.StringVar(&of.client, "client", "", "a client, by its client_id")
	shown.bind(cmd, 100, "the first by name")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// accessState says what prevents the access from being used at present.
func accessState(a admin.Accessible) string {
	switch {
	case a.UserDisabled:
		return "user disabled"
	case a.ClientDisabled:
		return "client disabled"
	}
	return "enabled"
}

// permissionsText lists the server's own scopes, and then those of each API.
func permissionsText(all []admin.Permission) string {
	var audiences []string
	scopes := map[string][]string{}
	for _, p := range all {
		if scopes[p.Audience] == nil {
			audiences = append(audiences, p.Audience)
		}
		scopes[p.Audience] = append(scopes[p.Audience], p.Scope)
	}
	slices.Sort(audiences) // the server's own are first
	var told []string
	for _, audience := range audiences {
		of := strings.Join(scopes[audience], " ")
		if audience != "" {
			of += " at " + audience
		}
		told = append(told, of)
	}
	if told == nil {
		return "-"
	}
	return strings.Join(told, ", ")
}
