package revocation

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
)

// ErrClientNotFound: there is no client with that id to cut.
var ErrClientNotFound = errors.New("no such client")

// Question is what must be looked up to tell whether a token still stands.
type Question struct {
	JTI      string
	ClientID string
	// KeyID is the kid of the key that signed the token.
	KeyID string
	// GrantID is the grant that the token was issued under; empty for one of
	// the client's own.
	GrantID string
	// UserID is whom the token speaks for, where there is a grant.
	UserID string
}

// Standing is what the database says at one moment.
type Standing struct {
	TokenCut       bool
	ClientFound    bool
	ClientDisabled bool
	ClientEpoch    changes.Number
	// ServerEpoch is the number of the last cut of everything.
	ServerEpoch changes.Number
	// Number is the number of the last change.
	Number changes.Number
	// GrantStands is false when the grant, its user or its login session was
	// cut, or is not there; it says nothing where there is no GrantID.
	GrantStands bool
	// Permissions are what the grant records, as grants.Permission writes them;
	// nil where it records none.
	Permissions []string
	// Username is the user's; empty if there is no such user.
	Username string
	// KeyStands is false when the key was withdrawn or is not there.
	KeyStands bool
}

// Recently is what Ended means by it.
const Recently = 15 * time.Minute

// Ended is what a cut ends.
type Ended struct {
	Grants int64
	// Clients and Users are how many these are of, Refreshed how many of them were
	// refreshed, or made, Recently.
	Clients, Users, Refreshed int64
	Sessions                  int64
}

// Store keeps cuts.
type Store interface {
	// CutToken makes the token with that jti invalid until it has expired by
	// itself, and sets its status. Cutting it again changes nothing (no event
	// either).
	CutToken(ctx context.Context, jti string, expires time.Time, ref status.Ref, ev audit.Event) error
	// RevokeGrant revokes a grant. One that is revoked changes nothing (no event
	// either); one that is not there is grants.ErrNotFound.
	RevokeGrant(ctx context.Context, id string, ev audit.Event) error
	// CutClient raises the client's epoch to the number of this change.
	// Returns ErrClientNotFound.
	CutClient(ctx context.Context, id string, ev audit.Event) error
	// CutUser raises the user's epoch to the number of this change. Returns
	// accounts.ErrNotFound.
	CutUser(ctx context.Context, id string, ev audit.Event) error
	// CutEverything raises the server's epoch to the number of this change.
	CutEverything(ctx context.Context, ev audit.Event) error
	// Restored goes on with numbers of changes, and with status lists, that no other
	// continuation of what this database holds has given out, or will.
	Restored(ctx context.Context, ev audit.Event) error
	// WouldEnd counts what stands at now and a cut would end: of a grant, a
	// session, a user or a client, or everything.
	WouldEnd(ctx context.Context, kind changes.Kind, subject string, now time.Time) (Ended, error)
	// Standing answers in one statement, so that what it compares was true at
	// one moment.
	Standing(ctx context.Context, q Question) (Standing, error)
}
