package apis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Validate refuses what an API cannot be, whatever the bounds of this server: those
// package catalog checks. Returns ErrInvalid.
func (a API) Validate() error {
	if err := validAudience(a.Audience); err != nil {
		return err
	}
	if err := ValidName(a.Name); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if a.TokenType != "" && a.TokenType != ATJWT && a.TokenType != PlainJWT {
		return fmt.Errorf("%w: unknown type of access tokens %q; there are %s and %s", ErrInvalid, a.TokenType, ATJWT, PlainJWT)
	}
	if err := a.Signing.ValidateForAPI(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(a.Scopes) == 0 {
		return fmt.Errorf("%w: an API offers at least one scope", ErrInvalid)
	}
	for _, scope := range slices.Sorted(maps.Keys(a.ScopeTexts)) {
		if !slices.Contains(a.Scopes, scope) {
			return fmt.Errorf("%w: there is a text for %q, which is no scope of the API", ErrInvalid, scope)
		}
		if err := validTexts(scope, a.ScopeTexts[scope]); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

func validAudience(s string) error {
	if s == "" || len(s) > 255 {
		return fmt.Errorf("%w: an audience has 1 to 255 characters", ErrInvalid)
	}
	for _, r := range s {
		if r <= ' ' || r > '~' || r == '"' || r == '\\' {
			return fmt.Errorf("%w: the audience %q may hold only visible ASCII characters without quotes and backslashes", ErrInvalid, s)
		}
	}
	if strings.Contains(s, "#") {
		return fmt.Errorf("%w: the audience %q has a fragment; a resource indicator has none (RFC 8707 section 2)", ErrInvalid, s)
	}
	return nil
}
