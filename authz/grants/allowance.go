package grants

import (
	"slices"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
)

// Allowance is what a client's tokens may be for at most: all that the client is
// registered for (Rules.Registered), or what is left of what a user allowed it
// (Rules.Left).
type Allowance struct {
	// Permissions are in the order in which their scopes are told.
	Permissions []permission.Permission
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

// Own returns the server's own scopes among what is allowed.
func (a Allowance) Own() []string { return permission.OwnScopes(a.Permissions) }

// among returns those of the permissions that are allowed.
func (a Allowance) among(permissions []permission.Permission) []permission.Permission {
	allowed := make([]permission.Permission, 0, len(permissions))
	for _, p := range permissions {
		if slices.Contains(a.Permissions, p) {
			allowed = append(allowed, p)
		}
	}
	return allowed
}

// lacks reports whether something that was allowed is not there now.
func (a Allowance) lacks(recorded []permission.Permission, audiences []string, issuer string) bool {
	return slices.ContainsFunc(recorded, func(p permission.Permission) bool { return !slices.Contains(a.Permissions, p) }) ||
		slices.ContainsFunc(audiences, func(audience string) bool {
			return audience != issuer && !slices.ContainsFunc(a.targets, func(api apis.API) bool { return api.Audience == audience })
		})
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
func (a Allowance) at(targets []apis.API, scope string) (counts []permission.Permission, clear bool) {
	if own := (permission.Permission{Scope: scope}); slices.Contains(a.Permissions, own) {
		return []permission.Permission{own}, true
	}
	clear = true
	for _, api := range targets {
		if p := (permission.Permission{Audience: api.Audience, Scope: scope}); slices.Contains(a.Permissions, p) {
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
	case slices.ContainsFunc(a.Permissions, func(p permission.Permission) bool { return p.Scope == scope }):
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
			if p.Scope == scope && !p.Own() {
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
