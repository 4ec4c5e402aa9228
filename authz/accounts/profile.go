package accounts

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode"
)

// longestName is how many characters of a name are shown.
const longestName = 80

// Name is what the user is called to their face: the claim name, else the given and
// the family name, else the nickname, else the user name. It is one line of text
// that can be seen, and cannot turn around what stands beside it.
func (u User) Name() string {
	given, family := u.told("given_name"), u.told("family_name")
	for _, name := range []string{u.told("name"), fullName(given, family), u.told("nickname")} {
		if name != "" {
			return name
		}
	}
	return shown(u.Username)
}

// Picture is the address of the user's picture on the web; empty if there is none.
// Whose server that is, and whether it may learn who looks, is for others to say.
func (u User) Picture() string {
	address := u.text("picture")
	p, err := url.Parse(address)
	if err != nil || len(address) > 2000 || p.Scheme != "https" && p.Scheme != "http" || p.Hostname() == "" || p.User != nil {
		return ""
	}
	return address
}

// text is a claim of the user's that is a string.
func (u User) text(claim string) string {
	var value *string
	if json.Unmarshal(u.Claims[claim], &value) != nil || value == nil {
		return ""
	}
	return *value
}

func (u User) told(claim string) string { return shown(u.text(claim)) }

// fullName puts the two together as people with such names do.
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

// shown makes a text fit to stand on a page as somebody's name: on one line, without
// what is not seen (control characters, and those that turn the direction of the
// text around them), and not too long. What has nothing to see is empty.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == zeroWidthJoiner, r == zeroWidthNonJoiner, unicode.Is(unicode.Variation_Selector, r):
			return r // which some scripts, and emoji, are written with
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
	// Not through the middle of what is seen as one character.
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
