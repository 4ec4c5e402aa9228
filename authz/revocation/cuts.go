package revocation

import (
	"context"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
)

// Cuts is the one place where cuts are made, whoever asks for them: the command line,
// a client, or a grant that finds out that something was used twice. It makes the
// event that each leaves in the audit log, so that no way to cut can leave it out.
type Cuts struct {
	store Store
	now   func() time.Time
}

// NewCuts returns the cuts in store.
func NewCuts(store Store, now func() time.Time) *Cuts { return &Cuts{store, now} }

// Token cuts the token with that jti, which expires by itself at expires and
// whose status is at ref. Of is the client it was issued to.
func (c *Cuts) Token(ctx context.Context, jti, of string, expires time.Time, ref status.Ref, reason string, by audit.Actor) error {
	return c.store.CutToken(ctx, jti, expires, ref, audit.Event{
		At: c.now(), Actor: by, Action: audit.TokenCut, Subject: jti, Reason: reason,
		Details: map[string]string{"client_id": of},
	})
}

// Grant cuts a grant, and with it all that was issued under it. Of is the client it was
// issued to; empty where whoever cuts it does not know. To cut it again changes nothing.
// Returns the store's error for a grant that is not there.
func (c *Cuts) Grant(ctx context.Context, id, of, reason string, by audit.Actor) error {
	ev := audit.Event{At: c.now(), Actor: by, Action: audit.GrantCut, Subject: id, Reason: reason}
	if of != "" {
		ev.Details = map[string]string{"client_id": of}
	}
	return c.store.RevokeGrant(ctx, id, ev)
}

// RefreshReused cuts a grant because its client presented a refresh token that had been
// replaced. Its owner did, or a thief, and there is no telling which. Returns the store's
// error for a grant that is not there.
func (c *Cuts) RefreshReused(ctx context.Context, grant, client, user string) error {
	return c.store.RevokeGrant(ctx, grant, audit.Event{
		At: c.now(), Actor: audit.Client(client), Action: audit.GrantReused, Subject: grant,
		Details: map[string]string{"client_id": client, "user": user},
	})
}

// CodeReused cuts a grant because its client presented the code once more that it came
// of (RFC 6749 section 4.1.2). Returns the store's error for a grant that is not there.
func (c *Cuts) CodeReused(ctx context.Context, grant, client string) error {
	return c.store.RevokeGrant(ctx, grant, audit.Event{
		At: c.now(), Actor: audit.Client(client), Action: audit.CodeReused, Subject: grant,
	})
}

// Client cuts all that was issued to a client so far. Returns
// ErrClientNotFound.
func (c *Cuts) Client(ctx context.Context, id, reason string, by audit.Actor) error {
	return c.store.CutClient(ctx, id, audit.Event{
		At: c.now(), Actor: by, Action: audit.ClientCut, Subject: id, Reason: reason,
	})
}

// User cuts all that was issued for a user so far, and ends all login sessions.
// Returns the store's error for a user that is not there.
func (c *Cuts) User(ctx context.Context, id, reason string, by audit.Actor) error {
	return c.store.CutUser(ctx, id, audit.Event{
		At: c.now(), Actor: by, Action: audit.UserCut, Subject: id, Reason: reason,
	})
}

// Everything cuts all that was issued so far.
func (c *Cuts) Everything(ctx context.Context, reason string, by audit.Actor) error {
	return c.store.CutEverything(ctx, audit.Event{
		At: c.now(), Actor: by, Action: audit.EverythingCut, Reason: reason,
	})
}

// Restored notes that the database is as it was at an earlier time, because it was
// made of a backup: from now on no number and no index is given out that was given out
// since. It ends nothing. Details say of which backup.
func (c *Cuts) Restored(ctx context.Context, details map[string]string, reason string, by audit.Actor) error {
	return c.store.Restored(ctx, audit.Event{
		At: c.now(), Actor: by, Action: audit.DatabaseRestored, Reason: reason, Details: details,
	})
}

// WouldEnd counts what a cut of a grant, a session, a user, a client or
// everything would end, and makes none.
func (c *Cuts) WouldEnd(ctx context.Context, kind changes.Kind, subject string) (Ended, error) {
	return c.store.WouldEnd(ctx, kind, subject, c.now())
}

// Stands reports whether a token that was made under epoch, and has not
// expired, still stands, and what the database said.
func (c *Cuts) Stands(ctx context.Context, q Question, epoch changes.Number) (bool, Standing, error) {
	s, err := c.store.Standing(ctx, q)
	if err != nil {
		return false, Standing{}, err
	}
	// A number that was not given out yet is of changes that were lost, because
	// the database was restored: the next cuts would not reach that high.
	return !s.TokenCut && s.KeyStands && (q.GrantID == "" || s.GrantStands) &&
		s.ClientFound && !s.ClientDisabled &&
		epoch >= s.ClientEpoch && epoch >= s.ServerEpoch && epoch <= s.Number, s, nil
}
