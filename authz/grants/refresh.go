package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
)

// refreshToken is RFC 6749 section 6 with rotation (RFC 9700 section 4.14.2)
// that a lost answer does not turn into a lost sign-in.
//
//	token → signature (no SQL for a forged one) → the grant's row → is it this client's? does it stand?
//	generation of the token:
//	  current            → rotate: one conditional UPDATE; who loses it reads again
//	                       (a browser's: not again within the grace)
//	  the one before     → within the grace: the successor, byte for byte
//	  older, or later    → reuse: the grant is revoked
//	  newer than the row → the database is behind another server's, for a moment: read again
//	                       or was restored: refused, and nothing revoked
type refreshToken struct{ Parts }

// errRefresh is one answer for all that can be wrong with a refresh token.
func errRefresh(reason protocol.Reason, why string) error {
	e := protocol.Refuse(protocol.InvalidGrant, "The refresh token is not valid (any more), or was issued to another client.")
	e.Cause = protocol.Cause{Reason: reason, Text: why}
	return e
}

func (h *refreshToken) Grant(ctx context.Context, r Request) (Issued, error) {
	presented := r.Parameters.Get("refresh_token")
	if presented == "" {
		return Issued{}, protocol.Refuse(protocol.InvalidRequest, "The parameter refresh_token is missing.")
	}
	token, err := h.Issuer.ReadRefresh(ctx, presented)
	if errors.Is(err, tokens.ErrInvalid) {
		return Issued{}, errRefresh(protocol.ReasonInvalid, err.Error())
	}
	if err != nil {
		return Issued{}, err
	}
	g, err := h.standing(ctx, token, r.Client)
	if err != nil {
		return Issued{}, err
	}
	if err := h.judge(ctx, token, g, r.Client); err != nil {
		return Issued{}, err
	}
	// Less than was granted may be asked for, never more (section 6).
	left, err := h.left(ctx, r.Client, g)
	if err != nil {
		return Issued{}, err
	}
	d, err := h.Rules.Decide(left, r.Parameters, r.Parameters.Get("scope"))
	if err != nil {
		return Issued{}, err
	}
	return h.refresh(ctx, r.Client, token, g, d)
}

// Refreshes reports whether a refresh token would bring its client tokens now, and
// returns its grant. It changes nothing, whatever it is shown.
func (p *Parts) Refreshes(ctx context.Context, token tokens.Refresh, client *clients.Client) (Standing, bool, error) {
	h := refreshToken{*p}
	if !may(client, clients.RefreshToken, false) {
		return Standing{}, false, nil
	}
	g, err := h.standing(ctx, token, client)
	if err == nil && !h.current(token, g, client) {
		err = errRefresh(protocol.ReasonReused, "used before")
	}
	if err == nil {
		_, err = h.left(ctx, client, g)
	}
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return Standing{}, false, nil
	}
	return g, err == nil, err
}

// unknown reports whether a token is one that its grant's row does not know of,
// though this server signed it.
func unknown(token tokens.Refresh, g Standing) bool {
	behind := g.Refresh.Generation - token.Generation
	return behind < 0 || behind == 0 && (!token.IssuedAt.Equal(g.Refresh.IssuedAt) || token.KeyID != g.Refresh.KeyID)
}

// current reports whether a token is the one that its grant has, or the one before
// within the grace.
func (h *refreshToken) current(token tokens.Refresh, g Standing, client *clients.Client) bool {
	behind := g.Refresh.Generation - token.Generation
	return !unknown(token, g) && (behind == 0 || behind == 1 && g.Age <= h.grace(client))
}

// standing reads the grant of a token and checks all but the generation. A
// stranger's attempt ends here and changes nothing.
func (h *refreshToken) standing(ctx context.Context, token tokens.Refresh, client *clients.Client) (Standing, error) {
	if token.ClientID != client.ID {
		return Standing{}, errRefresh(protocol.ReasonClient, "another client's token")
	}
	g, err := h.read(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return Standing{}, errRefresh(protocol.ReasonUnknown, "no such grant")
	case err != nil:
		return Standing{}, err
	case g.ClientID != client.ID:
		return Standing{}, errRefresh(protocol.ReasonClient, "another client's token")
	case !g.Stands:
		return Standing{}, errRefresh(protocol.ReasonRevoked, "the grant was revoked or cut")
	case !h.Now().Before(g.ExpiresAt) || !h.Now().Before(g.Refresh.ExpiresAt):
		return Standing{}, errRefresh(protocol.ReasonExpired, "the grant has expired")
	}
	return g, nil
}

// The bounds of reading a grant again that is behind its token. A token can be used at
// another server than the one that issued it, a moment later; and that one's database,
// a node of a cluster, may have got less of the commits. Only tokens that this issuer
// signed a moment ago are worth it, and only so many at once: each holds a request.
const (
	readAgainYoung = time.Minute
	readAgainFirst = 15 * time.Millisecond
	readAgainLast  = 240 * time.Millisecond // each pause is twice the one before; 465 ms altogether
	readAgainMost  = 64
)

// readingAgain has a place for each request that reads a grant again.
var readingAgain = make(chan struct{}, readAgainMost)

// read reads the grant of a token. One that is newer than the row, or whose row is not
// there (yet), is read again for a short time.
func (h *refreshToken) read(ctx context.Context, token tokens.Refresh) (Standing, error) {
	g, err := h.Store.Grant(ctx, token.GrantID)
	behind := func() bool { return errors.Is(err, ErrNotFound) || err == nil && unknown(token, g) }
	if !behind() || h.Now().Sub(token.IssuedAt) > readAgainYoung {
		return g, err
	}
	select {
	case readingAgain <- struct{}{}:
		defer func() { <-readingAgain }()
	default:
		return g, err
	}
	for pause := readAgainFirst; pause <= readAgainLast && behind(); pause *= 2 {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			// Nothing is known of the token.
			return Standing{}, ctx.Err()
		}
		g, err = h.Store.Grant(ctx, token.GrantID)
	}
	return g, err
}

// left is what is left of a grant that stands. One that outlives its login session
// does so for offline_access: without that it ends with the session.
func (h *refreshToken) left(ctx context.Context, client *clients.Client, g Standing) (Allowance, error) {
	left, err := h.Rules.Left(ctx, client, g.Granted())
	if err == nil && g.SessionEnded && !slices.Contains(left.Own(), apis.OfflineAccess) {
		return Allowance{}, errRefresh(protocol.ReasonRevoked, "its session has ended, and the client may not have offline_access any more")
	}
	return left, err
}

// judge looks at the generation of the token.
func (h *refreshToken) judge(ctx context.Context, token tokens.Refresh, g Standing, client *clients.Client) error {
	switch {
	case unknown(token, g):
		h.Log.WarnContext(ctx, "a refresh token is newer than its grant: was the database restored?", "grant", g.ID, "client_id", client.ID)
		return errRefresh(protocol.ReasonAhead, "newer than the grant")
	case h.current(token, g, client):
		return nil
	}
	// Someone holds a token that was replaced: its owner or a thief, and there is
	// no telling which.
	err := h.Store.RevokeGrant(ctx, g.ID, audit.Event{
		At: h.Now(), Actor: audit.Client(client.ID), Action: audit.GrantReused, Subject: g.ID,
		Details: map[string]string{"client_id": client.ID, "user": g.UserID},
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return errRefresh(protocol.ReasonReused, "used before; the grant is revoked")
}

// grace is for how long the client may use a token again; below zero if not at
// all.
func (h *refreshToken) grace(client *clients.Client) time.Duration {
	grace := h.Lives.Grace
	if client.RefreshGrace != nil {
		grace = *client.RefreshGrace
	}
	if grace == 0 {
		return time.Duration(-1 << 62)
	}
	return grace
}

// refresh issues what follows a token of a grant, as both were found.
func (h *refreshToken) refresh(ctx context.Context, client *clients.Client, token tokens.Refresh, found Standing, d Decision) (Issued, error) {
	m := &making{decision: d}
	g, life, err := h.placed(ctx, token, found)
	if err != nil {
		return Issued{}, err
	}
	if life > 0 {
		// No token outlives the list that has its status.
		m.decision.TTL = min(m.decision.TTL, life)
	}
	var told []accounts.Claims
	if !client.NoRefreshIDToken {
		if told, err = h.toldOf(ctx, g.Grant, client, m); err != nil {
			return Issued{}, err
		}
	}
	// The access token is fresh each time, for what this request asks.
	if err := h.issue(ctx, g.Grant, m); err != nil {
		return Issued{}, err
	}
	then := g
	err = keys.ErrNoSigningKey
	if g.Status == found.Status && h.rests(token, g, client) {
		m.RefreshToken, err = h.signRefresh(g.Grant)
	}
	if errors.Is(err, keys.ErrNoSigningKey) {
		m.RefreshToken, then, err = h.successor(ctx, token, g, client)
	}
	if err != nil {
		return Issued{}, err
	}
	if then.Status != g.Status {
		// Another request rotated, and gave the grant another index: a token that
		// names one which nobody noted could never be taken back.
		if err := h.issue(ctx, then.Grant, m); err != nil {
			return Issued{}, err
		}
	}
	if then.Status != found.Status {
		if err := h.stillStands(ctx, g.ID); err != nil {
			return Issued{}, err
		}
	}
	if !client.NoRefreshIDToken {
		if err := h.issueID(g.Grant, m, "", told); err != nil {
			return Issued{}, err
		}
	}
	return m.Issued, nil
}

// rests reports whether the current refresh token stays as it is for now: all tabs
// of a browser share a cookie, and send it when they want to. Of three at once the
// first rotates; if the second, which has the new cookie already, did so too, the
// third would come with one that was replaced twice, which looks like a thief's.
func (h *refreshToken) rests(token tokens.Refresh, g Standing, client *clients.Client) bool {
	// It does not expire under a browser that is used: the grace may be longer.
	left, life := g.Refresh.ExpiresAt.Sub(h.Now()), g.Refresh.ExpiresAt.Sub(g.Refresh.IssuedAt)
	return client.Hold == clients.HoldCookie && token.Generation == g.Refresh.Generation && token.Generation > 1 &&
		g.Age <= h.grace(client) && left > life/2
}

// placed returns the grant with the index that its next tokens refer to, and the
// longest that they may live: as long as the list of the one that it has is open,
// that.
func (h *refreshToken) placed(ctx context.Context, token tokens.Refresh, g Standing) (Standing, time.Duration, error) {
	life, usable, err := h.Lists.Usable(ctx, g.Status)
	// Otherwise nothing is stored for this request.
	current := g.Refresh.Generation == token.Generation
	if err != nil || usable || !current {
		return g, life, err
	}
	longest, err := h.Rules.longest(ctx, g.Audiences)
	if err != nil {
		return g, 0, err
	}
	if h.Lists.Alive(g.Former) {
		// Only one former index is kept, and lists close no faster than that is
		// enough. Should it ever not be: a token that nobody can take back is worse
		// than a refresh that has to wait.
		return g, 0, protocol.Refuse(protocol.TemporarilyUnavailable, "The grant cannot be refreshed now. Try again.")
	}
	g.Former = g.Status
	g.Status, err = h.Indices.ForGrant(ctx, longest)
	return g, longest, err
}

// successor returns the refresh token that follows the presented one: the one
// that is there already, or a new one; and the grant that it is of.
func (h *refreshToken) successor(ctx context.Context, token tokens.Refresh, g Standing, client *clients.Client) (string, Standing, error) {
	for range 2 {
		if g.Refresh.Generation == token.Generation+1 {
			again, err := h.signRefresh(g.Grant)
			if !errors.Is(err, keys.ErrNoSigningKey) {
				return again, g, err
			}
			// Its key was withdrawn, and it with it: the next one, then.
		}
		next, err := h.nextRefresh(g.Refresh.Generation, g.ExpiresAt)
		if err != nil {
			return "", g, err
		}
		rotated := g.Grant
		rotated.Refresh = next
		// Signed before it is stored: what is stored can be handed out.
		signed, err := h.signRefresh(rotated)
		if err != nil {
			return "", g, err
		}
		err = h.Store.RotateGrant(ctx, g.ID, g.Refresh.Generation, next, g.Status, g.Former, h.Now())
		if !errors.Is(err, ErrNotFound) {
			return signed, g, err
		}
		// Another request rotated first, or something was cut. This one had
		// found its generation current, so it is no reuse: it gets the same
		// successor or, overtaken twice, nothing.
		if g, err = h.standing(ctx, token, client); err != nil {
			return "", g, err
		}
		if g.Refresh.Generation != token.Generation+1 || h.grace(client) < 0 {
			return "", g, errRefresh(protocol.ReasonOvertaken, "overtaken by another request")
		}
	}
	return "", g, errRefresh(protocol.ReasonOvertaken, "overtaken by others")
}
