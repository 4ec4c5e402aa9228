package authorization

import (
	"context"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/tokens"
)

// Endpoint is the authorization endpoint (RFC 6749 section 3.1), and the authorization
// challenge endpoint, at which first-party apps get codes without a browser.
type Endpoint struct {
	issuer   *tokens.Issuer
	registry *clients.Registry
	rules    *grants.Rules
	consents *consents.Consents
	codes    codes
	notes    Notes
	now      func() time.Time
}

// codes keeps authorization codes.
type codes interface {
	// SaveCode stores a code under its hash. Returns grants.ErrNotFound if the login
	// session has ended or expired by now.
	SaveCode(ctx context.Context, hash [32]byte, c grants.Code, now time.Time) error
}

// New returns the authorization endpoint of an issuer.
func New(issuer *tokens.Issuer, registry *clients.Registry, rules *grants.Rules, consents *consents.Consents, codes codes, notes Notes, now func() time.Time) *Endpoint {
	return &Endpoint{issuer, registry, rules, consents, codes, notes, now}
}
