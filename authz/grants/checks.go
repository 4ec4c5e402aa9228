package grants

import (
	"context"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
)

// checks is what every grant must check, once and before any of them.
type checks struct{}

var _ fosite.TokenEndpointHandler = checks{}

func (checks) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return true
}

func (checks) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (checks) HandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) error {
	client := r.GetClient().(*Client)
	// fosite splits grant_type at spaces; the parameter is one value.
	grant := grantType(r)
	if !slices.Contains(Supported, grant) {
		return protocol.Refuse(protocol.UnsupportedGrantType, "The grant type is not supported; there are: %s.", strings.Join(Supported, ", "))
	}
	if !r.GetSession().(*Session).may(client, grant) {
		return protocol.Refuse(protocol.UnauthorizedClient, "The client is not registered for this grant type.")
	}
	return nil
}

// PopulateTokenEndpointResponse leaves the answer to the grant.
func (checks) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return fosite.ErrUnknownRequest
}

func grantType(r fosite.Requester) string { return r.GetRequestForm().Get("grant_type") }

// clientCredentials says what a client may have by itself, before fosite's
// handler makes the token. The server's own scopes are about people.
type clientCredentials struct{ rules *Rules }

func (c clientCredentials) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return grantType(r) == clients.ClientCredentials
}

func (clientCredentials) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

func (c clientCredentials) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	client, session := r.GetClient().(*Client), r.GetSession().(*Session)
	allowed, err := c.rules.Registered(ctx, client.Client)
	if err != nil {
		return err
	}
	allowed.Permissions = slices.DeleteFunc(allowed.Permissions, Permission.own)
	d, err := c.rules.Decide(allowed, session.Targets, session.Scope)
	if err != nil {
		return err
	}
	if ofAPIs := func(scope string) bool { return !c.rules.APIs.Own().Has(scope) }; len(allowed.Permissions) == 0 && slices.ContainsFunc(client.Scopes, ofAPIs) {
		// A token without any is for clients that were registered so.
		return protocol.Refuse(protocol.InvalidScope, "Nothing is left of what the client is registered for: its APIs have stopped to offer its scopes.")
	}
	session.decision = d
	for _, audience := range d.Audiences {
		r.GrantAudience(audience)
	}
	for _, scope := range d.Scopes {
		r.GrantScope(scope)
	}
	return nil
}

func (clientCredentials) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return fosite.ErrUnknownRequest
}
