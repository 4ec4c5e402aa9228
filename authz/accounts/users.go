package accounts

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/field"
)

var (
	// ErrNotFound: there is no such user.
	ErrNotFound = errors.New("no such user")
	// ErrInvalid: a field of the user is not acceptable; the error says which.
	ErrInvalid = errors.New("invalid user")
)

// Taken is the error for a user name or an e-mail address that another user already has:
// at sign-in nobody could say which of the two users is meant.
type Taken string

const (
	ErrExists          Taken = "a user with this name exists"
	ErrEmailExists     Taken = "another user has this e-mail address"
	ErrEmailIsUsername Taken = "this e-mail address is the user name of another user"
	ErrUsernameIsEmail Taken = "this user name is the e-mail address of another user"
)

func (t Taken) Error() string { return string(t) }

// member is what another user has: the user name or the address.
func (t Taken) member() string {
	if t == ErrExists || t == ErrUsernameIsEmail {
		return "username"
	}
	return "email"
}

// User is a person who can sign in.
type User struct {
	// ID is the `sub` of the tokens that are issued for the user; it never changes.
	ID string
	// Username is normalised: see EmailForm.
	Username string
	// Email is the user's address. The user can sign in with it as with the user
	// name, as long as nobody else has it: see EmailForm. An administrator has set
	// it. If users could type it themselves, it must be verified before it is stored
	// here: otherwise somebody could take over the address of another person, and
	// that person's sign-in.
	Email string
	// EmailVerified is whether the address is known to be the user's; nil if it was
	// never set.
	EmailVerified *bool
	Roles         []string
	// Claims are further claims about the user, such as name and locale
	// (OpenID Connect Core section 5.1).
	Claims Claims
	// Password is the hash of the password, with its parameters; empty if the user has
	// none, and cannot sign in by one.
	Password string
	// MustChange is whether the password is good for nothing but setting another one.
	// Somebody else has set it, and may know it.
	MustChange bool
	Disabled   bool
	// Epoch is the number of the change that created the user or last revoked
	// everything that was issued for them.
	Epoch     changes.Number
	CreatedAt time.Time
}

// Reader finds users.
type Reader interface {
	// User returns the user with that id, or ErrNotFound.
	User(ctx context.Context, id string) (User, error)
	// UserByName returns the user with that normalised name, or ErrNotFound.
	UserByName(ctx context.Context, username string) (User, error)
	// UsersByForm returns, by one statement, the user with that normalised name, if
	// there is one, and up to most users whose address was stored with that form. A
	// stored form may be out of date: older versions of the server change an address
	// without its form.
	UsersByForm(ctx context.Context, form string, most int) ([]User, error)
	// Users returns users, ordered by name.
	Users(ctx context.Context, q Query) ([]User, error)
	// SharedForms returns those of the forms that several users have, as their name or
	// as the stored form of their address.
	SharedForms(ctx context.Context, forms []string) ([]string, error)
}

// Query selects users. A zero field selects all.
type Query struct {
	// After selects only users whose name comes after this one.
	After string
	// Role selects only users who have this role.
	Role string
	// Limit selects only that many, the first ones.
	Limit int
}

// Others reports, within the transaction that changes a user, whether another user can sign
// in who holds a role.
type Others func(role string) (bool, error)

// Allow decides within the transaction whether a user, as they are now, may be changed. It
// may be asked again, if the first transaction was rolled back. Its error is returned as it
// is. A nil Allow allows every change.
type Allow func(u User, others Others) error

// Store keeps users.
type Store interface {
	Reader
	// CreateUser stores a new user, whose epoch is the number of this change. It
	// returns the error of type Taken if another user has the name or the address.
	CreateUser(ctx context.Context, u User, ev audit.Event) error
	// UpdateUser reads a user, lets edit change it, and stores name, address, roles
	// and claims with the event that edit returns, all in one transaction that no
	// other editor can interrupt. If edit returns no event, nothing is stored. edit may
	// be called again, if the first transaction was rolled back, and must not use the
	// database, except by others. If the change Appoints the user, their links end.
	// Returns ErrNotFound, the error that edit returned or, for a changed name or
	// address, one of type Taken.
	UpdateUser(ctx context.Context, id string, edit func(u *User, others Others) (*audit.Event, error)) error
	// SetUserDisabled disables or enables a user. If the user already is as asked, it
	// changes nothing and stores no event. Returns ErrNotFound, or what allow does.
	SetUserDisabled(ctx context.Context, id string, disabled bool, allow Allow, ev audit.Event) error
	// SetPassword replaces the hash, and revokes everything that was issued for the
	// user, and their links. Returns ErrNotFound, or what allow does.
	SetPassword(ctx context.Context, id, hash string, mustChange bool, allow Allow, ev audit.Event) error
	// DeleteUser removes the user with their sessions and consents, and revokes
	// everything that was issued for them. Returns ErrNotFound, or what allow does.
	DeleteUser(ctx context.Context, id string, allow Allow, ev audit.Event) error
	LinkStore
}

// Hasher makes the hash of a new password of a user. It returns an ErrInvalid if the
// password is not acceptable.
type Hasher interface {
	Hash(ctx context.Context, u User, password string) (string, error)
}

// Users looks up, creates, changes and deletes the users of this server.
type Users struct {
	store     Store
	passwords Hasher
	now       func() time.Time
}

// NewUsers returns the users in store.
func NewUsers(store Store, p Hasher, now func() time.Time) *Users {
	return &Users{store, p, now}
}

// ByName returns the user with that user name, or ErrNotFound.
func (d *Users) ByName(ctx context.Context, name string) (User, error) {
	name, err := normalizeUsername(name)
	if err != nil {
		return User{}, ErrNotFound
	}
	return d.store.UserByName(ctx, name)
}

// ByID returns the user with that id, or ErrNotFound.
func (d *Users) ByID(ctx context.Context, id string) (User, error) { return d.store.User(ctx, id) }

// Find returns the user with that user name or, if there is none, with that id; or
// ErrNotFound.
func (d *Users) Find(ctx context.Context, name string) (User, error) {
	u, err := d.ByName(ctx, name)
	if errors.Is(err, ErrNotFound) {
		u, err = d.ByID(ctx, name)
	}
	return u, err
}

// List returns users, ordered by name.
func (d *Users) List(ctx context.Context, q Query) ([]User, error) { return d.store.Users(ctx, q) }

// Create registers a user with a password; it fills in ID, Password, Epoch and
// CreatedAt. Returns ErrInvalid, or an error of type Taken.
func (d *Users) Create(ctx context.Context, u User, password string, by audit.Actor) (User, error) {
	return d.create(ctx, u, by, func(u User) (string, error) { return d.passwords.Hash(ctx, u, password) })
}

// CreateWithoutPassword is Create for a user who cannot sign in until a password is set,
// such as by an Invitation.
func (d *Users) CreateWithoutPassword(ctx context.Context, u User, by audit.Actor) (User, error) {
	u.MustChange = false
	return d.create(ctx, u, by, func(User) (string, error) { return "", nil })
}

func (d *Users) create(ctx context.Context, u User, by audit.Actor, hash func(User) (string, error)) (User, error) {
	var err error
	if u.Username, err = normalizeUsername(u.Username); err != nil {
		return User{}, err
	}
	if err := u.validate(); err != nil {
		return User{}, err
	}
	if u.Password, err = hash(u); err != nil {
		return User{}, err
	}
	u.ID, u.CreatedAt = rand.Text(), d.now()
	err = d.store.CreateUser(ctx, u, audit.Event{
		At: u.CreatedAt, Actor: by, Action: audit.UserCreated, Subject: u.ID,
		Details: u.details(),
	})
	if err != nil {
		return User{}, located(err)
	}
	if changes.IsDryRun(ctx) {
		return u, nil
	}
	return d.store.User(ctx, u.ID)
}

// located says of an error of type Taken which member it is about.
func located(err error) error {
	var t Taken
	if errors.As(err, &t) {
		return field.At(err, t.member())
	}
	return err
}

// Update lets edit change a user, and reports whether it changed anything. Updates at
// the same time come one after the other, so edit may be called twice, and must work on
// the user that it is given. An update ends no session or token, and `sub` stays: apps
// see the same person under a new name. A new address is not verified, unless edit sets
// EmailVerified again. Returns ErrInvalid, or what Store.UpdateUser does.
func (d *Users) Update(ctx context.Context, id string, edit func(u *User, others Others) error, reason string, by audit.Actor) (u User, changed bool, err error) {
	err = d.store.UpdateUser(ctx, id, func(stored *User, others Others) (*audit.Event, error) {
		was, claims := *stored, maps.Clone(stored.Claims)
		before := was.details()
		if err := edit(stored, others); err != nil {
			return nil, err
		}
		if stored.Username != was.Username {
			var err error
			if stored.Username, err = normalizeUsername(stored.Username); err != nil {
				return nil, err
			}
		}
		stored.verifiedAnew(was)
		u = *stored
		if u.ID != was.ID || u.Password != was.Password || u.MustChange != was.MustChange || u.Disabled != was.Disabled || u.Epoch != was.Epoch {
			return nil, fmt.Errorf("%w: an update leaves the id, the password and the state of a user alone", ErrInvalid)
		}
		var also []string
		if u.Email != was.Email {
			also = append(also, "email")
		}
		if !maps.EqualFunc(u.Claims, claims, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			also = append(also, "claims")
		}
		details := audit.Changed(before, u.details(), also...)
		if changed = details != nil; !changed {
			return nil, nil
		}
		if err := u.validate(); err != nil {
			return nil, err
		}
		return &audit.Event{At: d.now(), Actor: by, Action: audit.UserUpdated, Subject: id, Reason: reason, Details: details}, nil
	})
	if err != nil {
		return User{}, false, located(err)
	}
	return u, changed, nil
}

// verifiedAnew marks a changed address as not verified: it was the former one that was
// verified. If edit has set EmailVerified again, which the new pointer shows, that value
// stays.
func (u *User) verifiedAnew(was User) {
	if u.Email == was.Email || u.EmailVerified != was.EmailVerified || was.EmailVerified == nil {
		return
	}
	if u.EmailVerified = new(bool); u.Email == "" {
		u.EmailVerified = nil
	}
}

// details returns what the audit log records of a user. It leaves out the address and
// the claims, which are personal data.
func (u User) details() map[string]string {
	verified := ""
	if u.EmailVerified != nil {
		verified = fmt.Sprint(*u.EmailVerified)
	}
	return map[string]string{"username": u.Username, "roles": strings.Join(u.Roles, " "), "email_verified": verified}
}

// Version is another one after every change of what an administrator sees of the user.
func (u User) Version() string {
	facts := u.details()
	claims, err := WriteClaims(u.Claims)
	if err != nil {
		panic(err) // they were read from JSON
	}
	facts["id"], facts["email"], facts["claims"], facts["disabled"] = u.ID, u.Email, string(claims), fmt.Sprint(u.Disabled)
	facts["password"], facts["must_change"] = fmt.Sprint(u.Password != ""), fmt.Sprint(u.MustChange)
	return changes.Version(facts)
}

// CanSignIn reports whether the user can prove at all who they are.
func (u User) CanSignIn() bool { return !u.Disabled && u.Password != "" }

func (u User) validate() error {
	if u.Email != "" {
		if a, err := mail.ParseAddress(u.Email); err != nil || a.Address != u.Email || len(u.Email) > 254 {
			return field.At(fmt.Errorf("%w: %q is not an e-mail address", ErrInvalid, u.Email), "email")
		}
	}
	if u.Email == "" && u.EmailVerified != nil {
		return field.At(fmt.Errorf("%w: there is no e-mail address that could be verified", ErrInvalid), "email_verified")
	}
	for i, role := range u.Roles {
		// A role must be one word, as a scope is.
		if list, err := apis.ParseScope(role); err != nil || len(list) != 1 || list[0] != role {
			return field.At(fmt.Errorf("%w: the role %q is not one word of visible ASCII characters", ErrInvalid, role), "roles", i)
		}
	}
	return validClaims(u.Claims)
}

// Disable locks the user out until Enable is called. Meanwhile nothing that was issued
// for the user is valid. Returns ErrNotFound, or what allow does.
func (d *Users) Disable(ctx context.Context, id string, allow Allow, reason string, by audit.Actor) error {
	return d.store.SetUserDisabled(ctx, id, true, allow, audit.Event{At: d.now(), Actor: by, Action: audit.UserDisabled, Subject: id, Reason: reason})
}

// Enable undoes Disable. Returns ErrNotFound, or what allow does.
func (d *Users) Enable(ctx context.Context, id string, allow Allow, reason string, by audit.Actor) error {
	return d.store.SetUserDisabled(ctx, id, false, allow, audit.Event{At: d.now(), Actor: by, Action: audit.UserEnabled, Subject: id, Reason: reason})
}

// Delete removes the user, and revokes everything that was issued for them. Returns
// ErrNotFound, or what allow does.
func (d *Users) Delete(ctx context.Context, id string, allow Allow, reason string, by audit.Actor) error {
	return d.store.DeleteUser(ctx, id, allow, audit.Event{At: d.now(), Actor: by, Action: audit.UserDeleted, Subject: id, Reason: reason})
}

// SetPassword replaces the user's password, and ends all sessions, grants and links, so that
// whoever knew the old password is signed out. Returns ErrNotFound, ErrInvalid, or what
// allow does.
func (d *Users) SetPassword(ctx context.Context, u User, password string, allow Allow, reason string, by audit.Actor) error {
	return d.setPassword(ctx, u, password, false, allow, reason, by)
}

// SetPasswordForOnce is SetPassword for a password that must be changed at the next sign-in.
func (d *Users) SetPasswordForOnce(ctx context.Context, u User, password string, allow Allow, reason string, by audit.Actor) error {
	return d.setPassword(ctx, u, password, true, allow, reason, by)
}

func (d *Users) setPassword(ctx context.Context, u User, password string, mustChange bool, allow Allow, reason string, by audit.Actor) error {
	hash, err := d.passwords.Hash(ctx, u, password)
	if err != nil {
		return err
	}
	ev := audit.Event{At: d.now(), Actor: by, Action: audit.UserPasswordSet, Subject: u.ID, Reason: reason}
	if mustChange {
		ev.Details = map[string]string{"must_change": "true"}
	}
	return d.store.SetPassword(ctx, u.ID, hash, mustChange, allow, ev)
}
