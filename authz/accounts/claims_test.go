package accounts

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/apis"
)

func TestEachScopeReleasesItsClaimsAndProfileTheRest(t *testing.T) {
	t.Parallel()
	own, err := apis.NewOwn(
		apis.OwnScope{Name: "department", Claims: []string{"department", "cost_center"}},
		apis.OwnScope{Name: "badge", Claims: []string{"badge"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := ParseClaims([]byte(`{
		"name": "Kim Minji", "birthdate": "1990-01-01", "updated_at": 1.0e3, "locale": null,
		"phone_number": "+82 2 123", "phone_number_verified": true, "address": {"formatted": "Seoul", "x": 0.10},
		"department": "R&D", "employee": 9007199254740993, "desk": [1.0, {"b": 1, "a": 2}],
		"nonce": "stored before it was reserved", "email": "stored@before", "Sub": "x"
	}`))
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	user := User{ID: "u", Username: "minji", Email: "minji@test.example", Roles: []string{"admin", apis.AdministrationAll, "ops", "ingam:users:read"}, Claims: claims}
	for _, c := range []struct {
		scopes   string
		verified *bool
		want     string
	}{
		{"openid", nil, ``},
		{"openid offline_access", nil, ``},
		{"openid read", nil, ``},
		{"openid email", nil, `{"email":"minji@test.example"}`},
		{"openid email", &yes, `{"email":"minji@test.example","email_verified":true}`},
		{"openid email", &no, `{"email":"minji@test.example","email_verified":false}`},
		{"openid phone", nil, `{"phone_number":"+82 2 123","phone_number_verified":true}`},
		{"openid address", nil, `{"address":{"formatted":"Seoul","x":0.10}}`},
		{"openid roles", nil, `{"roles":["admin","ops"]}`},
		{"openid department", nil, `{"department":"R&D"}`},
		{"openid badge", nil, ``},
		{"openid profile", nil, `{"birthdate":"1990-01-01","name":"Kim Minji","preferred_username":"minji","updated_at":1.0e3} {"desk":[1.0,{"b":1,"a":2}],"employee":9007199254740993}`},
		{"roles email openid department", nil, `{"email":"minji@test.example"} {"roles":["admin","ops"]} {"department":"R&D"}`},
	} {
		user.EmailVerified = c.verified
		var got []string
		for _, group := range user.Released(own, strings.Fields(c.scopes)) {
			// Not with json.Marshal: the values must be exactly as they were
			// stored.
			var members []string
			for _, name := range slices.Sorted(maps.Keys(group)) {
				members = append(members, `"`+name+`":`+string(group[name]))
			}
			got = append(got, "{"+strings.Join(members, ",")+"}")
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.scopes, diff)
		}
	}
	if got := strings.Join(user.Further(own), " "); got != "desk employee" {
		t.Errorf("no scope names %s", got)
	}
	// This user has no claims, no address and no roles.
	bare := User{ID: "u", Username: "junho"}
	if diff := cmp.Diff([]Claims{{"preferred_username": json.RawMessage(`"junho"`)}, {"roles": json.RawMessage(`[]`)}}, bare.Released(own, own.Names())); diff != "" {
		t.Error(diff)
	}
}

func TestClaimsAreStoredAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`: `{}`, ` { "b" : 1.0 , "a" : [ 9007199254740993 , 1e400, "R&D <b> \u00e9" ] } `: `{"a":[9007199254740993,1e400,"R&D <b> \u00e9"],"b":1.0}`,
		`{"x": {"z": 1, "y": 0.10}}`: `{"x":{"z":1,"y":0.10}}`,
	} {
		c, err := ParseClaims([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		written, err := WriteClaims(c)
		if err != nil || string(written) != want {
			t.Errorf("%s was written %s: %v", text, written, err)
		}
		again, err := ParseClaims(written)
		if diff := cmp.Diff(c, again); err != nil || diff != "" {
			t.Errorf("%s is another when it is read again: %v %s", text, err, diff)
		}
	}
}

func TestClaimsThatCannotBeSet(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `[]`, `"x"`, `null`, `{`, `{"a":1}x`, "{\"a\":\"\xff\"}"} {
		if c, err := ParseClaims([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q was taken as %v: %v", text, c, err)
		}
	}
	for _, name := range []string{"sub", "iss", "client_id", "jti", "roles", "email", "email_verified", "preferred_username", "nonce", "at_hash", "Sub", "ſub", "EMAIL", ""} {
		u := User{Claims: Claims{name: json.RawMessage(`1`)}}
		if err := u.validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("the claim %q: %v", name, err)
		}
	}
	for _, name := range []string{"name", "phone_number", "address", "groups", "sub2", "제목"} {
		u := User{Claims: Claims{name: json.RawMessage(`1`)}}
		if err := u.validate(); err != nil {
			t.Errorf("the claim %q: %v", name, err)
		}
	}
	long := User{Claims: Claims{"x": json.RawMessage(`"` + strings.Repeat("x", 8<<10) + `"`)}}
	if err := long.validate(); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}
