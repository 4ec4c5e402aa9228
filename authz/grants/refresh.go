package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// refreshToken is RFC 6749 section 6 with rotation (RFC 9700 section 4.14.2)
// that a lost answer does not turn into a lost sign-in.
//
//	token → signature (no SQL for a forged one) → the grant's row → is it this client's? does it stand?
//	      → planOf: rotate, repeat, rest or refuse
//	      → sign → rotate: one conditional UPDATE; who loses it reads again, and plans again
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
	f := h.facts(token, g, r.Client)
	if p := planOf(f); p.step == refuse {
		return Issued{}, h.refuse(ctx, p.reason, g)
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
	return h.refresh(ctx, r.Client, f, d)
}

// Refreshes reports whether a refresh token would bring its client tokens now, and
// returns its grant. It changes nothing, whatever it is shown.
func (p *Parts) Refreshes(ctx context.Context, token tokens.Refresh, client *clients.Client) (Standing, bool, error) {
	h := refreshToken{*p}
	if !may(client, clients.RefreshToken, false) {
		return Standing{}, false, nil
	}
	g, err := h.standing(ctx, token, client)
	if err == nil && planOf(h.facts(token, g, client)).step == refuse {
		return Standing{}, false, nil
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

// left is what is left of a grant that stands. One that outlives its login session
// does so for offline_access: without that it ends with the session.
func (h *refreshToken) left(ctx context.Context, client *clients.Client, g Standing) (Allowance, error) {
	left, err := h.Rules.Left(ctx, client, g.Granted())
	if err == nil {
		left.Permissions, err = h.Rules.Held(ctx, g.UserID, left.Permissions)
	}
	if err == nil && g.SessionEnded && !slices.Contains(left.Own(), apis.OfflineAccess) {
		return Allowance{}, errRefresh(protocol.ReasonRevoked, "its session has ended, and the client may not have offline_access any more")
	}
	return left, err
}

// refuse does what a refused plan takes, and returns the refusal.
func (h *refreshToken) refuse(ctx context.Context, reason protocol.Reason, g Standing) error {
	switch reason {
	case protocol.ReasonAhead:
		h.Log.WarnContext(ctx, "a refresh token is newer than its grant: was the database restored?", "grant", g.ID, "client_id", g.ClientID)
		return errRefresh(reason, "newer than the grant")
	case protocol.ReasonReused:
		// Someone holds a token that was replaced: its owner or a thief, and there is
		// no telling which.
		err := h.Cuts.RefreshReused(ctx, g.ID, g.ClientID, g.UserID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		return errRefresh(reason, "used before; the grant is revoked")
	}
	return errRefresh(reason, "overtaken by another request")
}

// refresh issues what follows the token of these facts.
func (h *refreshToken) refresh(ctx context.Context, client *clients.Client, f facts, d Decision) (Issued, error) {
	m, found := &making{decision: d}, f.grant.Status
	life, err := h.place(ctx, &f)
	if err != nil {
		return Issued{}, err
	}
	if life > 0 {
		// No token outlives the list that has its status.
		m.decision.TTL = min(m.decision.TTL, life)
	}
	var told []accounts.Claims
	if !client.NoRefreshIDToken {
		if told, err = h.toldOf(ctx, f.grant.Grant, client, m); err != nil {
			return Issued{}, err
		}
	}
	// The access token is fresh each time, for what this request asks.
	if err := h.issue(ctx, f.grant.Grant, m); err != nil {
		return Issued{}, err
	}
	named := f.grant.Status
	if m.RefreshToken, err = h.follow(ctx, client, &f); err != nil {
		return Issued{}, err
	}
	if f.grant.Status != named {
		// Another request rotated, and gave the grant another index: a token that
		// names one which nobody noted could never be taken back.
		if err := h.issue(ctx, f.grant.Grant, m); err != nil {
			return Issued{}, err
		}
	}
	if f.grant.Status != found {
		if err := h.stillStands(ctx, f.grant.ID); err != nil {
			return Issued{}, err
		}
	}
	if !client.NoRefreshIDToken {
		if err := h.issueID(ctx, f.grant.Grant, client, m, "", told); err != nil {
			return Issued{}, err
		}
	}
	return m.Issued, nil
}

// place gives the grant the index that its next tokens refer to, and returns the
// longest that they may live: as long as the list of the one that it has is open,
// that one stays.
func (h *refreshToken) place(ctx context.Context, f *facts) (time.Duration, error) {
	g := &f.grant
	life, usable, err := h.Lists.Usable(ctx, g.Status)
	// Otherwise nothing is stored for this request.
	current := g.Refresh.Generation == f.token.Generation
	if err != nil || usable || !current {
		return life, err
	}
	longest, err := h.Rules.longest(ctx, g.Audiences)
	if err != nil {
		return 0, err
	}
	if h.Lists.Alive(g.Former) {
		// Only one former index is kept, and lists close no faster than that is
		// enough. Should it ever not be: a token that nobody can take back is worse
		// than a refresh that has to wait.
		return 0, protocol.Refuse(protocol.TemporarilyUnavailable, "The grant cannot be refreshed now. Try again.")
	}
	g.Former, f.moved = g.Status, true
	g.Status, err = h.Indices.ForGrant(ctx, longest)
	return longest, err
}

// follow returns the refresh token that follows the presented one. The grant among
// the facts is then the one that it is of.
func (h *refreshToken) follow(ctx context.Context, client *clients.Client, f *facts) (string, error) {
	for range 2 {
		p := planOf(*f)
		switch p.step {
		case refuse:
			return "", h.refuse(ctx, p.reason, f.grant)
		case rest, repeat:
			return h.signRefresh(f.grant.Grant)
		}
		next, err := h.rotate(ctx, f.grant.Grant)
		if !errors.Is(err, ErrNotFound) {
			return next, err
		}
		// Another request rotated first, or something was cut.
		g, err := h.standing(ctx, f.token, client)
		if err != nil {
			return "", err
		}
		*f = h.facts(f.token, g, client)
		f.lost = true
	}
	return "", h.refuse(ctx, protocol.ReasonOvertaken, f.grant)
}

// rotate stores the next refresh token of a grant, with the indices that it has, and
// returns it. Returns ErrNotFound if the grant has another one than it had, or does
// not stand.
func (h *refreshToken) rotate(ctx context.Context, g Grant) (string, error) {
	from := g.Refresh.Generation
	var err error
	if g.Refresh, err = h.nextRefresh(from, g.ExpiresAt); err != nil {
		return "", err
	}
	// Signed before it is stored: what is stored can be handed out.
	signed, err := h.signRefresh(g)
	if err != nil {
		return "", err
	}
	return signed, h.Store.RotateGrant(ctx, g.ID, from, g.Refresh, g.Status, g.Former, h.Now())
}
