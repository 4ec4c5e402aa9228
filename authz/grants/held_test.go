package grants

import (
	"context"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/permission"
)

type usersByID map[string]accounts.User

func (u usersByID) ByID(_ context.Context, id string) (accounts.User, error) {
	if user, ok := u[id]; ok {
		return user, nil
	}
	return accounts.User{}, accounts.ErrNotFound
}

// TestAUserGivesWhatTheyHold: nobody gives a scope of the administration that they hold no
// role for, and whoever gives all of them is not asked for each one.
func TestAUserGivesWhatTheyHold(t *testing.T) {
	t.Parallel()
	const asked = "openid|api read|admin ingam:clients:read|admin ingam:admin|admin ingam:keys:read"
	rules := &Rules{Users: usersByID{
		"all":    {Roles: []string{"ingam:admin"}},
		"reader": {Roles: []string{"ingam:clients:read", "reader"}},
		"nobody": {Roles: []string{"ingam"}},
	}}
	for _, c := range []struct{ user, asked, want string }{
		{"all", asked, "openid|api read|admin ingam:admin"},
		{"all", "admin ingam:clients:read|admin ingam:keys:read", "admin ingam:clients:read|admin ingam:keys:read"},
		{"reader", asked, "openid|api read|admin ingam:clients:read"},
		{"nobody", asked, "openid|api read"},
		{"gone", asked, "openid|api read"},
		{"nobody", "openid|api read", "openid|api read"},
		{"nobody", "openid|admin ingam:admin", "refused"},
		{"gone", "admin ingam:admin", "refused"},
	} {
		before := permission.ParseAll(strings.Split(c.asked, "|"))
		held, err := rules.Held(t.Context(), c.user, before)
		got := strings.Join(permission.Texts(held), "|")
		if err != nil {
			got = "refused"
		}
		if got != c.want || strings.Join(permission.Texts(before), "|") != c.asked {
			t.Errorf("%s, asked for %s: %s, %v", c.user, c.asked, got, err)
		}
	}
}
