// Package texts contains the words of the pages in each of their languages.
package texts

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// Name is the name of a text. It is the same in every language.
type Name string

// languages are the languages of the pages; the first one is the default.
var languages = [2]Text{{"en", english}, {"ko", korean}}

var matcher = language.NewMatcher([]language.Tag{language.Make(languages[0].Lang), language.Make(languages[1].Lang)})

// For picks the language. It prefers what the person chose here, then what the client asks
// for in ui_locales, then what the browser accepts.
func For(chosen, uiLocales, acceptLanguage string) Text {
	var wanted []language.Tag
	for locale := range strings.FieldsSeq(chosen + " " + uiLocales) {
		if tag, err := language.Parse(locale); err == nil {
			wanted = append(wanted, tag)
		}
	}
	accepted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err == nil {
		wanted = append(wanted, accepted...)
	}
	_, i, _ := matcher.Match(wanted...)
	return languages[i]
}

// Text has all texts in one language.
type Text struct {
	// Lang is the tag of the language (BCP 47).
	Lang  string
	texts map[string]string
}

// Other returns the texts in the other language.
func (t Text) Other() Text {
	if t.Lang == languages[0].Lang {
		return languages[1]
	}
	return languages[0]
}

// Of returns the text in this language, else the one in the default language; empty if
// there is neither.
func (t Text) Of(byLanguage map[string]string) string {
	if text := byLanguage[t.Lang]; text != "" {
		return text
	}
	return byLanguage[languages[0].Lang]
}

// T returns the text with that name.
func (t Text) T(name Name) string {
	text, ok := t.texts[string(name)]
	if !ok {
		panic("there is no text " + string(name))
	}
	return text
}

// With returns a text with what in the place of its %s.
func (t Text) With(name Name, what string) string {
	said := t.Around(name)
	return said.Before + what + said.After
}

// around has the parts of a text before and after a name. The page marks up the name by
// itself, so that a name in a right-to-left script does not reorder the rest.
type around struct{ Before, After string }

// Around returns the parts of a text before and after its %s.
func (t Text) Around(name Name) around {
	before, after, ok := strings.Cut(t.T(name), "%s")
	if !ok {
		panic("there is no name in the text " + string(name))
	}
	return around{before, after}
}

// Counted returns a text with n in the place of its %d.
func (t Text) Counted(name Name, n int) string { return fmt.Sprintf(t.T(name), n) }

// Wait returns a text that says how long to wait. It rounds up.
func (t Text) Wait(d time.Duration) string {
	switch seconds := int(math.Ceil(d.Seconds())); {
	case seconds < 60:
		return t.Counted("wait seconds", max(seconds, 2))
	case seconds == 60:
		return t.T("wait minute")
	default:
		return t.Counted("wait minutes", (seconds+59)/60)
	}
}

// Span returns a text that says how long something is, in the largest unit in which it is a
// whole number.
func (t Text) Span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day && d%day == 0:
		return t.Counted("days", int(d/day))
	case d >= 2*time.Hour && d%time.Hour == 0:
		return t.Counted("hours", int(d/time.Hour))
	}
	return t.Counted("minutes", int(math.Ceil(d.Minutes())))
}

// Sentence returns a text with an upper-case first letter.
func (t Text) Sentence(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// Month returns the month and the year of a time.
func (t Text) Month(at time.Time) string {
	if t.Lang == "ko" {
		return at.UTC().Format("2006년 1월")
	}
	return at.UTC().Format("January 2006")
}

// moment is a time, for a program and for a person.
type moment struct{ ISO, Text string }

// Moment returns a time as a page shows it where no script runs.
func (t Text) Moment(at time.Time) moment {
	at = at.UTC()
	layout := "2 January 2006 15:04 UTC"
	if t.Lang == "ko" {
		layout = "2006년 1월 2일 15:04 UTC"
	}
	return moment{at.Format(time.RFC3339), at.Format(layout)}
}
