package sessions

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"iter"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
)

// ErrNotFound: there is no such login session, or it has ended.
var ErrNotFound = errors.New("no such login session")

// Session is a login session: one browser, or one app, in which a user is signed in.
type Session struct {
	// ID is the `sid` of the tokens that are issued in it. It is no secret.
	ID     string
	UserID string
	// AuthenticatedAt is when the user last proved who they are.
	AuthenticatedAt time.Time
	// Methods are how the user proved it (`amr`, RFC 8176); ContextClass is how strong
	// that proof is (`acr`, OpenID Connect Core 1.0 section 2).
	Methods      []string
	ContextClass string
	// UserEpoch and ServerEpoch are the epochs under which the session began.
	UserEpoch, ServerEpoch changes.Number

	CreatedAt, SeenAt time.Time
	// IdleAt is when the session ends if it is not used before; ExpiresAt is when it
	// ends in any case.
	IdleAt, ExpiresAt time.Time
	// EndedAt is when it was ended; zero if it was not.
	EndedAt time.Time
	// Address and UserAgent are shown to the user, to recognise the session.
	Address, UserAgent string
	// ClientID is the first-party app that began the session; empty if it was begun on
	// the sign-in page.
	ClientID string
}

// OneFactor is the context class of a sign-in with one factor. There is no other class
// yet. A version that adds one must not run beside versions that do not store the class:
// these leave it as it is when they renew a session, so that a sign-in with a password
// alone would look like a stronger one.
const OneFactor = "1"

// DeviceLife is for how long a browser, or an app's device, is known as the user's after
// they last signed in there. Its cookie lives as long. The row of the login session, by
// which the device is known, must be kept at least as long: otherwise somebody who guesses
// passwords could lock the user out of a browser that still sends its cookie.
const DeviceLife = 365 * 24 * time.Hour

// Query selects login sessions. A zero field selects all.
type Query struct {
	UserID string
	// After selects only sessions that come after this one in the list, newest first.
	After Place
	// Limit selects only that many of the newest sessions.
	Limit int
}

// Place is the place of a session in a list, whether it still stands or not. Sessions that
// began at the same time are ordered by id.
type Place struct {
	CreatedAt time.Time
	ID        string
}

// Listed is a login session with the name of its user and, as ClientName, that of the
// app that began it; empty if there is none (any more).
type Listed struct {
	Session
	Username, ClientName string
}

// Store keeps login sessions.
type Store interface {
	// SessionBySecret returns the session with that hash of its secret, and its user, if
	// the session stands at now; otherwise ErrNotFound. It costs one statement.
	SessionBySecret(ctx context.Context, secret [32]byte, now time.Time) (Session, accounts.User, error)
	// TouchSession stores that the session was used.
	TouchSession(ctx context.Context, id string, seen, idle time.Time) error
	// Sessions returns the sessions of a user that stand at now: first the one with the
	// id first, then the newest. It returns at most limit of them, or all if limit is
	// zero, and how many there are. It costs one statement.
	Sessions(ctx context.Context, user, first string, limit int, now time.Time) (list []Session, total int, err error)
	// ListSessions returns the sessions that stand at now, newest first. It reads them
	// in parts, so that a long list does not fill memory.
	ListSessions(ctx context.Context, q Query, now time.Time) iter.Seq2[Listed, error]
	// AppSession returns the session with that id, if that client began it and it was
	// not ended; otherwise ErrNotFound.
	AppSession(ctx context.Context, client, id string) (Session, error)
	// SessionUser returns the id of the user of a session, or ErrNotFound.
	SessionUser(ctx context.Context, id string) (string, error)
	// EndSession ends one of a user's sessions, or returns ErrNotFound.
	EndSession(ctx context.Context, user, id string, ev audit.Event) error
	// EndSessions ends all sessions of a user except keep, in one transaction. It ends
	// those that stand at the time of the event, and returns how many these were; and
	// those that have expired, but have grants that end with them. Each ended session
	// is a change, and has its own event, made from ev. If keep is not empty, and is no
	// standing session of the user, it returns ErrNotFound and ends none.
	EndSessions(ctx context.Context, user, keep string, ev audit.Event) (stood int, err error)
}

// Sessions finds, lists and ends login sessions.
type Sessions struct {
	store Store
	// idle is how long a session lasts without being used; life, how long at most.
	idle, life time.Duration
	now        func() time.Time
}

// New returns the login sessions in store.
func New(store Store, idle, life time.Duration, now func() time.Time) *Sessions {
	return &Sessions{store, idle, life, now}
}

// Find returns the session whose secret is the value of a browser's session cookie, and
// its user; or ErrNotFound.
func (s *Sessions) Find(ctx context.Context, secret string) (Session, accounts.User, error) {
	if secret == "" {
		return Session{}, accounts.User{}, ErrNotFound
	}
	now := s.now()
	found, user, err := s.store.SessionBySecret(ctx, sha256.Sum256([]byte(secret)), now)
	if err != nil {
		return Session{}, accounts.User{}, err
	}
	// Stored only now and then, so that most pages cost no write.
	if now.Sub(found.SeenAt) > s.idle/10 {
		err = s.store.TouchSession(ctx, found.ID, now, s.idleAt(now, found.ExpiresAt))
	}
	return found, user, err
}

func (s *Sessions) idleAt(now, expires time.Time) time.Time {
	if idle := now.Add(s.idle); idle.Before(expires) {
		return idle
	}
	return expires
}

// Fresh returns a new session, which begins now, of a user who has proved who they are by
// these methods, with that context class. It does not store it: package signin does.
func (s *Sessions) Fresh(u accounts.User, methods []string, class string) Session {
	now := s.now()
	fresh := Session{
		ID: rand.Text(), UserID: u.ID, UserEpoch: u.Epoch, AuthenticatedAt: now, Methods: methods, ContextClass: class,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(s.life),
	}
	fresh.IdleAt = s.idleAt(now, fresh.ExpiresAt)
	return fresh
}

// Of returns the sessions of a user that stand, newest first, at most limit of them, and
// how many there are. If first is not empty, the session with that id comes before all
// others.
func (s *Sessions) Of(ctx context.Context, user, first string, limit int) (list []Session, total int, err error) {
	return s.store.Sessions(ctx, user, first, limit, s.now())
}

// List returns the sessions that stand, newest first. It reads them in parts, so that a
// long list does not fill memory.
func (s *Sessions) List(ctx context.Context, q Query) iter.Seq2[Listed, error] {
	return s.store.ListSessions(ctx, q, s.now())
}

// EndFormer ends the sessions that an app began earlier in the same browser. The browser
// keeps only one refresh token for the app, so theirs was overwritten and nobody could
// sign out of them any more.
func (s *Sessions) EndFormer(ctx context.Context, former []Session) error {
	for _, f := range former {
		err := s.End(ctx, f.UserID, f.ID, "signed in again", audit.Client(f.ClientID))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// EndApp ends a session that this client began. It leaves a session of the sign-in page
// alone: other clients use that one, too.
func (s *Sessions) EndApp(ctx context.Context, client, id, reason string, by audit.Actor) error {
	found, err := s.store.AppSession(ctx, client, id)
	if err == nil {
		err = s.End(ctx, found.UserID, id, reason, by)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// End ends a session, and with it the grants that were made in it, except those with
// offline_access. Returns ErrNotFound.
func (s *Sessions) End(ctx context.Context, user, id, reason string, by audit.Actor) error {
	return s.store.EndSession(ctx, user, id, s.ended(user, id, reason, by))
}

// EndAny ends a session, as End does, whoever its user is.
func (s *Sessions) EndAny(ctx context.Context, id, reason string, by audit.Actor) error {
	user, err := s.store.SessionUser(ctx, id)
	if err != nil {
		return err
	}
	return s.End(ctx, user, id, reason, by)
}

// EndOthers ends all sessions of a user except the one with the id keep, all or none, as
// End would. It returns in how many of them the user was signed in. A session that has
// expired is ended, too, if it has grants that end with it: a user who signs out
// everywhere means these as well. If keep does not stand (any more), it returns
// ErrNotFound: a browser that was signed out a moment ago must not sign out the others.
func (s *Sessions) EndOthers(ctx context.Context, user, keep, reason string, by audit.Actor) (ended int, err error) {
	if keep == "" {
		return 0, ErrNotFound
	}
	return s.store.EndSessions(ctx, user, keep, s.ended(user, "", reason, by))
}

// EndAll ends all sessions of a user, as EndOthers does, and keeps none.
func (s *Sessions) EndAll(ctx context.Context, user, reason string, by audit.Actor) (ended int, err error) {
	return s.store.EndSessions(ctx, user, "", s.ended(user, "", reason, by))
}

func (s *Sessions) ended(user, id, reason string, by audit.Actor) audit.Event {
	return audit.Event{At: s.now(), Actor: by, Action: audit.SessionEnded, Subject: id, Reason: reason, Details: map[string]string{"user": user}}
}
