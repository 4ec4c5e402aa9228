package revocation

import (
	"context"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
)

// Cuts revokes tokens, grants, and all that was issued to a client, for a user, or at
// all. (A cut is a revocation; see the package.) Every revocation goes through it, whether
// the command line, a client, or a grant that was used twice is the reason. It adds the
// event for the audit log to each, so that no caller can forget it.
type Cuts struct {
	store Store
	now   func() time.Time
}

// NewCuts returns a Cuts that stores revocations in store.
func NewCuts(store Store, now func() time.Time) *Cuts { return &Cuts{store, now} }

// Token revokes the access token with that jti. expires is when the token expires, ref is
// its place in a status list, and of is the client that it was issued to.
func (c *Cuts) Token(ctx context.Context, jti, of string, expires time.Time, ref status.Ref, reason string, by audit.Actor) error {
	return c.store.CutToken(ctx, jti, expires, ref, audit.Event{
		At: c.now(), Actor: by, Action: audit.TokenCut, Subject: jti, Reason: reason,
		Details: map[string]string{"client_id": of},
	})
}

// Grant revokes a grant, and with it all tokens that were issued under it. of is the
// client that it was issued to; empty if the caller does not know. To revoke it again
// changes nothing. If there is no such grant, it returns the store's error for that.
func (c *Cuts) Grant(ctx context.Context, id, of, reason string, by audit.Actor) error {
	ev := audit.Event{At: c.now(), Actor: by, Action: audit.GrantCut, Subject: id, Reason: reason}
	if of != "" {
		ev.Details = map[string]string{"client_id": of}
	}
	return c.store.RevokeGrant(ctx, id, ev)
}

// RefreshReused revokes a grant because its client presented a refresh token that had
// already been replaced by a newer one. So two parties have it: one of them is a thief, and
// nobody can say which. If there is no such grant, it returns the store's error for that.
func (c *Cuts) RefreshReused(ctx context.Context, grant, client, user string) error {
	return c.store.RevokeGrant(ctx, grant, audit.Event{
		At: c.now(), Actor: audit.Client(client), Action: audit.GrantReused, Subject: grant,
		Details: map[string]string{"client_id": client, "user": user},
	})
}

// CodeReused revokes a grant because its client presented a second time the authorization
// code that the grant was made from (RFC 6749 section 4.1.2): the code may have been
// stolen. If there is no such grant, it returns the store's error for that.
func (c *Cuts) CodeReused(ctx context.Context, grant, client, user string) error {
	return c.store.RevokeGrant(ctx, grant, audit.Event{
		At: c.now(), Actor: audit.Client(client), Action: audit.CodeReused, Subject: grant,
		Details: map[string]string{"client_id": client, "user": user},
	})
}

// Client revokes all that was issued to a client so far. Returns clients.ErrNotFound.
func (c *Cuts) Client(ctx context.Context, id, reason string, by audit.Actor) error {
	return c.store.CutClient(ctx, id, audit.Event{
		At: c.now(), Actor: by, Action: audit.ClientCut, Subject: id, Reason: reason,
	})
}

// User revokes all that was issued for a user so far, and ends all their login sessions.
// If there is no such user, it returns the store's error for that.
func (c *Cuts) User(ctx context.Context, id, reason string, by audit.Actor) error {
	return c.store.CutUser(ctx, id, audit.Event{
		At: c.now(), Actor: by, Action: audit.UserCut, Subject: id, Reason: reason,
	})
}

// Everything revokes all that this server has issued so far.
func (c *Cuts) Everything(ctx context.Context, reason string, by audit.Actor) error {
	return c.store.CutEverything(ctx, audit.Event{
		At: c.now(), Actor: by, Action: audit.EverythingCut, Reason: reason,
	})
}

// Restored records that the database was restored from a backup. From then on the server
// gives out no change number and no status list index that it may have given out already
// after the backup was made. It revokes nothing. details say which backup it was.
func (c *Cuts) Restored(ctx context.Context, details map[string]string, reason string, by audit.Actor) error {
	return c.store.Restored(ctx, audit.Event{
		At: c.now(), Actor: by, Action: audit.DatabaseRestored, Reason: reason, Details: details,
	})
}

// WouldEnd counts what would end if a grant, a session, a user, a client or everything
// were revoked, and of an API the grants that are for it. It revokes nothing.
func (c *Cuts) WouldEnd(ctx context.Context, kind changes.Kind, subject string) (Ended, error) {
	return c.store.WouldEnd(ctx, kind, subject, c.now())
}

// Stands reports whether a token stands, which means that it was not revoked: not by
// itself, nor with its grant, user, client or key. epoch is the one that the token carries.
// The caller has checked signature and expiry. It also returns what the database said.
func (c *Cuts) Stands(ctx context.Context, q Question, epoch changes.Number) (bool, Standing, error) {
	s, err := c.store.Standing(ctx, q)
	if err != nil {
		return false, Standing{}, err
	}
	// An epoch above the last change belongs to a change that was lost when the database
	// was restored. Such a token is refused: the numbers of the next revocations would be
	// below its epoch, and so would not end it.
	return !s.TokenCut && s.KeyStands && (q.GrantID == "" || s.GrantStands) &&
		s.ClientFound && !s.ClientDisabled &&
		epoch >= s.ClientEpoch && epoch >= s.ServerEpoch && epoch <= s.Number, s, nil
}
