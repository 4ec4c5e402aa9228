package authz

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/tokens"
)

// The refusals of the userinfo endpoint.
var (
	errInactive  = protocol.Refuse(protocol.InvalidToken, "The access token is not valid (any more).")
	errNotOpenID = protocol.Refuse(protocol.InsufficientScope, "The access token is not for the scope openid.")
)

// UserInfo is the userinfo endpoint: it returns claims about the user of an access token
// (OpenID Connect Core 1.0 section 5.3).
type UserInfo struct {
	issuer   *tokens.Issuer
	registry *clients.Registry
	rules    *grants.Rules
	users    *accounts.Users
	standing *revocation.Cuts
}

// NewUserInfo returns the userinfo endpoint. standing knows what was revoked.
func NewUserInfo(issuer *tokens.Issuer, registry *clients.Registry, rules *grants.Rules, users *accounts.Users, standing *revocation.Cuts) *UserInfo {
	return &UserInfo{issuer, registry, rules, users, standing}
}

// Claims returns the claims about the user that an access token lets its
// bearer see (OpenID Connect Core 1.0 section 5.3). It returns the client's id,
// once known, for the log.
func (u *UserInfo) Claims(ctx context.Context, token string) (claims accounts.Claims, client string, err error) {
	access, err := u.issuer.ReadAccess(ctx, token)
	if errors.Is(err, tokens.ErrInvalid) {
		invalid := *errInactive
		invalid.Cause = err
		return nil, "", &invalid
	}
	if err != nil {
		return nil, "", err
	}
	client = access.ClientID
	if access.GrantID == "" || !slices.Contains(access.Scopes, apis.OpenID) {
		return nil, client, errNotOpenID
	}
	stands, standing, err := u.standing.Stands(ctx, questionAbout(access), access.Epoch)
	if err != nil {
		return nil, client, err
	}
	if !stands {
		return nil, client, errInactive
	}
	// The scopes of the token alone are not enough: its "phone" may be an API's scope
	// of that name, not the server's. And what was taken from the client since then must
	// be missing at once.
	scopes, err := u.ownLeft(ctx, access, standing)
	if err != nil {
		return nil, client, err
	}
	user, err := u.users.ByID(ctx, access.Subject)
	if errors.Is(err, accounts.ErrNotFound) {
		return nil, client, errInactive
	}
	if err != nil {
		return nil, client, err
	}
	claims = accounts.Claims{}
	for _, group := range user.Released(u.rules.APIs.Own(), scopes) {
		maps.Copy(claims, group)
	}
	claims["sub"], err = json.Marshal(user.ID)
	return claims, client, err
}

// ownLeft returns those scopes of a token that are the server's own and that its client
// may still have. standing is that of the token.
func (u *UserInfo) ownLeft(ctx context.Context, access tokens.Access, standing revocation.Standing) ([]string, error) {
	left, some, err := leftOf(ctx, u.rules, u.registry.Client, access, standing)
	if err != nil {
		return nil, err
	}
	if !some {
		return nil, errInactive
	}
	own := slices.DeleteFunc(left.Own(), func(scope string) bool { return !slices.Contains(access.Scopes, scope) })
	if !slices.Contains(own, apis.OpenID) {
		return nil, errNotOpenID
	}
	return own, nil
}

// leftOf returns what is left of a token that stands, of what its client may still have, and
// whether that is anything. client looks the client up. A token whose client is gone, or
// that has ended with its session, is errInactive.
func leftOf(ctx context.Context, rules *grants.Rules, client func(context.Context, string) (*clients.Client, error), access tokens.Access, standing revocation.Standing) (left grants.Allowance, some bool, err error) {
	of, err := client(ctx, access.ClientID)
	if errors.Is(err, clients.ErrNotFound) {
		return left, false, errInactive
	}
	if err != nil {
		return left, false, err
	}
	over, err := outlived(ctx, rules, of, standing)
	if err != nil {
		return left, false, err
	}
	if over {
		return left, false, errInactive
	}
	left, err = rules.Left(ctx, of, permission.Granted{Audiences: access.Audience, Scopes: access.Scopes, Permissions: permission.ParseAll(standing.Permissions)})
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return left, false, nil
	}
	return left, err == nil, err
}
