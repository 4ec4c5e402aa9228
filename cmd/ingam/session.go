package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/web/admin"
)

func sessionCommand(t *terminal) *cobra.Command {
	return group("session", "The browsers in which people are signed in", sessionList(t), sessionEnd(t))
}

func sessionList(t *terminal) *cobra.Command {
	var (
		user   string
		shown  bound
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list [--user U]", Short: "List where users are signed in, newest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := shown.check(cmd); err != nil {
				return err
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				query := url.Values{}
				if cmd.Flags().Changed("user") {
					u, err := api.user(cmd.Context(), user)
					if err != nil {
						return err
					}
					query.Set("user_id", u.ID)
				}
				list := t.printList(asJSON, "ID", "USER NAME", "USER ID", "SINCE", "SEEN", "ADDRESS", "BROWSER", "APP", "APP NAME")
				read := records[admin.Session](cmd.Context(), api, "/sessions", query, shown.most())
				return printBound(t, list, read, &shown, "the newest login sessions", func(s admin.Session) (any, []any) {
					return s, []any{s.ID, s.User, s.UserID, instantText(s.CreatedAt), instantText(s.SeenAt), visible(s.Address), visible(s.UserAgent), s.ClientID, visible(s.ClientName)}
				})
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "whose, by name or id (default everyone's)")
	shown.bind(cmd, 100, "the newest login sessions")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func sessionEnd(t *terminal) *cobra.Command {
	var user, id, reason string
	cmd := &cobra.Command{
		Use: "end --user U [--session ID]", Short: "End a user's login sessions: all, or the one that --session names", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "user"); err != nil {
				return err
			}
			if id == "" && cmd.Flags().Changed("session") {
				return usage(cmd, "--session is empty: without it all of the user's login sessions end")
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				api.settles = false // no server keeps a copy of a session
				u, err := api.user(cmd.Context(), user)
				if err != nil {
					return err
				}
				r := request{method: http.MethodDelete, path: "/sessions", query: reasoned(reason)}
				r.query.Set("user_id", u.ID)
				ended := admin.Ended{Ended: 1}
				if id == "" {
					_, err = api.do(cmd.Context(), r, &ended)
				} else {
					r.path += segment(id)
					_, err = api.do(cmd.Context(), r, nil)
				}
				if isProblem(err, "no-such-session") {
					err = named("session "+id, err)
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "ended %d login sessions of user %s\n", ended.Ended, u.Username)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&user, "user", "", "whose, by name or id")
	f.StringVar(&id, "session", "", "end only this login session")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}
