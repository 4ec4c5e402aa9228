package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangedSaysWhatItIsNowAndWhatItWas(t *testing.T) {
	t.Parallel()
	was := map[string]string{"name": "Shop", "scope": "a b", "roles": ""}
	for _, c := range []struct {
		is   map[string]string
		also []string
		want map[string]string
	}{
		{is: map[string]string{"name": "Shop", "scope": "a b", "roles": ""}},
		{is: map[string]string{"name": "Shop", "scope": "b a", "roles": ""}, want: map[string]string{"changed": "scope", "scope": "b a", "former_scope": "a b"}},
		{is: map[string]string{"name": "", "scope": "a b", "roles": "x"}, want: map[string]string{"changed": "name roles", "name": "", "former_name": "Shop", "roles": "x", "former_roles": ""}},
		{is: was, also: []string{"email"}, want: map[string]string{"changed": "email"}},
		{is: map[string]string{"name": "N", "scope": "a b", "roles": ""}, also: []string{"email", "claims"}, want: map[string]string{"changed": "claims email name", "name": "N", "former_name": "Shop"}},
	} {
		if d := cmp.Diff(c.want, Changed(was, c.is, c.also...)); d != "" {
			t.Errorf("%v, %v: %s", c.is, c.also, d)
		}
	}
}
