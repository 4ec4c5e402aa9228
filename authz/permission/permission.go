package permission

import "strings"

// Permission is a scope and the API that offers it: "read" at one API says
// nothing of another.
type Permission struct {
	// Audience is that of the API; empty for the server's own scopes.
	Audience, Scope string
}

// Parse reads what String wrote.
func Parse(s string) Permission {
	if audience, scope, ok := strings.Cut(s, " "); ok {
		return Permission{audience, scope}
	}
	return Permission{Scope: s}
}

// String returns "audience scope", or "scope" for one of the server's own. Neither
// part contains a space.
func (p Permission) String() string {
	if p.Own() {
		return p.Scope
	}
	return p.Audience + " " + p.Scope
}

// Own reports whether the scope is one of the server's own, such as openid.
func (p Permission) Own() bool { return p.Audience == "" }

// ParseAll reads what Texts wrote; nil stays nil.
func ParseAll(texts []string) []Permission {
	if texts == nil {
		return nil
	}
	all := make([]Permission, len(texts))
	for i, text := range texts {
		all[i] = Parse(text)
	}
	return all
}

// Texts returns permissions as consents remember them and pages send them back.
func Texts(all []Permission) []string {
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.String()
	}
	return texts
}

// OwnScopes returns the server's own scopes among permissions.
func OwnScopes(all []Permission) []string {
	var own []string
	for _, p := range all {
		if p.Own() {
			own = append(own, p.Scope)
		}
	}
	return own
}

// Granted is what a user allowed a client, as a code or a grant records it.
type Granted struct {
	Audiences, Scopes []string
	// Permissions are nil where it was an older version that recorded the grant: then
	// they follow from the audiences and scopes.
	Permissions []Permission
}
