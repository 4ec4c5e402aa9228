package grants

import (
	"context"
	"errors"
	"slices"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/tokens"
)

// clientCredentials is RFC 6749 section 4.4: a token that a client gets for
// itself, where no user took part. It costs no statement while the client and its
// APIs are in memory.
type clientCredentials struct{ Parts }

func (c *clientCredentials) Grant(ctx context.Context, r Request) (Issued, error) {
	d, err := c.decide(ctx, r)
	if err != nil {
		return Issued{}, err
	}
	epoch, err := c.Epoch.Current(ctx)
	if err != nil {
		return Issued{}, err
	}
	issued := Issued{Access: tokens.Access{
		Type:      string(d.TokenType),
		Alg:       d.Algorithm,
		Secret:    d.Secret,
		EncryptTo: d.EncryptTo,
		ClientID:  r.Client.ID,
		Subject:   r.Client.ID,
		Audience:  d.Audiences,
		Scopes:    d.Scopes,
		Epoch:     max(epoch, r.Client.Epoch),
	}}
	issued.Access.Status, err = c.Indices.ForClient(ctx, r.Client.ID, issued.Access.Epoch, d.TTL)
	if errors.Is(err, indices.ErrNoOwner) {
		return Issued{}, protocol.Refuse(protocol.InvalidClient, "The client was disabled.")
	}
	if err != nil {
		return Issued{}, err
	}
	issued.AccessToken, err = c.Issuer.MintAccess(ctx, &issued.Access, d.TTL)
	return issued, err
}

// decide says what a client may have by itself. The server's own scopes are about
// people.
func (c *clientCredentials) decide(ctx context.Context, r Request) (Decision, error) {
	allowed, err := c.Rules.Registered(ctx, r.Client)
	if err != nil {
		return Decision{}, err
	}
	allowed.Permissions = slices.DeleteFunc(allowed.Permissions, permission.Permission.Own)
	d, err := c.Rules.Decide(allowed, r.Parameters, r.Parameters.Get("scope"))
	if err != nil {
		return Decision{}, err
	}
	if len(allowed.Permissions) == 0 && c.hadScopes(r.Client) {
		// A token without any is for clients that were registered so.
		return Decision{}, protocol.Refuse(protocol.InvalidScope, "Nothing is left of what the client is registered for: its APIs have stopped to offer its scopes.")
	}
	return d, nil
}

// hadScopes reports whether a client is registered for scopes of APIs.
func (c *clientCredentials) hadScopes(client *clients.Client) bool {
	return slices.ContainsFunc(client.Scopes, func(scope string) bool { return !c.Rules.APIs.Own().Has(scope) })
}
