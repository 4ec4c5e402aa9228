package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
)

func userList(t *terminal) *cobra.Command {
	var (
		role   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the users, and mark e-mail addresses that several users share: these sign nobody in", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withUsers(cmd, func(_ *concerns, users *accounts.Users) error {
				list, err := users.List(cmd.Context())
				if err != nil {
					return err
				}
				shared := accounts.SharedEmails(list)
				if cmd.Flags().Changed("role") {
					list = slices.DeleteFunc(list, func(u accounts.User) bool { return !slices.Contains(u.Roles, role) })
				}
				if asJSON {
					out := make([]userJSON, len(list))
					for i, u := range list {
						out[i] = newUserJSON(u, shared[u.ID])
					}
					return t.printJSON(out)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "USER NAME\tID\tE-MAIL\tROLES\tSTATE")
				for _, u := range list {
					state, email := "enabled", u.Email
					if u.Disabled {
						state = "disabled"
					}
					if shared[u.ID] {
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
			return t.withUsers(cmd, func(_ *concerns, users *accounts.Users) error {
				u, err := findUser(cmd.Context(), users, args[0])
				if err != nil {
					return err
				}
				others, err := users.SharingEmail(cmd.Context(), u)
				if err != nil {
					return err
				}
				if asJSON {
					return t.printJSON(newUserJSON(u, len(others) > 0))
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintf(w, "user name\t%s\nid\t%s\ne-mail\t%s%s%s\nroles\t%s\ndisabled\t%t\ncreated\t%s\n",
					u.Username, u.ID, u.Email, verifiedText(u.EmailVerified), sharedText(others), strings.Join(u.Roles, " "), u.Disabled, text(u.CreatedAt))
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
func sharedText(others []accounts.User) string {
	if len(others) == 0 {
		return ""
	}
	var names []string
	for i, o := range others {
		if i == 10 {
			names = append(names, "others")
			break
		}
		names = append(names, o.Username)
	}
	return " (shared with " + strings.Join(names, ", ") + ": does not sign them in)"
}
