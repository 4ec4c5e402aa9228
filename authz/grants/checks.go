package grants

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/ingam/ingam/authz/apis"
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

// Allowance is what a token may be for: everything that a client is registered
// for, or what a user allowed it.
type Allowance struct {
	Audiences, Scopes []string
	// All is whether a request that names no audience gets all of them: the user
	// was asked for each. Otherwise it gets the first, the client's default.
	All bool
}

// Rules say what of an allowance a request gets.
type Rules struct {
	APIs *apis.Catalog
	// Issuer is the audience of a token that is for no API.
	Issuer string
	// AccessTTL is the life of an access token for an API that sets none.
	AccessTTL time.Duration
}

// Decision is what a token will be for.
type Decision struct {
	Audiences, Scopes []string
	TTL               time.Duration
	// Roles is whether one of the APIs asks for the user's roles.
	Roles bool
}

// Decide narrows an allowance to what a request asks for: all of it, or a
// refusal.
func (c *Rules) Decide(ctx context.Context, allowed Allowance, parameters map[string][]string, scope string) (Decision, error) {
	targets, err := c.targets(ctx, allowed, parameters)
	if err != nil {
		return Decision{}, err
	}
	d := Decision{TTL: c.AccessTTL}
	for i, api := range targets {
		d.Audiences = append(d.Audiences, api.Audience)
		// A token for several APIs lives no longer than each of them allows.
		if life := ttlOf(api, c.AccessTTL); i == 0 || life < d.TTL {
			d.TTL = life
		}
		d.Roles = d.Roles || api.Roles
	}
	if len(targets) == 0 {
		d.Audiences = []string{c.Issuer}
	}
	d.Scopes, err = scopesFor(allowed, targets, scope)
	return d, err
}

// Longest is the longest that a token for any of these APIs lives.
func (c *Rules) Longest(ctx context.Context, audiences []string) (time.Duration, error) {
	targets, err := c.targets(ctx, Allowance{Audiences: audiences, All: true}, nil)
	if err != nil {
		return 0, err
	}
	longest := time.Duration(0)
	for _, api := range targets {
		longest = max(longest, ttlOf(api, c.AccessTTL))
	}
	if longest == 0 {
		longest = c.AccessTTL
	}
	return longest, nil
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
// section 2) or `audience`; if it names none, the first that is allowed, or
// all; if there is none, none.
func (c *Rules) targets(ctx context.Context, allowed Allowance, parameters map[string][]string) ([]apis.API, error) {
	// One answer whether there is no such API or it is none of the client's:
	// which APIs exist is not for every client to find out.
	refused := protocol.Refuse(protocol.InvalidTarget, "The client may not ask for this resource.")
	var asked []string
	for _, key := range TargetParameters {
		for _, a := range parameters[key] {
			if a == "" {
				return nil, protocol.Refuse(protocol.InvalidTarget, "The parameter %s is empty.", key)
			}
			if !slices.Contains(allowed.Audiences, a) {
				return nil, refused
			}
			if !slices.Contains(asked, a) {
				asked = append(asked, a)
			}
		}
	}
	switch {
	case len(asked) > 0 || len(allowed.Audiences) == 0:
	case allowed.All:
		asked = allowed.Audiences
	default:
		asked = allowed.Audiences[:1]
	}
	var targets []apis.API
	for _, audience := range asked {
		if audience == c.Issuer {
			continue // what was allowed is for no API
		}
		api, err := c.APIs.ByAudience(ctx, audience)
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
// for, or a refusal. Asking for nothing means all that is allowed at the targets
// (RFC 6749 sections 3.3 and 6). A scope counts only where one of the targets
// offers it, so that "read" at one API cannot be had by asking another for it
// (RFC 9068 section 3).
func scopesFor(allowed Allowance, targets []apis.API, parameter string) ([]string, error) {
	offered := func(scope string) bool {
		return len(targets) == 0 || apis.IsStandard(scope) ||
			slices.ContainsFunc(targets, func(a apis.API) bool { return slices.Contains(a.Scopes, scope) })
	}
	asked, err := apis.ParseScope(parameter)
	if err != nil {
		return nil, protocol.Refuse(protocol.InvalidScope, "The scope is malformed (RFC 6749 section 3.3).")
	}
	if len(asked) == 0 {
		return slices.DeleteFunc(slices.Clone(allowed.Scopes), func(scope string) bool { return !offered(scope) }), nil
	}
	for i, scope := range asked {
		// Named by its place: refusals are logged, and people paste secrets into
		// the wrong field.
		if !slices.Contains(allowed.Scopes, scope) {
			return nil, protocol.Refuse(protocol.InvalidScope, "The client may not ask for scope number %d of the request.", i+1)
		}
		if !offered(scope) {
			return nil, protocol.Refuse(protocol.InvalidScope, "The requested resource does not offer scope number %d of the request.", i+1)
		}
	}
	return asked, nil
}

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
	own := slices.DeleteFunc(slices.Clone(client.Scopes), apis.IsStandard)
	d, err := c.rules.Decide(ctx, Allowance{Audiences: client.Audiences, Scopes: own}, session.Targets, session.Scope)
	if err != nil {
		return err
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
