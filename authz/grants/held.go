package grants

import (
	"context"
	"errors"
	"slices"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
)

// Users finds a user by id; *accounts.Users does.
type Users interface {
	ByID(ctx context.Context, id string) (accounts.User, error)
}

// Held removes what a user may give to no client: the scopes of the administration that
// they hold no role for. Of somebody who gives the scope that includes all others of them,
// these others are not asked for. If nothing is left, the request is refused.
func (c *Rules) Held(ctx context.Context, userID string, permissions []permission.Permission) ([]permission.Permission, error) {
	administers := func(p permission.Permission) bool { return apis.IsAdministration(p.Scope) }
	if c.Users == nil || !slices.ContainsFunc(permissions, administers) {
		return permissions, nil
	}
	user, err := c.Users.ByID(ctx, userID)
	if err != nil && !errors.Is(err, accounts.ErrNotFound) {
		return nil, err
	}
	held := slices.DeleteFunc(slices.Clone(permissions), func(p permission.Permission) bool {
		return administers(p) && (err != nil || !user.Administers(p.Scope))
	})
	if !slices.ContainsFunc(held, administers) && !slices.ContainsFunc(held, func(p permission.Permission) bool { return p.Audience != "" }) {
		return nil, protocol.Refuse(protocol.InvalidGrant, "The user is no administrator of what is asked for.")
	}
	return slices.DeleteFunc(slices.Clone(held), func(p permission.Permission) bool {
		all := permission.Permission{Audience: p.Audience, Scope: apis.AdministrationAll}
		return administers(p) && p != all && slices.Contains(held, all)
	}), nil
}
