package apis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseScope splits a scope parameter (RFC 6749 section 3.3) into its tokens,
// keeping their order and dropping repetitions.
func ParseScope(s string) ([]string, error) {
	if len(s) > 4096 {
		return nil, errors.New("the scope is longer than 4096 characters")
	}
	var scopes []string
	for token := range strings.SplitSeq(s, " ") {
		if token == "" {
			continue
		}
		for _, r := range token {
			// scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
			if r <= ' ' || r > '~' || r == '"' || r == '\\' {
				return nil, fmt.Errorf("scope %q has a character that is not allowed (RFC 6749 section 3.3)", token)
			}
		}
		if !slices.Contains(scopes, token) {
			scopes = append(scopes, token)
		}
	}
	return scopes, nil
}

// ValidName says whether s can be shown to people as the name of something:
// not empty, not long, and without characters that are invisible or that turn
// the direction of the text around it (which would let one client pass for
// another on a consent page).
func ValidName(s string) error {
	if strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > 200 {
		return errors.New("a name has 1 to 200 characters")
	}
	if !utf8.ValidString(s) {
		return errors.New("the name is not UTF-8")
	}
	for _, r := range s {
		if r != ' ' && !unicode.IsGraphic(r) {
			return fmt.Errorf("the name %q holds the invisible character %U", s, r)
		}
	}
	return nil
}
