package authz

import (
	"context"
	"errors"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/tokens"
)

// readAccess reads an access token for a caller. One that is signed with a secret which an
// API shares with the server counts only if the caller is that API: whoever knows the
// secret can make such tokens, so that they prove nothing to anybody else. That includes
// the client that the token was issued to. No other endpoint takes them at all.
func (i *Introspector) readAccess(ctx context.Context, token string, caller *clients.Client) (tokens.Access, error) {
	kid, shared := tokens.SharedKID(token)
	if !shared {
		return i.issuer.ReadIssued(ctx, token)
	}
	secret, audience, err := i.rules.APIs.Shared(ctx, isAPIs(caller), kid)
	if errors.Is(err, apis.ErrSecretNotFound) {
		return tokens.Access{}, tokens.ErrInvalid
	}
	if err != nil {
		return tokens.Access{}, err
	}
	access, err := i.issuer.ReadShared(token, secret, audience)
	if err != nil || access.GrantID == "" {
		return access, err
	}
	// The API could otherwise put anybody's id into a token with a grant that it knows, and
	// be told their name; or name a grant that it knows from a token for another API, and be
	// told of a user who has allowed it nothing.
	belongs, err := i.grants.Belongs(ctx, access.GrantID, access.ClientID, access.Subject, audience)
	if err == nil && !belongs {
		err = tokens.ErrInvalid
	}
	return access, err
}

// isAPIs returns the audiences that clients.Client.Is is true of.
func isAPIs(c *clients.Client) []string {
	return append([]string{c.ID}, c.Introspects...)
}
