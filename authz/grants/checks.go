package grants

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/protocol"
)

// checks is what every grant must check, once and before any of them.
type checks struct {
	apis   *apis.Catalog
	issuer string
	ttl    time.Duration
}

var _ fosite.TokenEndpointHandler = (*checks)(nil)

func (c *checks) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return true
}

func (c *checks) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (c *checks) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	client := r.GetClient().(*Client)
	session := r.GetSession().(*Session)

	// fosite splits grant_type at spaces; the parameter is one value.
	grant := r.GetRequestForm().Get("grant_type")
	if !slices.Contains(Supported, grant) {
		return protocol.Refuse(protocol.UnsupportedGrantType, "The grant type is not supported; there are: %s.", strings.Join(Supported, ", "))
	}
	if !slices.Contains(client.Grants, grant) {
		return protocol.Refuse(protocol.UnauthorizedClient, "The client is not registered for this grant type.")
	}
	targets, err := c.targets(ctx, client, r)
	if err != nil {
		return err
	}
	session.ttl = c.ttl
	for i, api := range targets {
		r.GrantAudience(api.Audience)
		// A token for several APIs lives no longer than each of them allows.
		if life := ttlOf(api, c.ttl); i == 0 || life < session.ttl {
			session.ttl = life
		}
	}
	if len(targets) == 0 {
		r.GrantAudience(c.issuer)
	}
	scopes, err := scopesFor(client, targets, session.Scope)
	if err != nil {
		return err
	}
	r.SetRequestedScopes(scopes)
	for _, scope := range scopes {
		r.GrantScope(scope)
	}
	return nil
}

// PopulateTokenEndpointResponse leaves the answer to the grant.
func (c *checks) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return fosite.ErrUnknownRequest
}

func ttlOf(a apis.API, otherwise time.Duration) time.Duration {
	if a.AccessTTL != 0 {
		return a.AccessTTL
	}
	return otherwise
}

// TargetParameters name what the token is to be for: `resource` (RFC 8707) and
// `audience`, which other servers call it.
var TargetParameters = []string{"resource", "audience"}

// targets returns the APIs that the request names by `resource` (RFC 8707
// section 2) or `audience`; if it names none, the client's first; if it has
// none, none.
func (c *checks) targets(ctx context.Context, client *Client, r fosite.AccessRequester) ([]apis.API, error) {
	parameters := r.GetSession().(*Session).Targets
	var asked []string
	for _, key := range TargetParameters {
		for _, a := range parameters[key] {
			if a == "" {
				return nil, protocol.Refuse(protocol.InvalidTarget, "The parameter %s is empty.", key)
			}
			if !slices.Contains(asked, a) && len(asked) <= len(client.Audiences) {
				asked = append(asked, a)
			}
		}
	}
	if len(asked) > len(client.Audiences) {
		return nil, protocol.Refuse(protocol.InvalidTarget, "The client may not ask for this resource.")
	}
	if len(asked) == 0 && len(client.Audiences) > 0 {
		asked = client.Audiences[:1]
	}
	r.SetRequestedAudience(asked)
	var targets []apis.API
	for _, audience := range asked {
		// One answer whether there is no such API or it is none of the
		// client's: which APIs exist is not for every client to find out.
		refused := protocol.Refuse(protocol.InvalidTarget, "The client may not ask for this resource.")
		if !slices.Contains(client.Audiences, audience) {
			return nil, refused
		}
		api, err := c.apis.ByAudience(ctx, audience)
		if errors.Is(err, apis.ErrNotFound) {
			return nil, refused
		}
		if err != nil {
			return nil, err
		}
		targets = append(targets, api)
	}
	return targets, nil
}

// scopesFor returns what is granted of the scope parameter: all that was asked
// for, or a refusal. Asking for nothing means all that the client may have at
// the targets (RFC 6749 section 3.3). A scope counts only where one of the
// targets offers it, so that "read" at one API cannot be had by asking another
// for it (RFC 9068 section 3).
func scopesFor(client *Client, targets []apis.API, parameter string) ([]string, error) {
	offered := func(scope string) bool {
		return len(targets) == 0 || slices.ContainsFunc(targets, func(a apis.API) bool { return slices.Contains(a.Scopes, scope) })
	}
	asked, err := apis.ParseScope(parameter)
	if err != nil {
		return nil, protocol.Refuse(protocol.InvalidScope, "The scope is malformed (RFC 6749 section 3.3).")
	}
	if len(asked) == 0 {
		return slices.DeleteFunc(slices.Clone(client.Scopes), func(scope string) bool { return !offered(scope) }), nil
	}
	for _, scope := range asked {
		if !slices.Contains(client.Scopes, scope) {
			return nil, protocol.Refuse(protocol.InvalidScope, "The client may not ask for the scope '%s'.", scope)
		}
		if !offered(scope) {
			return nil, protocol.Refuse(protocol.InvalidScope, "The requested resource does not offer the scope '%s'.", scope)
		}
	}
	return asked, nil
}
