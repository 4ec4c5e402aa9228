package grants

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
)

// Permission is a scope and the API that offers it: "read" at one API says
// nothing of another.
type Permission struct {
	// Audience is that of the API; empty for the server's own scopes.
	Audience, Scope string
}

// ParsePermission reads what Permission.String wrote.
func ParsePermission(s string) Permission {
	if audience, scope, ok := strings.Cut(s, " "); ok {
		return Permission{audience, scope}
	}
	return Permission{Scope: s}
}

// String is "audience scope", or "scope" for one of the server's own. Neither
// part holds a space.
func (p Permission) String() string {
	if p.own() {
		return p.Scope
	}
	return p.Audience + " " + p.Scope
}

func (p Permission) own() bool { return p.Audience == "" }

// ParsePermissions reads what Permissions wrote.
func ParsePermissions(texts []string) []Permission {
	if texts == nil {
		return nil
	}
	all := make([]Permission, len(texts))
	for i, text := range texts {
		all[i] = ParsePermission(text)
	}
	return all
}

// Permissions are written as consents remember them and pages show them.
func Permissions(all []Permission) []string {
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.String()
	}
	return texts
}

// ownScopes returns the server's own scopes among them.
func ownScopes(all []Permission) []string {
	var own []string
	for _, p := range all {
		if p.own() {
			own = append(own, p.Scope)
		}
	}
	return own
}

// Granted is what a user allowed a client, as a code or a grant records it.
type Granted struct {
	Audiences, Scopes []string
	// Permissions are nil where versions recorded none: see Rules.Recorded.
	Permissions []Permission
}

// Granted is what it records.
func (c Code) Granted() Granted { return Granted{c.Audiences, c.Scopes, c.Permissions} }

// Granted is what it records.
func (g Grant) Granted() Granted { return Granted{g.Audiences, g.Scopes, g.Permissions} }

// Allowance is what tokens may be for: see Rules.Registered and Rules.Left.
type Allowance struct {
	// Permissions are in the order in which their scopes are told.
	Permissions []Permission
	// Lenient is whether scopes that cannot be had are left out, as at the
	// authorization endpoint (OpenID Connect Core 1.0 section 3.1.2.1), instead of
	// refused.
	Lenient bool

	// targets are the APIs, the default first. What is for no API is for the
	// issuer, which stands here as one.
	targets []apis.API
	// all is whether a request that names no API gets all of them: the user was
	// asked for each.
	all bool
}

// Rules say what of an allowance a request gets.
type Rules struct {
	APIs *catalog.Catalog
	// Clients are asked where the copy of a client in memory lacks what it was
	// allowed; nil is for those who hold no copies.
	Clients *clients.Registry
	// Issuer is the audience of a token that is for no API.
	Issuer string
	// AccessTTL is the life of an access token for an API that sets none.
	AccessTTL time.Duration
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
	allowed := Allowance{targets: targets, Permissions: make([]Permission, 0, len(client.Scopes))}
	if len(targets) == 0 {
		allowed.targets = []apis.API{{Audience: c.Issuer}}
	}
	for _, scope := range client.Scopes {
		offered := offering(targets, scope)
		switch {
		case len(offered) > 0 && !apis.AlwaysOwn(scope):
			allowed.Permissions = append(allowed.Permissions, offered...)
		case c.APIs.Own().Has(scope):
			allowed.Permissions = append(allowed.Permissions, Permission{Scope: scope})
		case len(client.Audiences) == 0:
			// Registered before scopes that nobody offers were refused.
			allowed.Permissions = append(allowed.Permissions, Permission{c.Issuer, scope})
		}
	}
	return allowed
}

// offering returns the scope at each of the APIs that offer it.
func offering(targets []apis.API, scope string) []Permission {
	var offered []Permission
	for _, api := range targets {
		if slices.Contains(api.Scopes, scope) {
			offered = append(offered, Permission{api.Audience, scope})
		}
	}
	return offered
}

// Recorded returns what a user allowed. Where that was not recorded, it follows
// from what the APIs offer now.
func (c *Rules) Recorded(ctx context.Context, g Granted) ([]Permission, error) {
	if g.Permissions != nil {
		return g.Permissions, nil
	}
	targets, err := c.known(ctx, g.Audiences)
	if err != nil {
		return nil, err
	}
	recorded := []Permission{}
	for _, scope := range g.Scopes {
		switch {
		case apis.AlwaysOwn(scope): // there were no others
			recorded = append(recorded, Permission{Scope: scope})
		case len(targets) == 0 && slices.Contains(g.Audiences, c.Issuer):
			recorded = append(recorded, Permission{c.Issuer, scope})
		default:
			recorded = append(recorded, offering(targets, scope)...)
		}
	}
	return recorded, nil
}

// Left returns what is left of what a user allowed a client: what the client is
// still registered for and its APIs still offer. The record stays as it is, so
// that what is taken from a client or an API and given back is back. If nothing is
// left, it is a refusal.
func (c *Rules) Left(ctx context.Context, client *clients.Client, g Granted) (Allowance, error) {
	recorded, err := c.Recorded(ctx, g)
	if err != nil {
		return Allowance{}, err
	}
	now, err := c.Registered(ctx, client)
	if err == nil && c.Clients != nil && now.lacks(recorded, g.Audiences, c.Issuer) {
		// A no is never a stale one: it may have been given a moment ago.
		now, err = c.stored(ctx, client)
	}
	if err != nil {
		return Allowance{}, err
	}
	left := Allowance{all: true}
	for _, audience := range g.Audiences {
		i := slices.IndexFunc(now.targets, func(a apis.API) bool { return a.Audience == audience })
		switch {
		case i >= 0:
			left.targets = append(left.targets, now.targets[i])
		case audience == c.Issuer: // which no client has to name
			left.targets = append(left.targets, apis.API{Audience: c.Issuer})
		}
	}
	left.Permissions = now.among(recorded)
	// What is not recorded, and no API offers, is not among these.
	allowed := len(g.Scopes) > 0 || len(recorded) > 0
	if len(left.Permissions) == 0 && (allowed || len(left.targets) == 0) {
		return Allowance{}, protocol.Refuse(protocol.InvalidGrant, "Nothing is left of what was allowed: the scopes or the APIs of the client, or what these offer, were changed.")
	}
	if len(left.targets) == 0 {
		// What is left is the server's own: for userinfo, say.
		left.targets = []apis.API{{Audience: c.Issuer}}
	}
	return left, nil
}

// LeftOf returns what is left of an access token of a client: of the audiences and
// scopes that it was issued for, with the permissions that its grant recorded, if it
// has one. Nothing is nil.
func (c *Rules) LeftOf(ctx context.Context, client *clients.Client, token Granted) (audiences, scopes []string, err error) {
	left, err := c.Left(ctx, client, token)
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, api := range left.targets {
		if slices.Contains(token.Audiences, api.Audience) {
			audiences = append(audiences, api.Audience)
		}
	}
	for _, scope := range token.Scopes {
		if counts, clear := left.at(left.targets, scope); len(counts) > 0 && clear {
			scopes = append(scopes, scope)
		}
	}
	return audiences, scopes, nil
}

// LeftToShow returns what is left of what a user allowed a client, in any number of
// grants, for a page. Unlike Left it asks the copies in memory alone, so that a page
// about many clients costs no statement for each: what was given back a moment ago
// may be missing until they are fresh again.
func (c *Rules) LeftToShow(ctx context.Context, client *clients.Client, allowed []Permission) ([]Permission, error) {
	now, err := c.Registered(ctx, client)
	return now.among(allowed), err
}

// among returns those of the permissions that are allowed.
func (a Allowance) among(permissions []Permission) []Permission {
	allowed := make([]Permission, 0, len(permissions))
	for _, p := range permissions {
		if slices.Contains(a.Permissions, p) {
			allowed = append(allowed, p)
		}
	}
	return allowed
}

// lacks reports whether something that was allowed is not there now.
func (a Allowance) lacks(recorded []Permission, audiences []string, issuer string) bool {
	return slices.ContainsFunc(recorded, func(p Permission) bool { return !slices.Contains(a.Permissions, p) }) ||
		slices.ContainsFunc(audiences, func(audience string) bool {
			return audience != issuer && !slices.ContainsFunc(a.targets, func(api apis.API) bool { return api.Audience == audience })
		})
}

// stored is Registered by what the database has at this moment.
func (c *Rules) stored(ctx context.Context, client *clients.Client) (Allowance, error) {
	now, err := c.Clients.Stored(ctx, client.ID)
	if errors.Is(err, clients.ErrNotFound) {
		now, err = client, nil // which ends more than this can tell
	}
	if err != nil {
		return Allowance{}, err
	}
	all, err := c.APIs.List(ctx)
	if err != nil {
		return Allowance{}, err
	}
	var targets []apis.API
	for _, audience := range now.Audiences {
		for _, api := range all {
			if api.Audience == audience {
				targets = append(targets, api)
			}
		}
	}
	return c.registered(now, targets), nil
}

// Own returns the server's own scopes among what is allowed.
func (a Allowance) Own() []string { return ownScopes(a.Permissions) }

// Decision is what a token will be for.
type Decision struct {
	Audiences, Scopes []string
	// Permissions are the scopes with the APIs that they count at.
	Permissions []Permission
	TTL         time.Duration
	// Roles is whether one of the APIs asks for the user's roles.
	Roles bool
	// TokenType is the `typ` that the APIs ask for.
	TokenType apis.TokenType
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
	targets, err := allowed.named(parameters)
	if err != nil {
		return Decision{}, err
	}
	if len(targets) == 0 {
		targets = allowed.chosen(asked)
	}
	d := Decision{TTL: c.AccessTTL, Permissions: []Permission{}}
	for i, api := range targets {
		d.Audiences = append(d.Audiences, api.Audience)
		// A token for several APIs lives no longer than each of them allows.
		if life := c.lifeFor(api); i == 0 || life < d.TTL {
			d.TTL = life
		}
		d.Roles = d.Roles || api.Roles
		typ := cmp.Or(api.TokenType, apis.ATJWT)
		if i > 0 && typ != d.TokenType && !allowed.Lenient {
			// One of them would refuse the token. (At the authorization endpoint there
			// is none yet: the grant may be for both.)
			return Decision{}, protocol.Refuse(protocol.InvalidTarget, "These APIs take access tokens of different types (typ): ask for one of them by resource.")
		}
		d.TokenType = typ
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

// scopes returns all that is allowed anywhere, each once.
func (a Allowance) scopes() []string {
	var all []string
	for _, p := range a.Permissions {
		if !slices.Contains(all, p.Scope) {
			all = append(all, p.Scope)
		}
	}
	return all
}

// at returns the permissions for a scope in a token for some APIs, and whether the
// scope is clear there: an API that came to offer it later, and for which nobody
// allowed it, would take it for its own.
func (a Allowance) at(targets []apis.API, scope string) (counts []Permission, clear bool) {
	if own := (Permission{Scope: scope}); slices.Contains(a.Permissions, own) {
		return []Permission{own}, true
	}
	clear = true
	for _, api := range targets {
		if p := (Permission{api.Audience, scope}); slices.Contains(a.Permissions, p) {
			counts = append(counts, p)
		} else if slices.Contains(api.Scopes, scope) {
			clear = false
		}
	}
	return counts, clear
}

// refuse says which scope cannot be had, to a program that may need to know.
func (a Allowance) refuse(number int, scope string, unclear bool) error {
	description, logged := "The client may not ask for the scope '%s'.", "The client may not ask for scope number %d of the request."
	switch {
	case unclear:
		description, logged = "The scope '%s' was not allowed at all of the APIs that offer it: name one by resource.", "Scope number %d of the request was not allowed at all of the APIs that offer it."
	case slices.ContainsFunc(a.Permissions, func(p Permission) bool { return p.Scope == scope }):
		description, logged = "The requested resource does not offer the scope '%s'.", "The requested resource does not offer scope number %d of the request."
	}
	e := protocol.Refuse(protocol.InvalidScope, description, scope[:min(len(scope), maxShownScope)])
	e.Logged = protocol.Refuse(protocol.InvalidScope, logged, number).Description
	return e
}

// maxShownScope bounds how much of a request an error repeats.
const maxShownScope = 100

// TargetParameters name what the token is to be for: `resource` (RFC 8707) and
// `audience`, which other servers call it.
var TargetParameters = []string{"resource", "audience"}

// named returns the APIs that a request names.
func (a Allowance) named(parameters map[string][]string) ([]apis.API, error) {
	var named []apis.API
	audiences := make([]string, len(a.targets))
	for i, api := range a.targets {
		audiences[i] = api.Audience
	}
	for _, key := range TargetParameters {
		for _, asked := range parameters[key] {
			audience, ok := apis.Registered(audiences, asked)
			if !ok {
				// One answer whether there is no such API or it is none of the client's:
				// which APIs exist is not for every client to find out.
				return nil, protocol.Refuse(protocol.InvalidTarget, "The client may not ask for this resource.")
			}
			if !slices.ContainsFunc(named, func(api apis.API) bool { return api.Audience == audience }) {
				named = append(named, a.targets[slices.Index(audiences, audience)])
			}
		}
	}
	return named, nil
}

// chosen returns the APIs of a request that names none.
func (a Allowance) chosen(asked []string) []apis.API {
	if a.all {
		return a.targets
	}
	chosen := map[string]bool{}
	offering := make([][]string, len(asked))
	for i, scope := range asked {
		for _, p := range a.Permissions {
			if p.Scope == scope && !p.own() {
				offering[i] = append(offering[i], p.Audience)
			}
		}
		if len(offering[i]) == 1 {
			chosen[offering[i][0]] = true
		}
	}
	for _, at := range offering {
		if len(at) > 1 && !slices.ContainsFunc(at, func(audience string) bool { return chosen[audience] }) {
			chosen[at[0]] = true
		}
	}
	if len(chosen) == 0 {
		return a.targets[:1]
	}
	var targets []apis.API
	for _, api := range a.targets {
		if chosen[api.Audience] {
			targets = append(targets, api)
		}
	}
	return targets
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
