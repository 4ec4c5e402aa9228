package administration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/field"
)

// ErrAnotherUser: a file made another user of that name an administrator. Whoever may create
// and rename users could otherwise have the name of one who is gone, and wait.
var ErrAnotherUser = errors.New("this is not the user of that name who was made an administrator before: give this one a role by hand, if they are to have it")

// administrator gives a user the roles of the administration that a file says, and takes
// away other ones of it. What else is known about the user is none of a file.
func (a applying) administrator(ctx context.Context, d DesiredAdministrator) error {
	u, err := a.users.users.ByName(ctx, d.Username)
	if err != nil {
		return err
	}
	if err := d.validRoles(u); err != nil {
		return err
	}
	was, is := administrative(u.Roles), slices.Clone(d.Roles)
	if sorted(was) == sorted(is) {
		return nil
	}
	if len(was) == 0 && a.marks.another(KindAdministrator, u.Username, u.CreatedAt) {
		return ErrAnotherUser
	}
	if err := a.appoint(ctx, u, is); err != nil {
		return err
	}
	step := Step{
		Kind: KindAdministrator, ID: u.Username, Action: StepChange, before: u.Version(), Drift: a.userDrifted(u),
		Changes: []Difference{{"roles", rolesText(was), rolesText(is)}},
	}
	return a.step(ctx, step, Mark{Version: rolesVersion(is), CreatedAt: u.CreatedAt})
}

// validRoles refuses roles that are none of the administration, which files do not give.
func (d DesiredAdministrator) validRoles(u accounts.User) error {
	for i, role := range d.Roles {
		switch {
		case slices.Contains(d.Roles[:i], role):
			return field.At(fmt.Errorf("%w: the role %s is given twice", accounts.ErrInvalid, role), "roles", i)
		case !isRole(role) && !(IsScope(role) && slices.Contains(u.Roles, role)):
			return field.At(noRole(role), "roles", i)
		}
	}
	return nil
}

// appoint replaces the roles of the administration that a user holds.
func (a applying) appoint(ctx context.Context, u accounts.User, roles []string) error {
	others := slices.DeleteFunc(slices.Clone(u.Roles), IsScope)
	all := slices.Concat(others, roles)
	_, _, _, err := a.users.Update(ctx, a.by, u.ID, Any, UserSettings{Roles: &all}, a.reason)
	return err
}

// pruneAdministrators takes the roles of the administration from those whom a file once made
// administrators, and who are in none any more.
func (a applying) pruneAdministrators(ctx context.Context, d Desired) error {
	for key, mark := range a.marks {
		if key[0] != KindAdministrator || slices.ContainsFunc(d.Administrators, func(wanted DesiredAdministrator) bool { return sameName(wanted.Username, key[1]) }) {
			continue
		}
		u, err := a.users.users.ByName(ctx, key[1])
		if err != nil && !errors.Is(err, accounts.ErrNotFound) {
			return err
		}
		if err != nil || u.CreatedAt.UnixMilli() != mark.CreatedAt.UnixMilli() || len(administrative(u.Roles)) == 0 {
			continue // deleted, another one, or nothing is left to take away
		}
		if err := a.appoint(ctx, u, nil); err != nil {
			return named("user "+u.Username, err)
		}
		step := Step{
			Kind: KindAdministrator, ID: u.Username, Action: StepDelete, before: u.Version(), Drift: a.userDrifted(u),
			Changes: []Difference{{"roles", rolesText(administrative(u.Roles)), rolesText(nil)}},
		}
		if err := a.step(ctx, step, Mark{}); err != nil {
			return err
		}
	}
	return nil
}

func (a applying) userDrifted(u accounts.User) bool {
	return a.marks.drifted(KindAdministrator, u.Username, u.CreatedAt, rolesVersion(administrative(u.Roles)))
}

// administrative returns the roles of the administration among roles.
func administrative(roles []string) []string {
	return slices.DeleteFunc(slices.Clone(roles), func(role string) bool { return !IsScope(role) })
}

func sorted(roles []string) string {
	return strings.Join(slices.Sorted(slices.Values(roles)), " ")
}

// rolesText is a list of roles as it is written in JSON.
func rolesText(roles []string) json.RawMessage {
	b, _ := json.Marshal(append([]string{}, slices.Sorted(slices.Values(roles))...)) // texts can be written
	return b
}

func rolesVersion(roles []string) string {
	return changes.Version(map[string]string{"roles": sorted(roles)})
}
