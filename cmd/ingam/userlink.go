package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/config/limits"
	"github.com/ingam/ingam/web/admin"
)

// linkFlags are the flags with which a link is made.
type linkFlags struct {
	kind   accounts.LinkKind
	life   time.Duration
	reason string
	asJSON bool
}

func (l *linkFlags) bind(f *pflag.FlagSet, usual, most time.Duration) {
	f.DurationVar(&l.life, "expires-in", usual, fmt.Sprintf("for how long the link is good: %s to %s", limits.MinLinkLife, most))
	f.StringVar(&l.reason, "reason", "", "why, for the audit log")
	f.BoolVar(&l.asJSON, "json", false, "print JSON")
}

// make makes a link for a user, who may have just been created, and prints it.
func (l *linkFlags) make(ctx context.Context, api *adminAPI, u admin.User, created bool) error {
	var made admin.PasswordLink
	r := request{method: http.MethodPost, path: "/users" + segment(u.ID) + "/links", query: reasoned(l.reason), body: admin.NewLink{Kind: string(l.kind), ExpiresIn: l.life.String()}}
	_, err := api.do(ctx, r, &made)
	if err != nil && created {
		return fmt.Errorf("user %s is created, without a password, and not invited yet: %w", u.Username, err)
	}
	if err != nil {
		return named("user "+u.Username, err)
	}
	if l.asJSON {
		u.SharedWith = nil
		return api.t.printJSON(struct {
			admin.User
			Link      string  `json:"link"`
			ExpiresAt *string `json:"link_expires_at"`
		}{u, made.Link, made.ExpiresAt})
	}
	fmt.Fprintf(api.t.stdout, "link %s\nfor user %s, once, until %s\n", made.Link, u.Username, instantText(made.ExpiresAt))
	return nil
}

func userInvite(t *terminal) *cobra.Command {
	var flags userFlags
	link := linkFlags{kind: accounts.Invitation}
	cmd := &cobra.Command{
		Use:   "invite USER | --username U --email E",
		Short: "Create a user without a password, and print a link by which they set one",
		Long: `Create a user without a password, and print a link by which they set one, once. Whoever has
the link first can do it, so send it to nobody but the user. With USER it is for a user who
exists and has no password. A new invitation ends the former one.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			given := changed(cmd.Flags(), "username", "email", "email-verified", "role", "claims")
			if len(args) == 1 && given {
				return usage(cmd, "a user who exists is changed by: ingam user update")
			}
			settings, err := flags.settings(cmd.Flags(), admin.User{})
			if err == nil && len(args) == 0 {
				err = require(cmd, "username")
			}
			if err != nil {
				return err
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				api.settles = false // no server keeps a copy of a user
				if len(args) == 1 {
					u, err := api.user(cmd.Context(), args[0])
					if err != nil {
						return err
					}
					err = link.make(cmd.Context(), api, u, false)
					if isProblem(err, "has-password") {
						err = fmt.Errorf("%w: to set another one they need: ingam user reset-link %s", err, args[0])
					}
					return err
				}
				var created admin.User
				_, err := api.do(cmd.Context(), request{method: http.MethodPost, path: "/users", body: admin.NewUser{UserSettings: settings}}, &created)
				if err != nil {
					return named("user "+flags.username, err)
				}
				t.warn(&created.Warnings)
				if !link.asJSON {
					fmt.Fprintf(t.stdout, "created user %s (%s)\n", created.Username, created.ID)
				}
				return link.make(cmd.Context(), api, created, true)
			}, config.ForIssuer)
		},
	}
	flags.bind(cmd.Flags())
	link.bind(cmd.Flags(), limits.Day, limits.MaxInvitationLife)
	return cmd
}

func userResetLink(t *terminal) *cobra.Command {
	link := linkFlags{kind: accounts.Reset}
	cmd := &cobra.Command{
		Use:   "reset-link USER",
		Short: "Print a link by which a user sets a new password",
		Long: `Print a link by which a user sets a new password, once. It ends their sessions and grants;
until then nothing changes, and the former password is good. Whoever has the link first can
do it, so send it to nobody but the user. A new link ends the former one.`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				api.settles = false // no server keeps a copy of a user
				u, err := api.user(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return link.make(cmd.Context(), api, u, false)
			}, config.ForIssuer)
		},
	}
	link.bind(cmd.Flags(), time.Hour, limits.MaxResetLife)
	return cmd
}
