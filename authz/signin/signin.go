package signin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/throttle"
)

// Visitor is the browser, or the app, from which somebody signs in.
type Visitor struct {
	// Address is the network address by which attempts are counted: an IPv4 address or
	// an IPv6 /64. Package web reads it from the request (presented.go).
	Address, UserAgent string
	// Told is whether an app's backend has said that address. The request itself came from
	// another one.
	Told bool
	// Device is the value by which the browser or device is known; it outlives
	// sessions, and may be empty. See devicesOf.
	Device string
	// Session is the id of the login session that the browser has; may be empty.
	Session string
	// ClientID is the first-party app that asks for the password itself; empty for the
	// sign-in page.
	ClientID string
	// Shared is whether the address is that of an app's backend, which is the same for
	// all its users.
	Shared bool
}

func (v Visitor) origin() throttle.Origin {
	return throttle.Origin{Address: v.Address, Shared: v.Shared, ClientID: v.ClientID}
}

// SignedIn is the result of a sign-in.
type SignedIn struct {
	// Secret is the value of the session cookie; Device, that of the device cookie.
	Secret, Device string
	User           accounts.User
	Session        sessions.Session
	// Former are the sessions that the same app began on this device before.
	Former []sessions.Session
}

// Store keeps the login sessions that begin, and events about refused sign-ins.
type Store interface {
	// BeginSession stores a session under the hashes of its two secrets, with the
	// server's present epoch. It returns accounts.ErrNotFound if the user does not exist,
	// is disabled, or was revoked since the session's UserEpoch: then the password may
	// have changed after it was checked.
	BeginSession(ctx context.Context, s sessions.Session, secret, device [32]byte, ev audit.Event) error
	// RenewSession is BeginSession for a session of the user that stands: it keeps its id
	// and its grants. Returns sessions.ErrNotFound if it does not stand.
	RenewSession(ctx context.Context, s sessions.Session, secret, device [32]byte, ev audit.Event) error
	// AppSessions returns the sessions that a client began on a device and that were not
	// ended.
	AppSessions(ctx context.Context, client string, device [32]byte) ([]sessions.Session, error)
	// KnownDevice reports whether the user has signed in with that device.
	KnownDevice(ctx context.Context, user string, device [32]byte) (bool, error)
	// Record stores events that belong to no change, all or none.
	Record(ctx context.Context, events []audit.Event) error
}

// SignIn checks who a person is, and begins a login session for them.
type SignIn struct {
	users     *accounts.Users
	sessions  *sessions.Sessions
	passwords *passwords.Hasher
	throttle  *throttle.Throttle
	refusals  *refusals
	notes     Notes
	store     Store
}

// New returns a SignIn for users, whose passwords hasher checks. notes are those of
// MustChangeError.
func New(users *accounts.Users, all *sessions.Sessions, hasher *passwords.Hasher, guesses *throttle.Throttle, notes Notes, store Store, now func() time.Time) *SignIn {
	return &SignIn{users, all, hasher, guesses, newRefusals(store, now), notes, store}
}

// Do signs a person in: it checks the password of the user with that user name or e-mail
// address, and begins a login session. Returns ErrWrong, a *MustChangeError, a
// *throttle.TooManyError or throttle.ErrCrowded.
func (s *SignIn) Do(ctx context.Context, name, password string, from Visitor) (in SignedIn, err error) {
	defer func() { s.refusals.note(err, from.Address) }()
	leave, err := s.throttle.Join(accountOf(accounts.User{}, name), from.Device, from.origin())
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	u, err := s.users.BySignInName(ctx, name)
	if err != nil && !errors.Is(err, accounts.ErrNotFound) {
		return SignedIn{}, err
	}
	shown, device, err := s.check(ctx, u, accountOf(u, name), typed{s.passwords, password}, from)
	if err != nil {
		return SignedIn{}, err
	}
	if u.MustChange {
		return SignedIn{}, s.mustChange(u, from)
	}
	return s.begin(ctx, u, shown, device, from)
}

// Change replaces a user's password, if they give the current one. That ends all their
// sessions, and Change begins a new one. It returns ErrWrong, a *MustChangeError, a
// *throttle.TooManyError, throttle.ErrCrowded or, if the new password is not acceptable, accounts.ErrInvalid; in
// these cases nothing has changed. It returns sessions.ErrNotFound if the password was
// changed, but no session could be begun.
func (s *SignIn) Change(ctx context.Context, u accounts.User, current, new, reason string, from Visitor) (in SignedIn, err error) {
	defer func() { s.refusals.note(err, from.Address) }()
	leave, err := s.throttle.Join(accountOf(accounts.User{}, u.ID), from.Device, from.origin())
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	// The user is looked up by id. Had they been renamed a moment ago, their old name
	// could by now belong to another user, perhaps as an e-mail address.
	u, err = s.users.ByID(ctx, u.ID)
	if errors.Is(err, accounts.ErrNotFound) {
		return SignedIn{}, &WrongError{Reason: ReasonUnknown}
	}
	if err != nil {
		return SignedIn{}, err
	}
	shown, device, err := s.check(ctx, u, u.ID, typed{s.passwords, current}, from)
	if err != nil {
		return SignedIn{}, err
	}
	if u.MustChange {
		return SignedIn{}, &MustChangeError{User: u} // the sign-in page leads on
	}
	if err := s.users.SetPassword(ctx, u, new, nil, reason, audit.User(u.ID)); err != nil {
		return SignedIn{}, err
	}
	return s.beginAgain(ctx, u, shown, device, from)
}

// beginAgain begins a session of a user whose password was just changed. It returns
// sessions.ErrNotFound if that cannot be.
func (s *SignIn) beginAgain(ctx context.Context, u accounts.User, p proof, device string, from Visitor) (SignedIn, error) {
	changed, err := s.users.ByID(ctx, u.ID)
	if err != nil {
		return SignedIn{}, fmt.Errorf("%w: %w", sessions.ErrNotFound, err)
	}
	in, err := s.begin(ctx, changed, p, device, from)
	if err != nil {
		return SignedIn{}, fmt.Errorf("%w: %w", sessions.ErrNotFound, err)
	}
	return in, nil
}

// WriteRefusals writes the sign-ins that were refused since the last time to the audit
// log. If that fails, they are kept for the next time.
func (s *SignIn) WriteRefusals(ctx context.Context) error { return s.refusals.write(ctx) }

// accountOf returns the account for which attempts are counted: the user's id or, if
// there is no such user, the name as it was typed.
func accountOf(u accounts.User, name string) string {
	if u.ID != "" {
		return u.ID
	}
	// In the form by which a user would be found. Otherwise different spellings of an
	// unknown name would be counted apart, and those of an existing one together, which
	// tells strangers which names exist.
	if form := accounts.EmailForm(name); form != "" {
		name = form
	}
	return "unknown\x00" + name
}
