package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/web/admin"
)

func userCommand(t *terminal) *cobra.Command {
	return group("user", "The people who sign in",
		userCreate(t), userInvite(t), userList(t), userShow(t), userUpdate(t), userSetPassword(t), userResetLink(t),
		userChange(t, "disable", "Refuse a user everything until enabled", "disabled"),
		userChange(t, "enable", "Take a disable back", "enabled"),
		userChange(t, "delete", "Remove a user; what was issued for them no longer stands", "deleted"),
	)
}

// userFlags are the flags with which a user is registered, except the password.
type userFlags struct {
	username, email   string
	verified          bool
	roles             []string
	roleEdits         listEdit
	claims, addClaims claimsFlag
	removeClaims      []string
}

func (u *userFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&u.username, "username", "", "the user name to sign in with; it must not be another user's user name or e-mail address")
	f.StringVar(&u.email, "email", "", "the e-mail address, which can be used to sign in, too; it must not be another user's e-mail address or user name")
	f.BoolVar(&u.verified, "email-verified", false, "the address is known to be the user's, or with =false known not to be; some apps accept only users with a verified address (default: unknown)")
	f.StringArrayVar(&u.roles, "role", nil, "a role, for apps with the scope roles and APIs that were created with --roles (repeatable)")
	f.Var(&u.claims, "claims", `further claims, as a JSON object such as {"name": "Kim Minji"}`)
}

// bindEdits adds the flags that only an update has.
func (u *userFlags) bindEdits(f *pflag.FlagSet) {
	u.roleEdits.bind(f, "role")
	f.Lookup("claims").Usage += "; replaces all"
	f.Var(&u.addClaims, "add-claims", "a JSON object of claims to add; a claim of the same name is replaced")
	f.StringArrayVar(&u.removeClaims, "remove-claim", nil, "the name of a claim to remove (repeatable)")
}

// settings returns what the flags ask for, given the user as they are.
func (u *userFlags) settings(f *pflag.FlagSet, is admin.User) (s administration.UserSettings, err error) {
	if f.Changed("username") {
		s.Username = &u.username
	}
	if f.Changed("email") {
		s.Email = &u.email
	}
	if f.Changed("email-verified") {
		s.EmailVerified = administration.Null(&u.verified)
	}
	if f.Changed("claims") && (u.addClaims != nil || u.removeClaims != nil) {
		return s, errors.New("--claims replaces all; it does not go with --add-claims and --remove-claim")
	}
	claims := maps.Clone(is.Claims)
	if f.Changed("claims") {
		claims = maps.Clone(u.claims)
	}
	if claims == nil {
		claims = accounts.Claims{}
	}
	for _, name := range u.removeClaims {
		if _, ok := claims[name]; !ok {
			return s, fmt.Errorf("--remove-claim: there is no %q; there is: %s", name, strings.Join(slices.Sorted(maps.Keys(claims)), " "))
		}
		delete(claims, name)
	}
	maps.Copy(claims, u.addClaims)
	if changed(f, "claims", "add-claims", "remove-claim") {
		s.Claims = new(map[string]json.RawMessage(claims))
	}
	roles := is.Roles
	if f.Changed("role") {
		roles = u.roles
	}
	if err := u.roleEdits.apply(f, &roles); err != nil {
		return s, err
	}
	if changed(f, "role", "add-role", "remove-role") {
		s.Roles = new(append([]string{}, roles...))
	}
	return s, nil
}

func userCreate(t *terminal) *cobra.Command {
	var (
		flags        userFlags
		secret       passwordFlags
		once, asJSON bool
	)
	cmd := &cobra.Command{
		Use: "create --username U --email E", Short: "Create a user", Args: exactly(0),
		Long: "Create a user. On a terminal it asks for the password; scripts send one with\n--password-stdin, and --generate makes one and prints it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "username"); err != nil {
				return err
			}
			settings, err := flags.settings(cmd.Flags(), admin.User{})
			if err != nil {
				return err
			}
			password, err := secret.read(cmd, t)
			if err != nil {
				return err
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				api.settles = false // no server keeps a copy of a user
				var created admin.User
				_, err := api.do(cmd.Context(), request{method: http.MethodPost, path: "/users", body: admin.NewUser{Password: &password, MustChange: once, UserSettings: settings}}, &created)
				if err != nil {
					return named("user "+flags.username, err)
				}
				t.warn(&created.Warnings)
				if asJSON {
					return t.printJSON(secret.with(created, password))
				}
				fmt.Fprintf(t.stdout, "created user %s (%s)\n", created.Username, created.ID)
				secret.print(t, password)
				return nil
			})
		},
	}
	f := cmd.Flags()
	flags.bind(f)
	secret.bind(cmd)
	bindOnce(f, &once)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func userUpdate(t *terminal) *cobra.Command {
	var (
		flags  userFlags
		reason string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "update USER",
		Short: "Change a user, who stays signed in and keeps the same id (sub) in apps",
		Long: `Change a user. A flag replaces a value; without a flag the value stays. Nothing ends:
sessions, grants and the id (sub), by which apps know the user, stay.`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := somethingGiven(cmd); err != nil {
				return err
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				api.settles = false // no server keeps a copy of a user
				u, err := api.user(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				u, changed, err := edit(cmd.Context(), api, "/users"+segment(u.ID), reasoned(reason), func(u admin.User) (administration.UserSettings, error) {
					return flags.settings(cmd.Flags(), u)
				})
				if isProblem(err, "exists") {
					return fmt.Errorf("user %s: %w: %s", args[0], err, flags.username)
				}
				if err != nil {
					return named("user "+args[0], err)
				}
				t.warn(&u.Warnings)
				if asJSON {
					u.SharedWith = nil
					return t.printJSON(u)
				}
				t.updated(changed, "user", u.Username)
				return nil
			})
		},
	}
	f := cmd.Flags()
	flags.bind(f)
	flags.bindEdits(f)
	fix(f, "id", "a user's id cannot be changed: it is the sub by which apps know them", false)
	fix(f, "password-stdin", "a password is changed by: ingam user set-password USER", true)
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func userChange(t *terminal, verb, short, past string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: verb + " USER", Short: short, Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				api.settles = false // no server keeps a copy of a user
				u, err := api.user(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				r := request{method: http.MethodPost, path: "/users" + segment(u.ID) + "/" + verb, query: reasoned(reason)}
				if verb == "delete" {
					r = request{method: http.MethodDelete, path: "/users" + segment(u.ID), query: reasoned(reason), version: administration.Any}
					r.query.Set("force", "true")
				}
				if _, err := api.do(cmd.Context(), r, nil); err != nil {
					return named("user "+args[0], err)
				}
				fmt.Fprintf(t.stdout, "%s user %s\n", past, u.Username)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

func userSetPassword(t *terminal) *cobra.Command {
	var (
		secret passwordFlags
		once   bool
		reason string
	)
	cmd := &cobra.Command{
		Use: "set-password USER", Short: "Replace a user's password, and end all sessions and grants", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := secret.read(cmd, t)
			if err != nil {
				return err
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				api.settles = false // no server keeps a copy of a user
				u, err := api.user(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				r := request{method: http.MethodPut, path: "/users" + segment(u.ID) + "/password", query: reasoned(reason), body: admin.NewPassword{Password: password, MustChange: once}}
				if _, err := api.do(cmd.Context(), r, nil); err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "set the password of user %s; all sessions and grants have ended\n", u.Username)
				secret.print(t, password)
				return nil
			})
		},
	}
	secret.bind(cmd)
	bindOnce(cmd.Flags(), &once)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

// bindOnce adds the flag for a password that somebody else knows.
func bindOnce(f *pflag.FlagSet, once *bool) {
	f.BoolVar(once, "must-change", false, "the password must be changed at the next sign-in; until then it signs nobody in")
}
