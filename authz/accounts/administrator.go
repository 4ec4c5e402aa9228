package accounts

import (
	"slices"

	"github.com/ingam/ingam/authz/apis"
)

// Administers reports whether a user holds the role for a scope of the administration: that
// of the same name, or the one that includes all.
func (u User) Administers(scope string) bool {
	return apis.IsAdministration(scope) && (slices.Contains(u.Roles, scope) || slices.Contains(u.Roles, apis.AdministrationAll))
}
