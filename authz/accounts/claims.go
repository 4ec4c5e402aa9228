package accounts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/field"
)

// Claims are claims about a user, by name. A value is kept as the JSON that was given: a
// number read into a float64 could change.
type Claims = map[string]json.RawMessage

// maxClaims bounds the claims of one user together, in bytes of JSON.
const maxClaims = 8 << 10

// ParseClaims reads claims from a JSON object. Returns ErrInvalid.
func ParseClaims(text []byte) (Claims, error) {
	var c Claims
	if err := json.Unmarshal(text, &c); err != nil || c == nil || !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: the claims are not a JSON object", ErrInvalid)
	}
	for name, value := range c {
		// Without spaces, as it is stored, so that two values that differ only in
		// spaces compare as equal.
		var b bytes.Buffer
		if err := json.Compact(&b, value); err != nil {
			return nil, fmt.Errorf("%w: the claims are not a JSON object", ErrInvalid)
		}
		c[name] = b.Bytes()
	}
	return c, nil
}

// WriteClaims writes claims as a JSON object, which ParseClaims reads.
func WriteClaims(c Claims) ([]byte, error) {
	if len(c) == 0 {
		return []byte("{}"), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // escaping would change the values
	err := e.Encode(c)
	return bytes.TrimSpace(b.Bytes()), err
}

// fromFields are the claims that are made from fields of User, and cannot be set.
var fromFields = []string{"email", "email_verified", "preferred_username", "roles"}

func validClaims(c Claims) error {
	for name := range c {
		if name == "" || apis.ReservedClaim(name) || apis.NamesClaim(fromFields, name) {
			return field.At(fmt.Errorf("%w: the claim %s cannot be set", ErrInvalid, name), "claims", name)
		}
	}
	if b, err := WriteClaims(c); err != nil || len(b) > maxClaims {
		return field.At(fmt.Errorf("%w: the claims have more than %d KiB", ErrInvalid, maxClaims>>10), "claims")
	}
	return nil
}

// Released returns the claims about the user that these scopes of the server's own let a
// client see, in one group for each scope. An ID token holds as many whole groups, in
// this order, as there is room for, since the claims of one scope are of use together;
// userinfo returns all groups.
func (u User) Released(own *apis.Own, scopes []string) []Claims {
	var groups []Claims
	told := map[string]bool{}
	tell := func(group Claims) {
		for name, value := range group {
			// A claim that was stored before its name was reserved is not shown; and
			// one that is null is left out (OpenID Connect Core 1.0 section 5.3.2).
			if told[name] || apis.ReservedClaim(name) || bytes.Equal(value, []byte("null")) {
				delete(group, name)
			}
			told[name] = true
		}
		if len(group) > 0 {
			groups = append(groups, group)
		}
	}
	fields := u.fields()
	for _, s := range own.All() {
		if !slices.Contains(scopes, s.Name) {
			continue
		}
		group := Claims{}
		for _, name := range s.Claims {
			if value, ok := fields[name]; ok {
				group[name] = value
			} else if value, ok := u.Claims[name]; ok && !slices.Contains(fromFields, name) {
				group[name] = value
			}
		}
		tell(group)
	}
	if slices.Contains(scopes, apis.Profile) {
		further := Claims{}
		for _, name := range u.Further(own) {
			further[name] = u.Claims[name]
		}
		tell(further)
	}
	return groups
}

// Further returns, in order, the names of those of the user's claims that no scope
// names. They are released with the scope profile.
func (u User) Further(own *apis.Own) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(u.Claims)), func(name string) bool {
		return !own.Further(name) || apis.ReservedClaim(name)
	})
}

// fields returns the claims that are made from the fields of a user.
func (u User) fields() Claims {
	c := Claims{"preferred_username": text(u.Username), "roles": text(append([]string{}, u.RolesForApps()...))}
	if u.Email != "" {
		c["email"] = text(u.Email)
		if u.EmailVerified != nil {
			c["email_verified"] = text(*u.EmailVerified)
		}
	}
	return c
}

// RolesForApps returns the roles that apps and APIs may know of: all but those of the
// administration. Who administers this server is the business of nobody else, and their
// tokens are what a thief would look for.
func (u User) RolesForApps() []string {
	return slices.DeleteFunc(slices.Clone(u.Roles), apis.IsAdministration)
}

func text(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a string, a list of them and a bool can be written
	}
	return b
}
