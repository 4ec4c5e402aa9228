package grants

import (
	"strings"
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
