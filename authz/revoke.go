package authz

import (
	"context"
	"errors"
	"time"

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
	grants        *grants.Types
	cuts          *revocation.Cuts
}

// NewRevoker returns the revocation endpoint.
func NewRevoker(authenticator *clients.Authenticator, issuer *tokens.Issuer, types *grants.Types, cuts *revocation.Cuts) *Revoker {
	return &Revoker{authenticator, issuer, types, cuts}
}

// Revoke revokes a token at the request of the client that it was issued to (RFC 7009).
// A text that is no token, or a token that has expired, is no error: what the client
// wants is true already (section 2.2). Neither is a grant that is gone, unless the token
// is so young that its grant may have yet to arrive in this database. A fault of storage
// is an error: otherwise the client would believe that the token is revoked when it is
// not. It returns the id of the client that asked, once known, for the log.
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
		return caller, r.grant(ctx, refresh.GrantID, refresh.ClientID, caller, refresh.IssuedAt)
	}
	if !errors.Is(err, tokens.ErrInvalid) {
		return caller, err
	}
	access, err := r.issuer.ReadIssued(ctx, token)
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
		// The whole grant is revoked, as section 2.1 allows: with the access token
		// alone, the next refresh would only issue another.
		return caller, r.grant(ctx, access.GrantID, access.ClientID, caller, access.IssuedAt)
	}
	return caller, r.cuts.Token(ctx, access.ID, access.ClientID, access.ExpiresAt, access.Status, "", audit.Client(caller))
}

// grant revokes a grant at the request of its client, and with it every token that was
// issued under it (RFC 7009 section 2.1). issued is when the token was that names it.
func (r *Revoker) grant(ctx context.Context, id, client, caller string, issued time.Time) error {
	if client != caller {
		return protocol.Refuse(protocol.InvalidGrant, "The token was issued to another client.")
	}
	return revokeGrant(ctx, r.grants, r.cuts, id, caller, issued)
}

// revokeGrant revokes a grant of a client that presented a token of it, issued at that
// time. A grant that is gone is no error.
func revokeGrant(ctx context.Context, types *grants.Types, cuts *revocation.Cuts, id, client string, issued time.Time) error {
	err := types.WhenThere(ctx, issued, func() error { return cuts.Grant(ctx, id, client, "", audit.Client(client)) })
	if errors.Is(err, grants.ErrNotFound) {
		return nil
	}
	return err
}
