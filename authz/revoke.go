package authz

import (
	"context"
	"errors"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/tokens"
)

// Revoker is the revocation endpoint (RFC 7009).
type Revoker struct {
	authenticator *clients.Authenticator
	issuer        *tokens.Issuer
	cuts          *revocation.Cuts
}

// NewRevoker returns it.
func NewRevoker(authenticator *clients.Authenticator, issuer *tokens.Issuer, cuts *revocation.Cuts) *Revoker {
	return &Revoker{authenticator, issuer, cuts}
}

// Revoke takes back a token at the request of the client that it was issued to
// (RFC 7009). A token that is no token, or has ended, is no error: what the
// client wants is true already (section 2.2). A fault of storage is one: the
// client must not believe that a token is dead which is not. It returns the id
// of the client that asked, once known, for the log.
func (r *Revoker) Revoke(ctx context.Context, presented clients.Presented, token string) (caller string, err error) {
	client, err := r.authenticator.Authenticate(ctx, presented)
	if err != nil {
		return "", err
	}
	caller = client.ID
	if token == "" {
		return caller, protocol.Refuse(protocol.InvalidRequest, "The parameter token is missing.")
	}
	refresh, err := r.issuer.ReadRefresh(ctx, token)
	if err == nil {
		return caller, revokeGrant(ctx, r.cuts, refresh.GrantID, refresh.ClientID, caller)
	}
	if !errors.Is(err, tokens.ErrInvalid) {
		return caller, err
	}
	access, err := r.issuer.ReadAccess(ctx, token)
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
		return caller, revokeGrant(ctx, r.cuts, access.GrantID, access.ClientID, caller)
	}
	return caller, r.cuts.Token(ctx, access.ID, access.ClientID, access.ExpiresAt, access.Status, "", audit.Client(caller))
}

// revokeGrant ends the grant of a token at the request of its client, and with it all
// that was issued under it (section 2.1).
func revokeGrant(ctx context.Context, cuts *revocation.Cuts, id, client, caller string) error {
	if client != caller {
		return protocol.Refuse(protocol.InvalidGrant, "The token was issued to another client.")
	}
	err := cuts.Grant(ctx, id, caller, "", audit.Client(caller))
	if errors.Is(err, grants.ErrNotFound) {
		return nil
	}
	return err
}
