package revocation

import (
	"context"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
)

// Question holds the ids in a token by which its Standing is looked up.
type Question struct {
	JTI      string
	ClientID string
	// KeyID is the kid of the key that signed the token.
	KeyID string
	// SealKeyID is the kid of the key that sealed what was read of an encrypted token;
	// empty for any other.
	SealKeyID string
	// GrantID is the grant that the token was issued under; empty for a client's own
	// token.
	GrantID string
	// UserID is the user for whom the token was issued, if there is a grant.
	UserID string
}

// Standing is what the database says, at one moment, about all that decides whether a
// token was revoked.
type Standing struct {
	// TokenCut is whether the token itself was revoked.
	TokenCut       bool
	ClientFound    bool
	ClientDisabled bool
	ClientEpoch    changes.Number
	// ServerEpoch is the number of the change that last revoked everything.
	ServerEpoch changes.Number
	// Number is the number of the last change.
	Number changes.Number
	// GrantStands is false if the grant, its user or its login session was revoked or
	// does not exist. It means nothing if Question has no GrantID.
	GrantStands bool
	// SessionEnded is whether the login session of the grant was ended, which a grant
	// with offline_access survives.
	SessionEnded bool
	// Permissions are what the grant records, as permission.Permission writes them;
	// nil if it records none.
	Permissions []string
	// Username is the user's; empty if there is no such user.
	Username string
	// KeyStands is false if a key of the Question was withdrawn or does not exist.
	KeyStands bool
}

// Recently is the time that Ended.Refreshed looks back.
const Recently = 15 * time.Minute

// Ended counts what a revocation ends.
type Ended struct {
	Grants int64
	// Clients and Users are how many different clients and users have these grants.
	// Refreshed is how many of the grants were made or refreshed Recently.
	Clients, Users, Refreshed int64
	Sessions                  int64
}

// Store keeps revocations.
type Store interface {
	// CutToken revokes the token with that jti, and sets its bit in the status list. To
	// revoke it again changes nothing and stores no event. The row is kept until no
	// verifier accepts the token any more, limits.Afterlife after it expires.
	CutToken(ctx context.Context, jti string, expires time.Time, ref status.Ref, ev audit.Event) error
	// RevokeGrant revokes a grant. If it was revoked already, that changes nothing and
	// stores no event. If it does not exist, it returns grants.ErrNotFound.
	RevokeGrant(ctx context.Context, id string, ev audit.Event) error
	// CutClient raises the client's epoch to the number of this change.
	// Returns clients.ErrNotFound.
	CutClient(ctx context.Context, id string, ev audit.Event) error
	// CutUser raises the user's epoch to the number of this change. Returns
	// accounts.ErrNotFound.
	CutUser(ctx context.Context, id string, ev audit.Event) error
	// CutEverything raises the server's epoch to the number of this change.
	CutEverything(ctx context.Context, ev audit.Event) error
	// Restored makes the server continue with change numbers and status lists that no
	// other database that was restored from the same backup gives out, and that the
	// original has not given out either.
	Restored(ctx context.Context, ev audit.Event) error
	// WouldEnd counts what is valid at now and would end if that grant, session, user
	// or client, or everything, were revoked. Of an API it counts the grants that are for
	// it, perhaps among others.
	WouldEnd(ctx context.Context, kind changes.Kind, subject string, now time.Time) (Ended, error)
	// Standing answers in one statement, so that all that it returns was true at the
	// same moment.
	Standing(ctx context.Context, q Question) (Standing, error)
}
