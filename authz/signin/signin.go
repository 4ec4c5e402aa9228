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
	// Address is what attempts are counted by: see package clients.
	Address, UserAgent string
	// Device is the value of the cookie that outlives sessions; may be empty. See
	// devicesOf.
	Device string
	// Session is the id of the login session that the browser has; may be empty.
	Session string
	// ClientID is the app that asks for the password by itself; empty for the
	// sign-in page.
	ClientID string
	// Shared is whether the address is that of an app's backend, and says nothing
	// of the person.
	Shared bool
}

func (v Visitor) origin() throttle.Origin {
	return throttle.Origin{Address: v.Address, Shared: v.Shared, ClientID: v.ClientID}
}

// SignedIn is what a sign-in leaves in the browser.
type SignedIn struct {
	// Secret is the session cookie's value, Device the device cookie's.
	Secret, Device string
	User           accounts.User
	Session        sessions.Session
	// Former are the sessions that the app began in that device before.
	Former []sessions.Session
}

// Store keeps the login sessions that begin, and events about those that did not.
type Store interface {
	// BeginSession stores a session under the hashes of its two cookies, with
	// the server's epoch as it is. Returns accounts.ErrNotFound if the user is not
	// there, is disabled, or was cut since the session's UserEpoch: then the password
	// that was checked may not be the one any more.
	BeginSession(ctx context.Context, s sessions.Session, secret, device [32]byte, ev audit.Event) error
	// RenewSession is BeginSession for a session of the user that stands: it
	// keeps its id, and what was allowed in it. Returns sessions.ErrNotFound.
	RenewSession(ctx context.Context, s sessions.Session, secret, device [32]byte, ev audit.Event) error
	// AppSessions returns those that a client began in a device and that were not
	// ended.
	AppSessions(ctx context.Context, client string, device [32]byte) ([]sessions.Session, error)
	// KnownDevice reports whether the user has signed in with that device.
	KnownDevice(ctx context.Context, user string, device [32]byte) (bool, error)
	// Record stores events that are about no change; all or none.
	Record(ctx context.Context, events []audit.Event) error
}

// SignIn is how a person proves who they are, and is signed in then.
type SignIn struct {
	users     *accounts.Users
	sessions  *sessions.Sessions
	passwords *passwords.Hasher
	throttle  *throttle.Throttle
	refusals  *refusals
	store     Store
}

// New returns a SignIn of users, whose passwords are checked by hasher.
func New(users *accounts.Users, all *sessions.Sessions, hasher *passwords.Hasher, guesses *throttle.Throttle, store Store, now func() time.Time) *SignIn {
	return &SignIn{users, all, hasher, guesses, newRefusals(store, now), store}
}

// Do checks the password of the user whom a person names, by user name or by
// address, and begins a login session. Returns ErrWrong, a *throttle.TooManyError or
// throttle.ErrCrowded.
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
	return s.begin(ctx, u, shown, device, from)
}

// Change replaces the password of a user who knows the one they have, which
// ends all their sessions, and begins a new one. Returns ErrWrong or a
// *throttle.TooManyError, throttle.ErrCrowded, or accounts.ErrInvalid for a new
// password that will not do; then nothing was changed. If the password was changed and
// no session could be begun, it returns sessions.ErrNotFound.
func (s *SignIn) Change(ctx context.Context, u accounts.User, current, new, reason string, from Visitor) (in SignedIn, err error) {
	defer func() { s.refusals.note(err, from.Address) }()
	leave, err := s.throttle.Join(accountOf(accounts.User{}, u.ID), from.Device, from.origin())
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	// By id: whoever was renamed a moment ago would find another user by the name
	// that they had, perhaps as the address of that one.
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
	if err := s.users.SetPassword(ctx, u, new, reason, audit.User(u.ID)); err != nil {
		return SignedIn{}, err
	}
	changed, err := s.users.ByID(ctx, u.ID)
	if err != nil {
		return SignedIn{}, fmt.Errorf("%w: %w", sessions.ErrNotFound, err)
	}
	if in, err = s.begin(ctx, changed, shown, device, from); err != nil {
		return SignedIn{}, fmt.Errorf("%w: %w", sessions.ErrNotFound, err)
	}
	return in, nil
}

// WriteRefusals writes to the audit log who was not signed in since the last time. If
// that fails, it is counted on.
func (s *SignIn) WriteRefusals(ctx context.Context) error { return s.refusals.write(ctx) }

// accountOf is the user's id, however they were named, or, where there is none, the
// name as it was typed.
func accountOf(u accounts.User, name string) string {
	if u.ID != "" {
		return u.ID
	}
	// As it would be found: otherwise spellings of a name that is not there
	// would be counted apart, and those of one that is there together.
	if form := accounts.EmailForm(name); form != "" {
		name = form
	}
	return "unknown\x00" + name
}
