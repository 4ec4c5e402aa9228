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
	return allVisible("name", s)
}

// maxText is how long the text of a scope can be: it is a line among others on the
// consent page.
const maxText = 120

// validText says whether s can tell people what a scope allows, as the end of "the
// application would like to …": as a name, and not longer than a line or two.
func validText(s string) error {
	if n := utf8.RuneCountInString(s); n == 0 || n > maxText {
		return fmt.Errorf("a text has 1 to %d characters, this one %d", maxText, n)
	}
	if strings.TrimSpace(s) != s {
		return fmt.Errorf("the text %q begins or ends with a space", s)
	}
	return allVisible("text", s)
}

const brailleBlank = '\u2800'

// allVisible refuses what people would not see, or would see in another order.
func allVisible(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("the %s is not UTF-8", what)
	}
	for _, r := range s {
		// Some count as letters or signs that nobody sees, such as the fillers of Hangul:
		// consent would ask on behalf of nothing.
		blank := unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || r == brailleBlank
		if r != ' ' && !unicode.IsGraphic(r) || blank {
			return fmt.Errorf("the %s %q holds the invisible character %U", what, s, r)
		}
	}
	return nil
}
