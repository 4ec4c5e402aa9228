package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// making is what is being made for one request under a grant.
type making struct {
	Issued
	decision Decision
	user     *accounts.User // once it was read
}

// issue signs the access token for a request under a grant.
func (p *Parts) issue(ctx context.Context, g Grant, m *making) error {
	d := m.decision
	m.Access = tokens.Access{
		Type:      string(d.TokenType),
		Alg:       d.Algorithm,
		Secret:    d.Secret,
		EncryptTo: d.EncryptTo,
		ClientID:  g.ClientID, Subject: g.UserID, Audience: d.Audiences, Scopes: d.Scopes,
		// Whatever was cut since the grant was made has ended the grant.
		Epoch:   max(g.ClientEpoch, g.ServerEpoch),
		Status:  g.Status,
		GrantID: g.ID, AuthenticatedAt: g.AuthenticatedAt, ContextClass: g.ContextClass, Methods: g.Methods,
	}
	if d.Roles {
		user, err := p.userOf(ctx, g, m)
		if err != nil {
			return err
		}
		m.Access.Roles = user.RolesForApps()
	}
	var err error
	m.AccessToken, err = p.Issuer.MintAccess(ctx, &m.Access, d.TTL)
	return err
}

func wantsID(scopes []string) bool { return slices.Contains(scopes, apis.OpenID) }

// toldOf returns what the ID token of a request, if it is to have one, tells of the
// user: what the scopes release, because some clients read nothing else. It is
// asked before anything is stored.
func (p *Parts) toldOf(ctx context.Context, g Grant, client *clients.Client, m *making) ([]accounts.Claims, error) {
	own := permission.OwnScopes(m.decision.Permissions)
	// openid alone tells no more than who it is.
	if client.NoIDTokenClaims || len(own) < 2 || !slices.Contains(own, apis.OpenID) {
		return nil, nil
	}
	user, err := p.userOf(ctx, g, m)
	if err != nil {
		return nil, err
	}
	return user.Released(p.Rules.APIs.Own(), own), nil
}

// issueID signs the ID token that goes with the access token, if there is to be
// one.
func (p *Parts) issueID(ctx context.Context, g Grant, client *clients.Client, m *making, nonce string, told []accounts.Claims) (err error) {
	if !wantsID(m.decision.Scopes) {
		return nil
	}
	m.IDToken, err = p.Issuer.MintID(ctx, tokens.ID{
		ClientID: g.ClientID, Subject: g.UserID, Nonce: nonce, SessionID: g.SessionID,
		AuthenticatedAt: g.AuthenticatedAt, ContextClass: g.ContextClass, Methods: g.Methods, Claims: told,
		Alg: client.IDTokenSigning.At(p.Now()),
	}, m.AccessToken)
	return err
}

// userOf returns the user of a grant, whom it reads once for a request.
func (p *Parts) userOf(ctx context.Context, g Grant, m *making) (accounts.User, error) {
	if m.user == nil {
		user, err := p.Users.ByID(ctx, g.UserID)
		if errors.Is(err, accounts.ErrNotFound) {
			return accounts.User{}, protocol.Refuse(protocol.InvalidGrant, "The user is not there any more.")
		}
		if err != nil {
			return accounts.User{}, err
		}
		m.user = &user
	}
	return *m.user, nil
}

// stillStands asks once more about a grant whose index was just stored: a cut
// that was being made meanwhile may not have seen it, and then the index would
// not be set. Whatever is cut later sees it; and so did whoever revoked the grant
// itself, whose index was in the same row.
func (p *Parts) stillStands(ctx context.Context, id string) error {
	g, err := p.Store.Grant(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && !g.Stands && g.RevokedAt.IsZero() {
		return protocol.Refuse(protocol.InvalidGrant, "The grant was revoked meanwhile.")
	}
	return err
}

// nextRefresh is the refresh token that a grant gets now, after one of that
// generation.
func (p *Parts) nextRefresh(after int64, grantEnds time.Time) (Refresh, error) {
	kid, err := p.Issuer.RefreshKey()
	if err != nil {
		return Refresh{}, err
	}
	now := p.Now().UTC().Truncate(time.Second)
	expires := now.Add(p.Lives.Refresh)
	if grantEnds.Before(expires) {
		expires = grantEnds.Truncate(time.Second)
	}
	return Refresh{Generation: after + 1, IssuedAt: now, ExpiresAt: expires, KeyID: kid, Version: tokens.RefreshVersion}, nil
}

// signRefresh signs the refresh token that a grant holds.
func (p *Parts) signRefresh(g Grant) (string, error) {
	return p.Issuer.SignRefresh(tokens.Refresh{
		GrantID: g.ID, ClientID: g.ClientID, Generation: g.Refresh.Generation,
		IssuedAt: g.Refresh.IssuedAt, ExpiresAt: g.Refresh.ExpiresAt, KeyID: g.Refresh.KeyID, Version: g.Refresh.Version,
	})
}
