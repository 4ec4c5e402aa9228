package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config"
)

func userCommand(t *terminal) *cobra.Command {
	return group("user", "The people who sign in",
		userCreate(t), userList(t), userShow(t), userUpdate(t), userSetPassword(t),
		userChange(t, "disable", "Refuse a user everything until enabled", "disabled", (*accounts.Users).Disable),
		userChange(t, "enable", "Take a disable back", "enabled", (*accounts.Users).Enable),
		userChange(t, "delete", "Remove a user; what was issued for them no longer stands", "deleted", (*accounts.Users).Delete),
	)
}

type userJSON struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Email    string `json:"email"`
	// EmailVerified is null if nobody has said whether it is.
	EmailVerified *bool `json:"email_verified"`
	// EmailShared says that the user cannot sign in by the address, because it is also
	// the address or the user name of somebody else.
	EmailShared bool            `json:"email_shared"`
	Roles       []string        `json:"roles"`
	Claims      accounts.Claims `json:"claims"`
	Disabled    bool            `json:"disabled"`
	CreatedAt   *string         `json:"created_at"`
	// Password is a generated password; it is not shown again.
	Password string `json:"password,omitempty"`
}

func newUserJSON(u accounts.User, emailShared bool) userJSON {
	claims := u.Claims
	if claims == nil {
		claims = accounts.Claims{}
	}
	return userJSON{u.ID, u.Username, u.Email, u.EmailVerified, emailShared, append([]string{}, u.Roles...), claims, u.Disabled, instant(u.CreatedAt), ""}
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

// apply sets the fields whose flags were given.
func (u *userFlags) apply(f *pflag.FlagSet, user *accounts.User) error {
	if f.Changed("username") {
		user.Username = u.username
	}
	if f.Changed("email") {
		user.Email = u.email
	}
	if f.Changed("email-verified") {
		user.EmailVerified = &u.verified
	}
	if f.Changed("claims") {
		if u.addClaims != nil || u.removeClaims != nil {
			return errors.New("--claims replaces all; it does not go with --add-claims and --remove-claim")
		}
		user.Claims = u.claims
	}
	for _, name := range u.removeClaims {
		if _, ok := user.Claims[name]; !ok {
			return fmt.Errorf("--remove-claim: there is no %q; there is: %s", name, strings.Join(slices.Sorted(maps.Keys(user.Claims)), " "))
		}
		delete(user.Claims, name)
	}
	if len(u.addClaims) > 0 {
		all := maps.Clone(user.Claims)
		if all == nil {
			all = accounts.Claims{}
		}
		maps.Copy(all, u.addClaims)
		user.Claims = all
	}
	if f.Changed("role") {
		user.Roles = u.roles
	}
	return u.roleEdits.apply(f, &user.Roles)
}

func userCreate(t *terminal) *cobra.Command {
	var (
		u      accounts.User
		flags  userFlags
		secret passwordFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "create --username U --email E", Short: "Create a user", Args: exactly(0),
		Long: "Create a user. On a terminal it asks for the password; scripts send one with\n--password-stdin, and --generate makes one and prints it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "username"); err != nil {
				return err
			}
			if err := flags.apply(cmd.Flags(), &u); err != nil {
				return err
			}
			password, err := secret.read(cmd, t)
			if err != nil {
				return err
			}
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) error {
				created, err := users.Create(cmd.Context(), u, password, c.actor)
				if err != nil {
					return named("user "+u.Username, err)
				}
				c.warnLong(created)
				if asJSON {
					shown := newUserJSON(created, false)
					if secret.generate {
						shown.Password = password
					}
					return t.printJSON(shown)
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
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) error {
				u, err := findUser(cmd.Context(), users, args[0])
				if err != nil {
					return err
				}
				u, changed, err := users.Update(cmd.Context(), u.ID, func(u *accounts.User) error { return flags.apply(cmd.Flags(), u) }, reason, c.actor)
				if errors.Is(err, accounts.ErrExists) {
					return fmt.Errorf("user %s: %w: %s", args[0], accounts.ErrExists, flags.username)
				}
				if err != nil {
					return named("user "+args[0], err)
				}
				c.warnLong(u)
				if asJSON {
					// Shared addresses come from before they had to be unique, or from
					// an older version.
					others, err := users.SharingEmail(cmd.Context(), u)
					if err != nil {
						return err
					}
					return t.printJSON(newUserJSON(u, len(others) > 0))
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

// warnLong warns that the claims of a user do not fit into ID tokens.
func (c *concerns) warnLong(u accounts.User) {
	own := c.apis.Own()
	if n := tokens.LengthOf(c.cfg.Issuer.String(), u.Released(own, own.Names()), c.cfg.Keys.Bits); n > tokens.MaxID {
		fmt.Fprintf(c.t.stderr, "warning: an ID token with all claims of %s would have about %d bytes; claims that do not fit into %d bytes are only at userinfo\n", u.Username, n, tokens.MaxID)
	}
}

// withUsers opens the configured database for commands about users.
func (t *terminal) withUsers(cmd *cobra.Command, do func(*concerns, *accounts.Users) error, needs ...config.Need) error {
	hasher, err := passwords.New(0, passwords.Recommended)
	if err != nil {
		return err
	}
	return t.withConcerns(cmd, func(c *concerns) error {
		return do(c, accounts.NewUsers(c.store, hasher, t.now))
	}, needs...)
}

// findUser finds a user by user name or, if there is none, by id.
func findUser(ctx context.Context, users *accounts.Users, name string) (accounts.User, error) {
	u, err := users.ByName(ctx, name)
	if errors.Is(err, accounts.ErrNotFound) {
		u, err = users.ByID(ctx, name)
	}
	if err != nil {
		return accounts.User{}, named("user "+name, err)
	}
	return u, nil
}

type userVerb func(d *accounts.Users, ctx context.Context, id, reason string, by audit.Actor) error

func userChange(t *terminal, verb, short, past string, change userVerb) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: verb + " USER", Short: short, Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) error {
				u, err := findUser(cmd.Context(), users, args[0])
				if err != nil {
					return err
				}
				if err := change(users, cmd.Context(), u.ID, reason, c.actor); err != nil {
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
		reason string
	)
	cmd := &cobra.Command{
		Use: "set-password USER", Short: "Replace a user's password, and end all sessions and grants", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := secret.read(cmd, t)
			if err != nil {
				return err
			}
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) error {
				u, err := findUser(cmd.Context(), users, args[0])
				if err != nil {
					return err
				}
				if err := users.SetPassword(cmd.Context(), u, password, reason, c.actor); err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "set the password of user %s; all sessions and grants have ended\n", u.Username)
				secret.print(t, password)
				return nil
			})
		},
	}
	secret.bind(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}
