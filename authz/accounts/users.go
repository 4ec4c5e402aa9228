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
)

var (
	// ErrNotFound: there is no such user.
	ErrNotFound = errors.New("no such user")
	// ErrInvalid: a field of the user is not acceptable; the error says which.
	ErrInvalid = errors.New("invalid user")
)

// Taken is the error of a user name or an e-mail address that another user has: at
// sign-in it could not be told which of the two is meant.
type Taken string

const (
	ErrExists          Taken = "a user with this name exists"
	ErrEmailExists     Taken = "another user has this e-mail address"
	ErrEmailIsUsername Taken = "this e-mail address is the user name of another user"
	ErrUsernameIsEmail Taken = "this user name is the e-mail address of another user"
)

func (t Taken) Error() string { return string(t) }

// User is a person who can sign in.
type User struct {
	// ID is the `sub` of what is issued for the user; it never changes.
	ID string
	// Username is normalised: see EmailForm.
	Username string
	// Email is their address, which signs them in like the user name does while
	// nobody else has it: see EmailForm. It is one that an administrator gave. An
	// address that somebody typed about themselves must not stand here before it
	// is verified: it would take the sign-in, and the address, from whose it is.
	Email string
	// EmailVerified is whether the address is known to be the user's; nil where
	// nobody said.
	EmailVerified *bool
	Roles         []string
	// Claims are further claims about the user, such as name and locale
	// (OpenID Connect Core section 5.1), by their names.
	Claims Claims
	// Password is a hash with its parameters.
	Password string
	Disabled bool
	// Epoch is the number of the change that created or last cut the user.
	Epoch     changes.Number
	CreatedAt time.Time
}

// Reader finds users.
type Reader interface {
	// User returns the one with that id, or ErrNotFound.
	User(ctx context.Context, id string) (User, error)
	// UserByName returns the one with that normalised name, or ErrNotFound.
	UserByName(ctx context.Context, username string) (User, error)
	// UsersByForm returns, by one statement, the one with that normalised
	// name, if there is one, and up to most whose address was stored with that
	// form. A version that knows of no forms may have changed the address since.
	UsersByForm(ctx context.Context, form string, most int) ([]User, error)
	// Users returns all of them, ordered by name.
	Users(ctx context.Context) ([]User, error)
}

// Store keeps users.
type Store interface {
	Reader
	// CreateUser stores a new user, whose epoch is the number of this change.
	// Returns ErrExists if the name is taken; ErrEmailExists, ErrEmailIsUsername or
	// ErrUsernameIsEmail if name and address do not tell the user from others.
	CreateUser(ctx context.Context, u User, ev audit.Event) error
	// UpdateUser lets edit change a user as it is when no other editor can come
	// in between, and stores name, address, roles and claims with the event that
	// edit returns; if it returns none, nothing is stored. edit may be called
	// again, if the first transaction had to give way, and must not ask the
	// database. Returns ErrNotFound, what CreateUser does of a name or an address
	// that was changed, or what edit returned.
	UpdateUser(ctx context.Context, id string, edit func(*User) (*audit.Event, error)) error
	// SetUserDisabled returns ErrNotFound if there is no such user, and changes
	// nothing (no event either) if it already is as asked.
	SetUserDisabled(ctx context.Context, id string, disabled bool, ev audit.Event) error
	// SetPassword replaces the hash and cuts the user. Returns ErrNotFound.
	SetPassword(ctx context.Context, id, hash string, ev audit.Event) error
	// DeleteUser removes the user with sessions and consents, or returns
	// ErrNotFound. What was issued for the user no longer stands.
	DeleteUser(ctx context.Context, id string, ev audit.Event) error
}

// Hasher makes the hash of a new password of a user, or returns an error that is
// ErrInvalid if it will not do.
type Hasher interface {
	Hash(ctx context.Context, u User, password string) (string, error)
}

// Users is all users there are.
type Users struct {
	store     Store
	passwords Hasher
	now       func() time.Time
}

// NewUsers returns the users in store.
func NewUsers(store Store, p Hasher, now func() time.Time) *Users {
	return &Users{store, p, now}
}

// ByName returns the user with that name, or ErrNotFound.
func (d *Users) ByName(ctx context.Context, name string) (User, error) {
	name, err := normalizeUsername(name)
	if err != nil {
		return User{}, ErrNotFound
	}
	return d.store.UserByName(ctx, name)
}

// ByID returns the user with that id, or ErrNotFound.
func (d *Users) ByID(ctx context.Context, id string) (User, error) { return d.store.User(ctx, id) }

// List returns all users, ordered by name.
func (d *Users) List(ctx context.Context) ([]User, error) { return d.store.Users(ctx) }

// Create registers a user with a password; it fills in ID, Password, Epoch and
// CreatedAt. Returns ErrInvalid, or what Store.CreateUser does.
func (d *Users) Create(ctx context.Context, u User, password string, by audit.Actor) (User, error) {
	var err error
	if u.Username, err = normalizeUsername(u.Username); err != nil {
		return User{}, err
	}
	if err := u.validate(); err != nil {
		return User{}, err
	}
	if u.Password, err = d.passwords.Hash(ctx, u, password); err != nil {
		return User{}, err
	}
	u.ID, u.CreatedAt = rand.Text(), d.now()
	err = d.store.CreateUser(ctx, u, audit.Event{
		At: u.CreatedAt, Actor: by, Action: audit.UserCreated, Subject: u.ID,
		Details: u.details(),
	})
	if err != nil {
		return User{}, err
	}
	return d.store.User(ctx, u.ID)
}

// Update lets edit change a user, and says whether it did: several editors at once
// come one after the other, so edit works on what it is given, perhaps twice. Nothing
// ends by it, and `sub` stays: apps see the same person under a new name. An address
// that is changed is not verified, unless edit sets EmailVerified again. Returns
// ErrInvalid, or what Store.UpdateUser does.
func (d *Users) Update(ctx context.Context, id string, edit func(*User) error, reason string, by audit.Actor) (u User, changed bool, err error) {
	err = d.store.UpdateUser(ctx, id, func(stored *User) (*audit.Event, error) {
		was, claims := *stored, maps.Clone(stored.Claims)
		before := was.details()
		if err := edit(stored); err != nil {
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
		if u.ID != was.ID || u.Password != was.Password || u.Disabled != was.Disabled || u.Epoch != was.Epoch {
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
		return User{}, false, err
	}
	return u, changed, nil
}

// verifiedAnew makes an address that was changed one that is not verified: what was
// verified was the former one, unless it was said again, which is another pointer.
func (u *User) verifiedAnew(was User) {
	if u.Email == was.Email || u.EmailVerified != was.EmailVerified || was.EmailVerified == nil {
		return
	}
	if u.EmailVerified = new(bool); u.Email == "" {
		u.EmailVerified = nil
	}
}

// details are what the audit records of a user. Addresses, and what is in the
// claims, are the user's own business.
func (u User) details() map[string]string {
	verified := ""
	if u.EmailVerified != nil {
		verified = fmt.Sprint(*u.EmailVerified)
	}
	return map[string]string{"username": u.Username, "roles": strings.Join(u.Roles, " "), "email_verified": verified}
}

func (u User) validate() error {
	if u.Email != "" {
		if a, err := mail.ParseAddress(u.Email); err != nil || a.Address != u.Email || len(u.Email) > 254 {
			return fmt.Errorf("%w: %q is not an e-mail address", ErrInvalid, u.Email)
		}
	}
	if u.Email == "" && u.EmailVerified != nil {
		return fmt.Errorf("%w: there is no e-mail address that could be verified", ErrInvalid)
	}
	for _, role := range u.Roles {
		// As one word of a list, like a scope.
		if list, err := apis.ParseScope(role); err != nil || len(list) != 1 || list[0] != role {
			return fmt.Errorf("%w: the role %q is not one word of visible ASCII characters", ErrInvalid, role)
		}
	}
	return validClaims(u.Claims)
}

// Disable refuses the user everything until enabled again; what was issued does
// not stand meanwhile. Returns ErrNotFound.
func (d *Users) Disable(ctx context.Context, id, reason string, by audit.Actor) error {
	return d.store.SetUserDisabled(ctx, id, true, audit.Event{At: d.now(), Actor: by, Action: audit.UserDisabled, Subject: id, Reason: reason})
}

// Enable takes Disable back. Returns ErrNotFound.
func (d *Users) Enable(ctx context.Context, id, reason string, by audit.Actor) error {
	return d.store.SetUserDisabled(ctx, id, false, audit.Event{At: d.now(), Actor: by, Action: audit.UserEnabled, Subject: id, Reason: reason})
}

// Delete removes the user. Returns ErrNotFound.
func (d *Users) Delete(ctx context.Context, id, reason string, by audit.Actor) error {
	return d.store.DeleteUser(ctx, id, audit.Event{At: d.now(), Actor: by, Action: audit.UserDeleted, Subject: id, Reason: reason})
}

// SetPassword replaces the user's password and ends all sessions and grants:
// whoever knew the old one is out. Returns ErrNotFound or ErrInvalid.
func (d *Users) SetPassword(ctx context.Context, u User, password, reason string, by audit.Actor) error {
	hash, err := d.passwords.Hash(ctx, u, password)
	if err != nil {
		return err
	}
	return d.store.SetPassword(ctx, u.ID, hash, audit.Event{At: d.now(), Actor: by, Action: audit.UserPasswordSet, Subject: u.ID, Reason: reason})
}
