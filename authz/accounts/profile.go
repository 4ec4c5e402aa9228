package accounts

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode"
)

// longestName is how many characters of a name are shown at most.
const longestName = 80

// Name returns the name by which pages address the user: the claim name, else the given
// and the family name, else the nickname, else the user name. It is one line of visible
// text, and cannot reverse the direction of the text beside it.
func (u User) Name() string {
	given, family := u.told("given_name"), u.told("family_name")
	for _, name := range []string{u.told("name"), fullName(given, family), u.told("nickname")} {
		if name != "" {
			return name
		}
	}
	return shown(u.Username)
}

// Picture returns the address of the user's picture on the web; empty if there is none.
// It may be on anybody's server, which learns who looks at the picture: whether to show
// it is for the caller to decide.
func (u User) Picture() string {
	address := u.text("picture")
	p, err := url.Parse(address)
	if err != nil || len(address) > 2000 || p.Scheme != "https" && p.Scheme != "http" || p.Hostname() == "" || p.User != nil {
		return ""
	}
	return address
}

// text returns the value of a claim that is a string; empty if it is none.
func (u User) text(claim string) string {
	var value *string
	if json.Unmarshal(u.Claims[claim], &value) != nil || value == nil {
		return ""
	}
	return *value
}

func (u User) told(claim string) string { return shown(u.text(claim)) }

// fullName puts a given and a family name together in the order and spacing that is
// usual for their script.
func fullName(given, family string) string {
	eastAsian := func(name string) bool {
		return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
			return !unicode.In(r, unicode.Hangul, unicode.Han, unicode.Hiragana, unicode.Katakana)
		})
	}
	if eastAsian(given) && eastAsian(family) {
		return shown(family + given)
	}
	return shown(given + " " + family)
}

// shown makes a text fit to be shown on a page as somebody's name: on one line, not too
// long, and without invisible characters, such as control characters and those that
// reverse the direction of the text around them. If nothing visible is left, it returns
// an empty text.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == zeroWidthJoiner, r == zeroWidthNonJoiner, unicode.Is(unicode.Variation_Selector, r):
			return r // some scripts, and emoji, need them
		case !unicode.IsGraphic(r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), r == brailleBlank, r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsPunct(r) || unicode.IsSymbol(r)
	}) {
		return ""
	}
	runes := []rune(text)
	if len(runes) <= longestName {
		return text
	}
	end := longestName - 1
	// Do not cut through what people see as one character.
	for end > longestName/2 && (unicode.IsMark(runes[end]) || runes[end-1] == zeroWidthJoiner || runes[end] == zeroWidthJoiner) {
		end--
	}
	return strings.TrimSpace(string(runes[:end])) + "…"
}

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	brailleBlank       = '\u2800'
)
