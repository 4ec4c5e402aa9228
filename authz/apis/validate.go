package apis

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Validate refuses what an API cannot be, whatever the bounds of this server: those
// package catalog checks. Returns ErrInvalid, which says where (field.Located).
func (a API) Validate() error {
	if err := validAudience(a.Audience); err != nil {
		return Invalid(err, "audience")
	}
	if err := ValidName(a.Name); err != nil {
		return Invalid(err, "name")
	}
	if a.TokenType != "" && a.TokenType != ATJWT && a.TokenType != PlainJWT {
		return Invalid(fmt.Errorf("unknown type of access tokens %q; there are %s and %s", a.TokenType, ATJWT, PlainJWT), "token_typ")
	}
	if err := a.Signing.ValidateForAPI(); err != nil {
		return Invalid(err, "signing_alg")
	}
	if err := a.validScopes(); err != nil {
		return Invalid(err)
	}
	if err := a.validAdministration(); err != nil {
		return Invalid(err)
	}
	return nil
}

// Invalid returns an ErrInvalid about the member at that path.
func Invalid(err error, path ...any) error {
	return at(fmt.Errorf("%w: %w", ErrInvalid, err), path...)
}

// at returns an error that says where it is.
func at(err error, path ...any) error { return &located{err, path} }

// located implements field.Located.
type located struct {
	error
	path []any
}

func (l *located) Unwrap() error { return l.error }
func (l *located) Where() []any  { return l.path }

func (a API) validScopes() error {
	if len(a.Scopes) == 0 {
		return at(errors.New("an API offers at least one scope"), "scopes")
	}
	for i, scope := range a.Scopes {
		list, err := ParseScope(scope)
		switch {
		case err != nil:
		case !slices.Equal(list, []string{scope}):
			err = fmt.Errorf("%q is not one scope", scope)
		case slices.Contains(a.Scopes[:i], scope):
			err = fmt.Errorf("the scope %s is given twice", scope)
		}
		if err != nil {
			return at(err, "scopes", i)
		}
	}
	for _, scope := range slices.Sorted(maps.Keys(a.ScopeTexts)) {
		if !slices.Contains(a.Scopes, scope) {
			return at(fmt.Errorf("there is a text for %q, which is no scope of the API", scope), "scope_texts", scope)
		}
		if err := validTexts(scope, a.ScopeTexts[scope]); err != nil {
			return at(err, "scope_texts", scope)
		}
	}
	return nil
}

func validAudience(s string) error {
	if s == "" || len(s) > 255 {
		return errors.New("an audience has 1 to 255 characters")
	}
	for _, r := range s {
		if r <= ' ' || r > '~' || r == '"' || r == '\\' {
			return fmt.Errorf("the audience %q may hold only visible ASCII characters without quotes and backslashes", s)
		}
	}
	if strings.Contains(s, "#") {
		return fmt.Errorf("the audience %q has a fragment; a resource indicator has none (RFC 8707 section 2)", s)
	}
	return nil
}
