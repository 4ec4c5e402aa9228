package grants

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// Supported are the grant types that the token endpoint offers; the metadata
// announces them.
var Supported = []string{clients.AuthorizationCode, clients.RefreshToken, clients.ClientCredentials}

// Request is a request for tokens (RFC 6749 section 3.2) of a client that has
// authenticated.
type Request struct {
	Client    *clients.Client
	GrantType string
	// Parameters are those of the form, as they were sent.
	Parameters url.Values
	// SignIn is whether the client refreshes for someone whom it signed in by
	// itself. It may do that without being registered for refresh tokens, which its
	// browser holds and it never sees.
	SignIn bool
}

// Issued is what a client gets for a token request.
type Issued struct {
	// Access is what the access token says.
	Access                             tokens.Access
	AccessToken, RefreshToken, IDToken string
}

// ExpiresIn is for how long the access token is good, by what it says itself.
func (i Issued) ExpiresIn() time.Duration { return i.Access.ExpiresAt.Sub(i.Access.IssuedAt) }

// Scope is the scope of the access token in the form of RFC 6749 section 3.3.
func (i Issued) Scope() string { return strings.Join(i.Access.Scopes, " ") }

// check is what no grant type may forget, in the order in which it is decided.
// It runs once, before all of them.
func check(r Request) error {
	if !slices.Contains(Supported, r.GrantType) {
		return protocol.Refuse(protocol.UnsupportedGrantType, "The grant type is not supported; there are: %s.", strings.Join(Supported, ", "))
	}
	if !may(r.Client, r.GrantType, r.SignIn) {
		return protocol.Refuse(protocol.UnauthorizedClient, "The client is not registered for this grant type.")
	}
	return nil
}

// may reports whether a client may use a grant type. One that signs people in by
// itself gets codes for it and, with them, refresh tokens; unless its browser holds
// those, it uses both itself.
func may(c *clients.Client, grant string, signIn bool) bool {
	if slices.Contains(c.Grants, grant) {
		return true
	}
	own := grant == clients.AuthorizationCode || grant == clients.RefreshToken
	return own && slices.Contains(c.Grants, clients.SignIn) && (signIn || c.Hold == clients.HoldMemory)
}
