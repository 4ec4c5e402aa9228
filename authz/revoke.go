package authz

import (
	"context"
	"errors"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// Revoke takes back a token at the request of the client that it was issued to
// (RFC 7009). A token that is no token, or has ended, is no error: what the
// client wants is true already (section 2.2). A fault of storage is one: the
// client must not believe that a token is dead which is not. It returns the id
// of the client that asked, once known, for the log.
func (a *Authority) Revoke(ctx context.Context, presented clients.Presented, token string) (caller string, err error) {
	client, err := a.Clients.Authenticate(ctx, presented)
	if err != nil {
		return "", err
	}
	caller = client.ID
	if token == "" {
		return caller, protocol.Refuse(protocol.InvalidRequest, "The parameter token is missing.")
	}
	refresh, err := a.Issuer.ReadRefresh(ctx, token)
	if err == nil {
		return caller, a.revokeGrant(ctx, refresh.GrantID, refresh.ClientID, caller)
	}
	if !errors.Is(err, tokens.ErrInvalid) {
		return caller, err
	}
	access, err := a.Issuer.ReadAccess(ctx, token)
	if errors.Is(err, tokens.ErrInvalid) {
		return caller, nil
	}
	if err != nil {
		return caller, err
	}
	if access.ClientID != caller {
		return caller, protocol.Refuse(protocol.InvalidGrant, "The token was issued to another client.")
	}
	if access.GrantID != "" {
		// Section 2.1 allows it: the next refresh would only bring the access back.
		return caller, a.revokeGrant(ctx, access.GrantID, access.ClientID, caller)
	}
	return caller, a.Cuts.Token(ctx, access.ID, access.ClientID, access.ExpiresAt, access.Status, "", audit.Client(caller))
}

// revokeGrant ends the grant of a token, and with it all that was issued under
// it (section 2.1).
func (a *Authority) revokeGrant(ctx context.Context, id, client, caller string) error {
	if client != caller {
		return protocol.Refuse(protocol.InvalidGrant, "The token was issued to another client.")
	}
	err := a.Store.RevokeGrant(ctx, id, audit.Event{
		At: a.Now(), Actor: audit.Client(caller), Action: audit.GrantCut, Subject: id,
		Details: map[string]string{"client_id": caller},
	})
	if errors.Is(err, grants.ErrNotFound) {
		return nil
	}
	return err
}
