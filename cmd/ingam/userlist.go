package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/web/admin"
)

func userList(t *terminal) *cobra.Command {
	var (
		role   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the users, and mark e-mail addresses that several users share: these sign nobody in", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				list, query := []admin.User{}, url.Values{}
				var err error
				if cmd.Flags().Changed("role") {
					query.Set("role", role)
				}
				if role != "" || !query.Has("role") { // nobody has an empty role
					err = eachOf(cmd.Context(), api, "/users", query, func(u admin.User) error { list = append(list, u); return nil })
				}
				if err != nil {
					return err
				}
				if asJSON {
					return t.printJSON(list)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "USER NAME\tID\tE-MAIL\tROLES\tSTATE")
				for _, u := range list {
					state, email := "enabled", u.Email
					if u.Disabled {
						state = "disabled"
					}
					if u.EmailShared {
						email += " (shared)"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Username, u.ID, email, strings.Join(u.Roles, " "), state)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "only users who have this role")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func userShow(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show USER", Short: "Show a user, by name or id", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				u, err := api.user(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if asJSON {
					u.SharedWith = nil
					return t.printJSON(u)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintf(w, "user name\t%s\nid\t%s\ne-mail\t%s%s%s\nroles\t%s\ndisabled\t%t\ncreated\t%s\n",
					u.Username, u.ID, u.Email, verifiedText(u.EmailVerified), sharedText(u.SharedWith), strings.Join(u.Roles, " "), u.Disabled, instantText(u.CreatedAt))
				if text := passwordText[u.PasswordState]; text != "" {
					fmt.Fprintf(w, "password\t%s\n", text)
				}
				for _, name := range slices.Sorted(maps.Keys(u.Claims)) {
					fmt.Fprintf(w, "claim %s\t%s\n", visible(name), visible(string(u.Claims[name])))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// passwordText says what is unusual about a password.
var passwordText = map[string]string{"none": "none yet", "must_change": "must be changed at the next sign-in"}

// verifiedText says whether an address is verified, if that is known.
func verifiedText(verified *bool) string {
	switch {
	case verified == nil:
		return ""
	case *verified:
		return " (verified)"
	}
	return " (not verified)"
}

// sharedText names the other users of an address, if there are any.
func sharedText(others []string) string {
	const most = 10
	if len(others) == 0 {
		return ""
	}
	if len(others) > most {
		others = append(slices.Clone(others[:most]), "others")
	}
	return " (shared with " + strings.Join(others, ", ") + ": does not sign them in)"
}

// user returns a user by user name or, if there is none, by id.
func (a *adminAPI) user(ctx context.Context, name string) (u admin.User, err error) {
	id := name
	if name != "" {
		var found admin.Page[admin.User]
		if _, err := a.do(ctx, request{method: http.MethodGet, path: "/users", query: url.Values{"username": {name}}}, &found); err != nil {
			return u, named("user "+name, err)
		}
		if len(found.Items) > 0 {
			id = found.Items[0].ID
		}
	}
	switch id {
	case "", ".", "..": // no path leads to such an id
		return u, named("user "+name, accounts.ErrNotFound)
	}
	_, err = a.do(ctx, request{method: http.MethodGet, path: "/users" + segment(id)}, &u)
	return u, named("user "+name, err)
}
