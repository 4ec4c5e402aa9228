package administration

import (
	"slices"
	"strings"
)

// Prefix begins the name of each scope of the admin API. No other API has such scopes, and
// a role with this prefix makes an administrator.
const Prefix = "ingam:"

// The scopes of the admin API, by resource and act. A user has one through the role of the
// same name.
const (
	// All is every other scope, and alone reaches what could reach further: administrators,
	// their clients, and the admin API itself.
	All = "ingam:admin"

	ClientsRead  = "ingam:clients:read"
	ClientsWrite = "ingam:clients:write"
)

// Scopes are all of them, with what each allows, as the end of "the application would like
// to …".
var Scopes = []struct{ Name, Text string }{
	{All, "administer the server"},
	{ClientsRead, "see which clients are registered"},
	{ClientsWrite, "register, change and delete clients"},
}

// IsScope reports whether a scope or a role is one of the administration.
func IsScope(name string) bool { return strings.HasPrefix(name, Prefix) }

// known reports whether there is such a scope.
func known(name string) bool {
	return slices.ContainsFunc(Scopes, func(s struct{ Name, Text string }) bool { return s.Name == name })
}
