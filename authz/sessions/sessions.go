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

// Session is one browser in which a user is signed in.
type Session struct {
	// ID is the `sid` of what is issued in it. It is no secret.
	ID     string
	UserID string
	// AuthenticatedAt is when the user last proved to be who they are.
	AuthenticatedAt time.Time
	// Methods are how (`amr`, RFC 8176), and ContextClass is how well (`acr`, OpenID
	// Connect Core 1.0 section 2).
	Methods      []string
	ContextClass string
	// UserEpoch and ServerEpoch are those it began under.
	UserEpoch, ServerEpoch changes.Number

	CreatedAt, SeenAt time.Time
	// IdleAt is when it ends unless it is seen again, ExpiresAt when it ends
	// anyway.
	IdleAt, ExpiresAt time.Time
	// EndedAt is zero unless it was ended.
	EndedAt time.Time
	// Address and UserAgent are what the user is shown to tell it by.
	Address, UserAgent string
	// ClientID is the app that signed the user in by itself, and whose sign-in
	// this is; empty for the sign-in page's.
	ClientID string
}

// OneFactor is the context class of a sign-in with one factor. There is no other yet. A
// version that stores another must not run beside versions from before the class was
// stored: these renew a session and leave its class as it is, so that a sign-in with a
// password alone would pass for more.
const OneFactor = "1"

// DeviceLife is for how long a browser, or an app's device, is known to be the
// user's after they last signed in there. Its cookie lives as long, and the row of
// the login session, by which it is known, no shorter: else a stranger who guesses
// could lock the user out of a browser that still shows its cookie.
const DeviceLife = 365 * 24 * time.Hour

// Query selects login sessions. Zero fields do not restrict.
type Query struct {
	UserID string
	// Limit is how many of the newest there are to be at most.
	Limit int
}

// Listed is a login session with the names of whose it is: ClientName is that
// of the app that began it, and empty where that is not there any more.
type Listed struct {
	Session
	Username, ClientName string
}

// Store keeps login sessions.
type Store interface {
	// SessionBySecret returns the session and its user, if it stands at now;
	// otherwise ErrNotFound. One statement.
	SessionBySecret(ctx context.Context, secret [32]byte, now time.Time) (Session, accounts.User, error)
	// TouchSession notes that the session was seen.
	TouchSession(ctx context.Context, id string, seen, idle time.Time) error
	// Sessions returns those of a user that stand at now, the one with the id first
	// before all others and then the newest, at most limit unless that is zero; and
	// how many there are. One statement.
	Sessions(ctx context.Context, user, first string, limit int, now time.Time) (list []Session, total int, err error)
	// ListSessions returns those that stand at now, newest first, and holds a bounded
	// number of them however many there are.
	ListSessions(ctx context.Context, q Query, now time.Time) iter.Seq2[Listed, error]
	// AppSession returns the one with that id that a client began and that was not
	// ended, or ErrNotFound.
	AppSession(ctx context.Context, client, id string) (Session, error)
	// EndSession ends one of a user's sessions, or returns ErrNotFound.
	EndSession(ctx context.Context, user, id string, ev audit.Event) error
	// EndSessions ends all sessions of a user but keep, in one transaction: those
	// that stand at the time of the event, which are counted, and those that have
	// expired and in which something was allowed that ends with them. Each is a
	// change, and has an event of its own, which is ev about it. Returns ErrNotFound,
	// and ends none, if keep is none of the user's that stand; empty keeps none.
	EndSessions(ctx context.Context, user, keep string, ev audit.Event) (stood int, err error)
}

// Sessions is all login sessions.
type Sessions struct {
	store Store
	// idle and life are how long a session lasts unseen, and at most.
	idle, life time.Duration
	now        func() time.Time
}

// New returns the login sessions in store.
func New(store Store, idle, life time.Duration, now func() time.Time) *Sessions {
	return &Sessions{store, idle, life, now}
}

// Find returns the session that a cookie's value stands for, and its user; or
// ErrNotFound.
func (s *Sessions) Find(ctx context.Context, secret string) (Session, accounts.User, error) {
	if secret == "" {
		return Session{}, accounts.User{}, ErrNotFound
	}
	now := s.now()
	found, user, err := s.store.SessionBySecret(ctx, sha256.Sum256([]byte(secret)), now)
	if err != nil {
		return Session{}, accounts.User{}, err
	}
	// Noted only now and then: a page costs no write.
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

// Fresh returns a session that begins now, of a user who proved who they are by these
// methods, which makes the context class. It is not stored yet: see package signin.
func (s *Sessions) Fresh(u accounts.User, methods []string, class string) Session {
	now := s.now()
	fresh := Session{
		ID: rand.Text(), UserID: u.ID, UserEpoch: u.Epoch, AuthenticatedAt: now, Methods: methods, ContextClass: class,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(s.life),
	}
	fresh.IdleAt = s.idleAt(now, fresh.ExpiresAt)
	return fresh
}

// Of returns the sessions of a user that stand, newest first, at most limit, and how
// many there are. The one with the id first comes before all
// others, however old it is; it may be empty.
func (s *Sessions) Of(ctx context.Context, user, first string, limit int) (list []Session, total int, err error) {
	return s.store.Sessions(ctx, user, first, limit, s.now())
}

// List returns the sessions that stand, newest first, and holds a bounded number of
// them however many there are.
func (s *Sessions) List(ctx context.Context, q Query) iter.Seq2[Listed, error] {
	return s.store.ListSessions(ctx, q, s.now())
}

// EndFormer ends what an app began in a browser before: that holds one refresh
// token for it, and what was there is overwritten.
func (s *Sessions) EndFormer(ctx context.Context, former []Session) error {
	for _, f := range former {
		err := s.End(ctx, f.UserID, f.ID, "signed in again", audit.Client(f.ClientID))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// EndApp ends a session that a client began; one of the sign-in page is
// everybody's, and stays.
func (s *Sessions) EndApp(ctx context.Context, client, id, reason string) error {
	found, err := s.store.AppSession(ctx, client, id)
	if err == nil {
		err = s.End(ctx, found.UserID, id, reason, audit.User(found.UserID))
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// End ends a session, and with it the grants that were made in it without
// offline_access. Returns ErrNotFound.
func (s *Sessions) End(ctx context.Context, user, id, reason string, by audit.Actor) error {
	return s.store.EndSession(ctx, user, id, s.ended(user, id, reason, by))
}

// EndOthers ends all sessions of a user but the one with the id keep, as End does
// each, or none of them; and returns in how many the user was signed in. A session
// that has expired ends too if it has grants that end with it: whoever signs out
// everywhere means these as well. Returns ErrNotFound if keep does not stand (any
// more): who was signed out a moment ago signs nobody else out.
func (s *Sessions) EndOthers(ctx context.Context, user, keep, reason string, by audit.Actor) (ended int, err error) {
	if keep == "" {
		return 0, ErrNotFound
	}
	return s.store.EndSessions(ctx, user, keep, s.ended(user, "", reason, by))
}

// EndAll is EndOthers that keeps none.
func (s *Sessions) EndAll(ctx context.Context, user, reason string, by audit.Actor) (ended int, err error) {
	return s.store.EndSessions(ctx, user, "", s.ended(user, "", reason, by))
}

func (s *Sessions) ended(user, id, reason string, by audit.Actor) audit.Event {
	return audit.Event{At: s.now(), Actor: by, Action: audit.SessionEnded, Subject: id, Reason: reason, Details: map[string]string{"user": user}}
}
