package apis

import "strings"

// administrationPrefix begins the name of each scope of the admin API, and of each role that
// makes an administrator. No other API has such scopes.
const administrationPrefix = "ingam:"

// AdministrationAll is the scope, and the role, that includes all others of the
// administration.
const AdministrationAll = administrationPrefix + "admin"

// IsAdministration reports whether a scope or a role is one of the administration.
func IsAdministration(name string) bool { return strings.HasPrefix(name, administrationPrefix) }
