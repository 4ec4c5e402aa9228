package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"iter"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
)

// ErrNoSession: there is no such login session, or it has ended.
var ErrNoSession = errors.New("no such login session")

// Session is one browser in which a user is signed in.
type Session struct {
	// ID is the `sid` of what is issued in it. It is no secret.
	ID     string
	UserID string
	// AuthenticatedAt is when the user last proved to be who they are.
	AuthenticatedAt time.Time
	// Methods are how (RFC 8176).
	Methods []string
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

// SessionQuery selects login sessions. Zero fields do not restrict.
type SessionQuery struct {
	UserID string
	// Limit is how many of the newest there are to be at most.
	Limit int
}

// ListedSession is a login session with the names of whose it is: ClientName is that
// of the app that began it, and empty where that is not there any more.
type ListedSession struct {
	Session
	Username, ClientName string
}

// DeviceLife is for how long a browser, or an app's device, is known to be the
// user's after they last signed in there. Its cookie lives as long, and the row of
// the login session, by which it is known, no shorter: else a stranger who guesses
// could lock the user out of a browser that still shows its cookie.
const DeviceLife = 365 * 24 * time.Hour

// SessionStore keeps login sessions.
type SessionStore interface {
	// BeginSession stores a session under the hashes of its two cookies, with
	// the server's epoch as it is. Returns ErrNotFound if the user is not there,
	// is disabled, or was cut since the session's UserEpoch: then the password
	// that was checked may not be the one any more.
	BeginSession(ctx context.Context, s Session, secret, device [32]byte, ev audit.Event) error
	// RenewSession is BeginSession for a session of the user that stands: it
	// keeps its id, and what was allowed in it. Returns ErrNoSession.
	RenewSession(ctx context.Context, s Session, secret, device [32]byte, ev audit.Event) error
	// SessionBySecret returns the session and its user, if it stands at now;
	// otherwise ErrNoSession. One statement.
	SessionBySecret(ctx context.Context, secret [32]byte, now time.Time) (Session, User, error)
	// TouchSession notes that the session was seen.
	TouchSession(ctx context.Context, id string, seen, idle time.Time) error
	// Sessions returns those of a user that stand at now, the one with the id first
	// before all others and then the newest, at most limit unless that is zero; and
	// how many there are. One statement.
	Sessions(ctx context.Context, user, first string, limit int, now time.Time) (list []Session, total int, err error)
	// ListSessions returns those that stand at now, newest first, and holds a bounded
	// number of them however many there are.
	ListSessions(ctx context.Context, q SessionQuery, now time.Time) iter.Seq2[ListedSession, error]
	// AppSessions returns those that a client began in a device and that were not
	// ended. AppSession is the one with an id, or ErrNoSession.
	AppSessions(ctx context.Context, client string, device [32]byte) ([]Session, error)
	AppSession(ctx context.Context, client, id string) (Session, error)
	// EndSession ends one of a user's sessions, or returns ErrNoSession.
	EndSession(ctx context.Context, user, id string, ev audit.Event) error
	// EndSessions ends all sessions of a user but keep, in one transaction: those
	// that stand at the time of the event, which are counted, and those that have
	// expired and in which something was allowed that ends with them. Each is a
	// change, and has an event of its own, which is ev about it. Returns ErrNoSession,
	// and ends none, if keep is none of the user's that stand; empty keeps none.
	EndSessions(ctx context.Context, user, keep string, ev audit.Event) (stood int, err error)
	// KnownDevice reports whether the user has signed in with that device.
	KnownDevice(ctx context.Context, user string, device [32]byte) (bool, error)
}

// Sessions is all login sessions.
type Sessions struct {
	store SessionStore
	// idle and life are how long a session lasts unseen, and at most.
	idle, life time.Duration
	now        func() time.Time
}

// NewSessions returns the login sessions in store.
func NewSessions(store SessionStore, idle, life time.Duration, now func() time.Time) *Sessions {
	return &Sessions{store, idle, life, now}
}

// Find returns the session that a cookie's value stands for, and its user; or
// ErrNoSession.
func (s *Sessions) Find(ctx context.Context, secret string) (Session, User, error) {
	if secret == "" {
		return Session{}, User{}, ErrNoSession
	}
	now := s.now()
	found, user, err := s.store.SessionBySecret(ctx, sha256.Sum256([]byte(secret)), now)
	if err != nil {
		return Session{}, User{}, err
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

// Knows reports whether a user has signed in with a device.
func (s *Sessions) Knows(ctx context.Context, user, device string) (bool, error) {
	known, err := s.deviceOf(ctx, user, device)
	return known != "", err
}

// deviceOf returns the part of a device's value that is the user's. All parts are
// asked for, so that it takes the same for everyone.
func (s *Sessions) deviceOf(ctx context.Context, user, value string) (device string, err error) {
	for _, d := range devicesOf(value) {
		known, err := s.store.KnownDevice(ctx, user, sha256.Sum256([]byte(d)))
		if err != nil {
			return "", err
		}
		if known {
			device = d
		}
	}
	return device, nil
}

// begin starts a session of a user and returns its cookie's value. A session
// that the user has in this browser is renewed: signing in again for one client
// ends nothing at the others.
func (s *Sessions) begin(ctx context.Context, u User, from Visitor, device string) (secret string, session Session, err error) {
	now := s.now()
	secret = rand.Text() + rand.Text()
	session = Session{
		ID: rand.Text(), UserID: u.ID, UserEpoch: u.Epoch, AuthenticatedAt: now, Methods: []string{"pwd"},
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(s.life),
		Address: from.Address, UserAgent: from.UserAgent, ClientID: from.ClientID,
	}
	session.IdleAt = s.idleAt(now, session.ExpiresAt)
	ev := audit.Event{
		At: now, Actor: audit.Actor("user:" + u.ID), Action: audit.SessionBegun, Subject: session.ID,
		Details: map[string]string{"user": u.ID, "address": from.Address},
	}
	if from.ClientID != "" {
		ev.Details["client_id"] = from.ClientID
	}
	secretHash, deviceHash := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(device))
	if from.Session != "" {
		renewed := session
		renewed.ID, ev.Subject = from.Session, from.Session
		err := s.store.RenewSession(ctx, renewed, secretHash, deviceHash, ev)
		if !errors.Is(err, ErrNoSession) {
			return secret, renewed, err
		}
		ev.Subject = session.ID
	}
	return secret, session, s.store.BeginSession(ctx, session, secretHash, deviceHash, ev)
}

// Of returns the sessions of a user that stand, newest first, at most limit, and how
// many there are. The one with the id first comes before all
// others, however old it is; it may be empty.
func (s *Sessions) Of(ctx context.Context, user, first string, limit int) (list []Session, total int, err error) {
	return s.store.Sessions(ctx, user, first, limit, s.now())
}

// List returns the sessions that stand, newest first, and holds a bounded number of
// them however many there are.
func (s *Sessions) List(ctx context.Context, q SessionQuery) iter.Seq2[ListedSession, error] {
	return s.store.ListSessions(ctx, q, s.now())
}

// EndFormer ends what an app began in a browser before: that holds one refresh
// token for it, and what was there is overwritten.
func (s *Sessions) EndFormer(ctx context.Context, former []Session) error {
	for _, f := range former {
		err := s.End(ctx, f.UserID, f.ID, "signed in again", audit.Actor("client:"+f.ClientID))
		if err != nil && !errors.Is(err, ErrNoSession) {
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
		err = s.End(ctx, found.UserID, id, reason, audit.Actor("user:"+found.UserID))
	}
	if errors.Is(err, ErrNoSession) {
		return nil
	}
	return err
}

// End ends a session, and with it the grants that were made in it without
// offline_access. Returns ErrNoSession.
func (s *Sessions) End(ctx context.Context, user, id, reason string, by audit.Actor) error {
	return s.store.EndSession(ctx, user, id, s.ended(user, id, reason, by))
}

// EndOthers ends all sessions of a user but the one with the id keep, as End does
// each, or none of them; and returns in how many the user was signed in. A session
// that has expired ends too if it has grants that end with it: whoever signs out
// everywhere means these as well. Returns ErrNoSession if keep does not stand (any
// more): who was signed out a moment ago signs nobody else out.
func (s *Sessions) EndOthers(ctx context.Context, user, keep, reason string, by audit.Actor) (ended int, err error) {
	if keep == "" {
		return 0, ErrNoSession
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
