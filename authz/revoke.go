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
	grants        cuts
	tokens        *revocation.Cuts
}

// NewRevoker returns it. store keeps the grants, and single ends single tokens.
func NewRevoker(authenticator *clients.Authenticator, issuer *tokens.Issuer, store grantStore, single *revocation.Cuts, now func() time.Time) *Revoker {
	return &Revoker{authenticator, issuer, cuts{store, now}, single}
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
		return caller, r.grants.revoke(ctx, refresh.GrantID, refresh.ClientID, caller)
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
		return caller, r.grants.revoke(ctx, access.GrantID, access.ClientID, caller)
	}
	return caller, r.tokens.Token(ctx, access.ID, access.ClientID, access.ExpiresAt, access.Status, "", audit.Client(caller))
}

// grantStore keeps grants.
type grantStore interface {
	// Grant returns a grant, or grants.ErrNotFound.
	Grant(ctx context.Context, id string) (grants.Standing, error)
	// RevokeGrant revokes it, or returns grants.ErrNotFound.
	RevokeGrant(ctx context.Context, id string, ev audit.Event) error
}

// cuts ends grants at the request of their clients.
type cuts struct {
	grants grantStore
	now    func() time.Time
}

// revoke ends the grant of a token, and with it all that was issued under
// it (section 2.1).
func (c cuts) revoke(ctx context.Context, id, client, caller string) error {
	if client != caller {
		return protocol.Refuse(protocol.InvalidGrant, "The token was issued to another client.")
	}
	err := c.grants.RevokeGrant(ctx, id, audit.Event{
		At: c.now(), Actor: audit.Client(caller), Action: audit.GrantCut, Subject: id,
		Details: map[string]string{"client_id": caller},
	})
	if errors.Is(err, grants.ErrNotFound) {
		return nil
	}
	return err
}
