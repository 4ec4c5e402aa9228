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

// Appoints reports whether a change gives a user a role of the administration. Links that were
// made before end with it: whoever made them may be somebody who could not make one for an
// administrator.
func (u User) Appoints(was User) bool {
	return slices.ContainsFunc(u.Roles, func(role string) bool {
		return apis.IsAdministration(role) && !slices.Contains(was.Roles, role)
	})
}
