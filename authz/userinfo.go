package authz

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// UserInfo returns the claims about the user that an access token lets its
// bearer see (OpenID Connect Core 1.0 section 5.3). It returns the client's id,
// once known, for the log.
func (a *Authority) UserInfo(ctx context.Context, token string) (claims map[string]any, client string, err error) {
	invalid := protocol.Refuse(protocol.InvalidToken, "The access token is not valid (any more).")
	access, err := a.Issuer.ReadAccess(ctx, token)
	if errors.Is(err, tokens.ErrInvalid) {
		invalid.Cause = err
		return nil, "", invalid
	}
	if err != nil {
		return nil, "", err
	}
	client = access.ClientID
	if access.GrantID == "" || !slices.Contains(access.Scopes, apis.OpenID) {
		return nil, client, protocol.Refuse(protocol.InsufficientScope, "The access token is not for the scope openid.")
	}
	stands, _, err := a.Cuts.Stands(ctx, questionAbout(access), access.Epoch)
	if err != nil {
		return nil, client, err
	}
	if !stands {
		return nil, client, invalid
	}
	user, err := a.Users.ByID(ctx, access.Subject)
	if errors.Is(err, accounts.ErrNotFound) {
		return nil, client, invalid
	}
	if err != nil {
		return nil, client, err
	}
	return claimsOf(user, access.Scopes), client, nil
}

// claimsOf returns what the scopes let a client know of a user. Claims that are
// of no standard scope go with profile.
func claimsOf(user accounts.User, scopes []string) map[string]any {
	claims := map[string]any{"sub": user.ID}
	if slices.Contains(scopes, apis.Profile) {
		maps.Copy(claims, user.Claims)
		claims["preferred_username"] = user.Username
	}
	if slices.Contains(scopes, apis.Email) && user.Email != "" {
		claims["email"] = user.Email
		// Nobody has checked it: an administrator typed it.
		claims["email_verified"] = false
	}
	return claims
}
