package administration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/tokens"
)

// ErrLastAdministrator: afterwards nobody could sign in who holds the role All.
var ErrLastAdministrator = errors.New("nobody who may do everything could sign in any more: first give somebody else the role " + All)

// UserSettings are what is known about a user, as far as it can be changed. What is nil
// stays as it is.
type UserSettings struct {
	Username      *string                     `json:"username,omitempty" doc:"The name to sign in with"`
	Email         *string                     `json:"email,omitempty" doc:"The e-mail address, which signs in too; empty for none"`
	EmailVerified Nullable[bool]              `json:"email_verified,omitzero" required:"false" nullable:"true" doc:"Whether the address is known to be the user's; null if nobody has said so"`
	Roles         *[]string                   `json:"roles,omitempty" doc:"For apps with the scope roles and APIs that ask for roles; those that begin with ingam: make an administrator, and only this server knows of them"`
	Claims        *map[string]json.RawMessage `json:"claims,omitempty" doc:"Further claims by name, such as name and locale; replaces all"`
}

// apply sets what is given.
func (s UserSettings) apply(u *accounts.User) error {
	if s.Roles != nil {
		for i, role := range *s.Roles {
			if IsScope(role) && !slices.Contains(u.Roles, role) && !isRole(role) {
				return field.At(noRole(role), "roles", i)
			}
		}
	}
	set(&u.Username, s.Username)
	set(&u.Email, s.Email)
	set(&u.Roles, s.Roles)
	if s.EmailVerified.Sent {
		u.EmailVerified = s.EmailVerified.Value
	}
	if s.Claims == nil {
		return nil
	}
	text, err := accounts.WriteClaims(*s.Claims)
	if err != nil {
		return field.At(fmt.Errorf("%w: the claims are not a JSON object", accounts.ErrInvalid), "claims")
	}
	claims, err := accounts.ParseClaims(text)
	if err != nil {
		return field.At(err, "claims")
	}
	u.Claims = claims
	return nil
}

// isRole reports whether a role of the administration has a meaning. One that is misspelled
// would look as if somebody was an administrator.
func isRole(role string) bool {
	return slices.ContainsFunc(Scopes, func(s struct{ Name, Text string }) bool { return s.Name == role })
}

func noRole(role string) error {
	return fmt.Errorf("%w: the administration has no role %s", accounts.ErrInvalid, role)
}

// IDTokens are what decides how long an ID token becomes: the server's own scopes, its URL
// and the size of its keys in bits.
type IDTokens struct {
	Own    *apis.Own
	Issuer string
	Bits   int
}

// Users is the administration of users.
type Users struct {
	users *accounts.Users
	cuts  *revocation.Cuts
	ids   IDTokens
}

// NewUsers returns the administration of users.
func NewUsers(users *accounts.Users, cuts *revocation.Cuts, ids IDTokens) *Users {
	return &Users{users, cuts, ids}
}

// Get returns the user with that id, and the users with whom they share their address, or
// accounts.ErrNotFound.
func (a *Users) Get(ctx context.Context, id string) (accounts.User, []accounts.User, error) {
	u, err := a.users.ByID(ctx, id)
	if err != nil {
		return accounts.User{}, nil, err
	}
	sharing, err := a.users.SharingEmail(ctx, u)
	return u, sharing, err
}

// Listed is a user in a list.
type Listed struct {
	accounts.User
	// EmailShared says that the user cannot sign in by the address, because it is also the
	// address or the user name of somebody else.
	EmailShared bool
}

// Named returns the user with that user name, as a list of one or none.
func (a *Users) Named(ctx context.Context, name string) ([]Listed, error) {
	u, err := a.users.ByName(ctx, name)
	if errors.Is(err, accounts.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return a.listed(ctx, []accounts.User{u})
}

// List returns users, ordered by name.
func (a *Users) List(ctx context.Context, q accounts.Query) ([]Listed, error) {
	list, err := a.users.List(ctx, q)
	if err != nil {
		return nil, err
	}
	return a.listed(ctx, list)
}

func (a *Users) listed(ctx context.Context, list []accounts.User) ([]Listed, error) {
	shared, err := a.users.SharedEmails(ctx, list)
	all := make([]Listed, len(list))
	for i, u := range list {
		all[i] = Listed{u, shared[u.ID]}
	}
	return all, err
}

// Create registers a user, and returns them with warnings. Without a password they are to be
// invited. One for once must be changed at the next sign-in. Returns ErrForbidden, or what
// accounts.Users.Create does.
func (a *Users) Create(ctx context.Context, by Caller, settings UserSettings, password *string, once bool) (accounts.User, []string, error) {
	if once && password == nil {
		return accounts.User{}, nil, field.At(fmt.Errorf("%w: there is no password that could be changed", accounts.ErrInvalid), "must_change")
	}
	u := accounts.User{MustChange: once}
	if err := settings.apply(&u); err != nil {
		return accounts.User{}, nil, err
	}
	if err := by.mayChangeUser(nil, &u); err != nil {
		return accounts.User{}, nil, err
	}
	var err error
	if password == nil {
		u, err = a.users.CreateWithoutPassword(ctx, u, by.Actor)
	} else {
		u, err = a.users.Create(ctx, u, *password, by.Actor)
	}
	if errors.Is(err, accounts.ErrExists) {
		if is, found := a.users.ByName(ctx, *settings.Username); found == nil {
			err = &ThereError{err, KindUser, is.ID}
		}
	}
	if err != nil {
		return accounts.User{}, nil, err
	}
	return u, a.warnings(u), nil
}

// Update changes a user whose version the caller knows, and returns them with those who
// share their address, and warnings. (Users from before addresses had to be unique may share
// one.) Returns ErrForbidden, ErrStale, ErrLastAdministrator, or what accounts.Users.Update
// does.
func (a *Users) Update(ctx context.Context, by Caller, id, version string, settings UserSettings, reason string) (u accounts.User, sharing []accounts.User, warnings []string, err error) {
	u, _, err = a.users.Update(ctx, id, func(u *accounts.User, others accounts.Others) error {
		if err := Unchanged(u.Version(), version); err != nil {
			return err
		}
		was := *u
		if err := settings.apply(u); err != nil {
			return err
		}
		if err := by.mayChangeUser(&was, u); err != nil {
			return err
		}
		return by.leavesAnAdministrator(was, *u, others)
	}, reason, by.Actor)
	if err != nil {
		return accounts.User{}, nil, nil, err
	}
	sharing, err = a.users.SharingEmail(ctx, u)
	return u, sharing, a.warnings(u), err
}

// warnings says what to mind about a user.
func (a *Users) warnings(u accounts.User) []string {
	n := tokens.LengthOf(a.ids.Issuer, u.Released(a.ids.Own, a.ids.Own.Names()), a.ids.Bits)
	if n <= tokens.MaxID {
		return nil
	}
	return []string{fmt.Sprintf("an ID token with all claims of %s would have about %d bytes; claims that do not fit into %d bytes are only at userinfo", u.Username, n, tokens.MaxID)}
}

// SetDisabled refuses a user everything until they are enabled again, and returns them as
// Get does. Returns ErrForbidden, ErrLastAdministrator or accounts.ErrNotFound.
func (a *Users) SetDisabled(ctx context.Context, by Caller, id string, disabled bool, reason string) (accounts.User, []accounts.User, error) {
	change := a.users.Enable
	if disabled {
		change = a.users.Disable
	}
	err := change(ctx, id, func(was accounts.User, others accounts.Others) error {
		if err := by.mayChangeUser(&was, nil); err != nil {
			return err
		}
		is := was
		is.Disabled = disabled
		return by.leavesAnAdministrator(was, is, others)
	}, reason, by.Actor)
	if err != nil {
		return accounts.User{}, nil, err
	}
	u, sharing, err := a.Get(ctx, id)
	if changes.IsDryRun(ctx) {
		u.Disabled = disabled
	}
	return u, sharing, err
}

// Delete removes a user whose version the caller knows. Without force it refuses one with
// live grants. Returns ErrForbidden, ErrStale, ErrInUse, ErrLastAdministrator or
// accounts.ErrNotFound.
func (a *Users) Delete(ctx context.Context, by Caller, id, version string, force bool, reason string) error {
	if _, err := a.reach(ctx, by, id); err != nil {
		return err
	}
	if !force {
		ended, err := a.cuts.WouldEnd(ctx, changes.User, id)
		if err != nil {
			return err
		}
		if ended.Grants > 0 {
			return fmt.Errorf("%w: %d grants of the user are live, and would end", ErrInUse, ended.Grants)
		}
	}
	return a.users.Delete(ctx, id, func(was accounts.User, others accounts.Others) error {
		if err := by.mayChangeUser(&was, nil); err != nil {
			return err
		}
		if err := Unchanged(was.Version(), version); err != nil {
			return err
		}
		return by.leavesAnAdministrator(was, accounts.User{}, others)
	}, reason, by.Actor)
}

// SetPassword replaces a user's password, and ends all their sessions and grants. One for
// once must be changed at the next sign-in. Returns ErrForbidden, or what
// accounts.Users.SetPassword does.
func (a *Users) SetPassword(ctx context.Context, by Caller, id, password string, once bool, reason string) error {
	u, err := a.reach(ctx, by, id)
	if err != nil {
		return err
	}
	set := a.users.SetPassword
	if once {
		set = a.users.SetPasswordForOnce
	}
	return set(ctx, u, password, by.allowed, reason, by.Actor)
}

// MakeLink makes a link by which a user sets their password, and returns its token. Whoever
// has the link can sign in as the user. Returns ErrForbidden, or what accounts.Users.MakeLink
// does.
func (a *Users) MakeLink(ctx context.Context, by Caller, id string, kind accounts.LinkKind, life time.Duration, reason string) (accounts.Link, string, error) {
	return a.users.MakeLink(ctx, id, kind, life, by.allowed, reason, by.Actor)
}

// allowed is accounts.Allow for something of a user that is not their settings.
func (c Caller) allowed(was accounts.User, _ accounts.Others) error {
	return c.mayChangeUser(&was, nil)
}

// reach returns a user if the caller may change them.
func (a *Users) reach(ctx context.Context, by Caller, id string) (accounts.User, error) {
	u, err := a.users.ByID(ctx, id)
	if err != nil {
		return accounts.User{}, err
	}
	return u, by.mayChangeUser(&u, nil)
}

// mayChangeUser checks a change of a user, as they were and as they are to be; one of them
// is nil for a user who is created, or of whom something else is changed. Whoever may write
// users could otherwise make themselves an administrator, or sign in as one.
func (c Caller) mayChangeUser(was, is *accounts.User) error {
	for _, u := range []*accounts.User{was, is} {
		if u != nil && slices.ContainsFunc(u.Roles, IsScope) {
			return c.must("a user who is an administrator")
		}
	}
	return nil
}

// leavesAnAdministrator refuses a change of the last user who holds the role All and can
// sign in: nobody could undo it by the API. Who runs a command on the server's machine may
// make another administrator there.
func (c Caller) leavesAnAdministrator(was, is accounts.User, others accounts.Others) error {
	administers := func(u accounts.User) bool { return u.CanSignIn() && u.Administers(All) }
	if c.operator || !administers(was) || administers(is) {
		return nil
	}
	another, err := others(All)
	if err != nil || another {
		return err
	}
	return ErrLastAdministrator
}
