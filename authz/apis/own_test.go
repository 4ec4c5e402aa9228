package apis

import (
	"strings"
	"testing"
)

func TestScopesOfAServersOwnChangeNothingThatIsThere(t *testing.T) {
	t.Parallel()
	good := OwnScope{Name: "department", Claims: []string{"department", "cost_center"}, Texts: map[string]string{"en": "see your department"}}
	own, err := NewOwn(good, OwnScope{Name: "groups", Claims: []string{"groups"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(own.Names(), " "); got != "openid email profile roles phone address offline_access department groups" {
		t.Error(got)
	}
	if s, ok := own.Find("department"); !ok || !s.Further || own.Further("cost_center") || !own.Further("badge") || own.Further("name") {
		t.Errorf("%+v", s)
	}
	for why, s := range map[string]OwnScope{
		"is there already":                {Name: "department", Claims: []string{"x"}},
		"profile is there already":        {Name: "profile", Claims: []string{"x"}},
		"roles is there already":          {Name: "roles", Claims: []string{"x"}},
		"is not one word":                 {Name: "two words", Claims: []string{"x"}},
		`"" is not one word`:              {Claims: []string{"x"}},
		"carries no claim":                {Name: "s"},
		"twice":                           {Name: "s", Claims: []string{"x", "x"}},
		"is no name":                      {Name: "s", Claims: []string{" x"}},
		"birthdate is of the scope prof":  {Name: "s", Claims: []string{"birthdate"}},
		"email is of the scope email":     {Name: "s", Claims: []string{"email"}},
		"roles is of the scope roles":     {Name: "s", Claims: []string{"roles"}},
		"cost_center is of the scope de":  {Name: "s", Claims: []string{"cost_center"}},
		"nonce says something of the to":  {Name: "s", Claims: []string{"nonce"}},
		"Sub says something of the toke":  {Name: "s", Claims: []string{"Sub"}},
		"this one 121":                    {Name: "s", Claims: []string{"x"}, Texts: map[string]string{"en": strings.Repeat("가", 121)}},
		"(ko): the text \"a \" begins or": {Name: "s", Claims: []string{"x"}, Texts: map[string]string{"en": "a", "ko": "a "}},
		"invisible character U+000A":      {Name: "s", Claims: []string{"x"}, Texts: map[string]string{"en": "a\nb"}},
		"invisible character U+202E":      {Name: "s", Claims: []string{"x"}, Texts: map[string]string{"en": "see \u202e this"}},
	} {
		if _, err := NewOwn(good, s); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%+v: %v, not %q", s, err, why)
		}
	}
	// An API keeps the scopes that it offered earlier, except those that have always
	// been the server's.
	a := API{Scopes: []string{"read", "phone", "openid", "groups"}}
	if got := strings.Join(own.Kept(a), " "); got != "phone groups" {
		t.Errorf("it keeps %s", got)
	}
	if err := own.CheckNew([]string{"read", "phone"}, a.Scopes); err != nil {
		t.Error(err)
	}
	if err := own.CheckNew([]string{"read", "address"}, a.Scopes); err == nil {
		t.Error("an API may offer address from now on")
	}
}
