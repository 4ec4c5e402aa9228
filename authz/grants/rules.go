package grants

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/keys"
)

// Rules decides which scopes and APIs a token is for, of those that it may be for.
type Rules struct {
	APIs *catalog.Catalog
	// Clients are asked where the copy of a client in memory lacks what it was
	// allowed; nil is for those who hold no copies.
	Clients *clients.Registry
	// Users are asked which roles a user holds, for the scopes of the administration; it is
	// nil where no tokens are issued.
	Users Users
	// Issuer is the audience of a token that is for no API.
	Issuer string
	// AccessTTL is the life of an access token for an API that sets none.
	AccessTTL time.Duration
	// Now is the clock.
	Now func() time.Time
}

// Registered returns what a client may ask for: its scopes, each at those of its
// APIs that offer it now.
func (c *Rules) Registered(ctx context.Context, client *clients.Client) (Allowance, error) {
	targets, err := c.APIs.Several(ctx, client.Audiences)
	if err != nil {
		return Allowance{}, err
	}
	return c.registered(client, targets), nil
}

func (c *Rules) registered(client *clients.Client, targets []apis.API) Allowance {
	allowed := Allowance{targets: targets, Permissions: make([]permission.Permission, 0, len(client.Scopes))}
	if len(targets) == 0 {
		allowed.targets = []apis.API{{Audience: c.Issuer}}
	}
	for _, scope := range client.Scopes {
		offered := offering(targets, scope)
		switch {
		case len(offered) > 0 && !apis.AlwaysOwn(scope):
			allowed.Permissions = append(allowed.Permissions, offered...)
		case c.APIs.Own().Has(scope):
			allowed.Permissions = append(allowed.Permissions, permission.Permission{Scope: scope})
		case len(client.Audiences) == 0:
			// Registered before scopes that nobody offers were refused.
			allowed.Permissions = append(allowed.Permissions, permission.Permission{Audience: c.Issuer, Scope: scope})
		}
	}
	return allowed
}

// offering returns the scope at each of the APIs that offer it.
func offering(targets []apis.API, scope string) []permission.Permission {
	var offered []permission.Permission
	for _, api := range targets {
		if slices.Contains(api.Scopes, scope) {
			offered = append(offered, permission.Permission{Audience: api.Audience, Scope: scope})
		}
	}
	return offered
}

// Decision is what a token will be for: its APIs and scopes, its life and its type.
type Decision struct {
	Audiences, Scopes []string
	// Permissions are the scopes with the APIs that they count at.
	Permissions []permission.Permission
	TTL         time.Duration
	// Roles is whether one of the APIs asks for the user's roles.
	Roles bool
	// TokenType is the `typ`, and Algorithm the `alg`, that the APIs ask for.
	TokenType apis.TokenType
	Algorithm string
	// EncryptTo is the public key, a JWK, to which the token is encrypted; empty for none.
	EncryptTo string
	// Secret signs the token, if the Algorithm is apis.SharedAlg.
	Secret keys.SharedSecret
	// LeftOut is how many of the scopes that were asked for could not be had.
	LeftOut int
}

// AskedFor returns what a client asks for in somebody's name. What it may not have of
// it is left out (OpenID Connect Core 1.0 section 3.1.2.1): a library's default list of
// scopes does not fit every server, and the answer says what was granted.
func (c *Rules) AskedFor(ctx context.Context, client *clients.Client, parameters map[string][]string, scope string) (Decision, error) {
	allowed, err := c.Registered(ctx, client)
	if err != nil {
		return Decision{}, err
	}
	allowed.Lenient = true
	return c.Decide(allowed, parameters, scope)
}

// Decide narrows an allowance to what a request asks for.
//
// The APIs are those that it names by `resource` (RFC 8707 section 2) or
// `audience`. If it names none, they are all that a user allowed; or, where a
// client asks for what it is registered for, those that alone offer one of the
// scopes, else the first. (A scope that several offer, none of them among these,
// is had at the first that does.)
//
// A scope counts only where it was allowed (RFC 9068 section 3). Asking for none
// means all that is allowed at these APIs (RFC 6749 sections 3.3 and 6).
func (c *Rules) Decide(allowed Allowance, parameters map[string][]string, scope string) (Decision, error) {
	asked, err := apis.ParseScope(scope)
	if err != nil {
		return Decision{}, protocol.Refuse(protocol.InvalidScope, "The scope is malformed (RFC 6749 section 3.3).")
	}
	// One moment for all of it: an API may change its algorithm between two.
	now := c.Now()
	targets, err := targetsOf(allowed, parameters, asked, now)
	if err != nil {
		return Decision{}, err
	}
	d := Decision{TTL: c.AccessTTL, Permissions: []permission.Permission{}}
	for i, api := range targets {
		d.Audiences = append(d.Audiences, api.Audience)
		// A token for several APIs lives no longer than each of them allows.
		if life := c.lifeFor(api); i == 0 || life < d.TTL {
			d.TTL = life
		}
		d.Roles = d.Roles || api.Roles
	}
	d.TokenType, d.Algorithm = kindOf(targets[0], now)
	d.EncryptTo = targets[0].EncryptionJWK
	if d.Algorithm == apis.SharedAlg { // then it is the only one
		secret, _ := targets[0].SigningSecret()
		d.Secret = keys.SharedSecret{API: targets[0].ID, KID: secret.ID, Sealed: secret.Sealed}
	}
	wanted := asked
	if len(asked) == 0 {
		wanted = allowed.scopes()
	}
	for i, scope := range wanted {
		counts, clear := allowed.at(targets, scope)
		switch {
		case len(counts) > 0 && clear:
			d.Scopes, d.Permissions = append(d.Scopes, scope), append(d.Permissions, counts...)
		case len(asked) == 0:
		case allowed.Lenient:
			d.LeftOut++
		default:
			return Decision{}, allowed.refuse(i+1, scope, len(counts) > 0)
		}
	}
	if len(asked) > 0 && len(d.Scopes) == 0 {
		return Decision{}, protocol.Refuse(protocol.InvalidScope, "The client may have none of the scopes that are asked for.")
	}
	return d, nil
}

// targetsOf returns the APIs that a request is for. If they take different kinds of access
// tokens, no token can be for all of them: then the request has to name one or, if it asks
// for nothing in particular, the first counts.
func targetsOf(allowed Allowance, parameters map[string][]string, asked []string, now time.Time) ([]apis.API, error) {
	named, err := allowed.named(parameters)
	if err != nil {
		return nil, err
	}
	targets := named
	if len(named) == 0 {
		targets = allowed.chosen(asked)
	}
	switch {
	case allowed.Lenient || alike(targets, now):
		// At the authorization endpoint there is no token yet: the grant may be for
		// APIs of all kinds.
		return targets, nil
	case len(named) == 0 && len(asked) == 0:
		return targets[:1], nil
	case len(named) == 0 && allowed.all:
		allowed.all = false
		if targets = allowed.chosen(asked); alike(targets, now) {
			return targets, nil
		}
	}
	return nil, protocol.Refuse(protocol.InvalidTarget, "These APIs take access tokens of different kinds (typ, alg, encryption), so no token can be for all of them: ask for one of them by resource.")
}

// alike reports whether one access token can be for all of these APIs. One that is not
// signed with the usual algorithm is for a single API: its verifier may know no other key
// than its own. So is one that is encrypted: no other API could read it.
func alike(targets []apis.API, now time.Time) bool {
	typ, alg := kindOf(targets[0], now)
	return len(targets) == 1 || alg == apis.DefaultAlg && !slices.ContainsFunc(targets, func(api apis.API) bool {
		otherTyp, otherAlg := kindOf(api, now)
		return otherTyp != typ || otherAlg != alg || api.EncryptionJWK != ""
	})
}

// kindOf returns the `typ` and the `alg` of access tokens for an API.
func kindOf(api apis.API, now time.Time) (typ apis.TokenType, alg string) {
	return cmp.Or(api.TokenType, apis.ATJWT), api.Signing.At(now)
}

// longest is the longest that a token for any of these APIs lives.
func (c *Rules) longest(ctx context.Context, audiences []string) (time.Duration, error) {
	targets, err := c.known(ctx, audiences)
	if err != nil {
		return 0, err
	}
	longest := time.Duration(0)
	for _, api := range targets {
		longest = max(longest, c.lifeFor(api))
	}
	if longest == 0 {
		longest = c.AccessTTL
	}
	return longest, nil
}

// known returns the APIs with these audiences, of which the issuer is none.
func (c *Rules) known(ctx context.Context, audiences []string) ([]apis.API, error) {
	return c.APIs.Several(ctx, slices.DeleteFunc(slices.Clone(audiences), func(a string) bool { return a == c.Issuer }))
}

func (c *Rules) lifeFor(a apis.API) time.Duration {
	if a.AccessTTL == 0 || a.Audience == c.Issuer {
		return c.AccessTTL
	}
	return a.AccessTTL
}
