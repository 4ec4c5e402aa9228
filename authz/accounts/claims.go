package accounts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/ingam/ingam/authz/apis"
)

// Claims are claims about a user by their names. Their values stay as they were
// written: a number that went through a float64 would not be the same.
type Claims = map[string]json.RawMessage

// maxClaims is the most that the claims of a user come to, in bytes of JSON.
const maxClaims = 8 << 10

// ParseClaims reads a JSON object. Returns ErrInvalid.
func ParseClaims(text []byte) (Claims, error) {
	var c Claims
	if err := json.Unmarshal(text, &c); err != nil || c == nil || !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: the claims are not a JSON object", ErrInvalid)
	}
	for name, value := range c {
		// As it is stored: how it was spaced is no difference.
		var b bytes.Buffer
		if err := json.Compact(&b, value); err != nil {
			return nil, fmt.Errorf("%w: the claims are not a JSON object", ErrInvalid)
		}
		c[name] = b.Bytes()
	}
	return c, nil
}

// WriteClaims writes them as ParseClaims reads them.
func WriteClaims(c Claims) ([]byte, error) {
	if len(c) == 0 {
		return []byte("{}"), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // which would change what is in them
	err := e.Encode(c)
	return bytes.TrimSpace(b.Bytes()), err
}

// fromFields are the claims that come from fields of their own.
var fromFields = []string{"email", "email_verified", "preferred_username", "roles"}

func validClaims(c Claims) error {
	for name := range c {
		if name == "" || apis.ReservedClaim(name) || apis.NamesClaim(fromFields, name) {
			return fmt.Errorf("%w: the claim %s cannot be set", ErrInvalid, name)
		}
	}
	if b, err := WriteClaims(c); err != nil || len(b) > maxClaims {
		return fmt.Errorf("%w: the claims have more than %d KiB", ErrInvalid, maxClaims>>10)
	}
	return nil
}

// Released returns what the server's own scopes let a client know of a user, group
// by group: the claims of one scope are of use together. An ID token holds as many
// of the groups as find room, in this order; userinfo tells all.
func (u User) Released(own *apis.Own, scopes []string) []Claims {
	var groups []Claims
	told := map[string]bool{}
	tell := func(group Claims) {
		for name, value := range group {
			// What was stored before a name was reserved stays untold; and a claim
			// that is null is left out (OpenID Connect Core 1.0 section 5.3.2).
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

// Further returns the names of the user's claims that no scope names, in order.
// They go with profile.
func (u User) Further(own *apis.Own) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(u.Claims)), func(name string) bool {
		return !own.Further(name) || apis.ReservedClaim(name)
	})
}

// fields are the claims that come from fields of their own.
func (u User) fields() Claims {
	c := Claims{"preferred_username": text(u.Username), "roles": text(append([]string{}, u.Roles...))}
	if u.Email != "" {
		c["email"] = text(u.Email)
		if u.EmailVerified != nil {
			c["email_verified"] = text(*u.EmailVerified)
		}
	}
	return c
}

func text(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a string, a list of them and a bool can be written
	}
	return b
}
