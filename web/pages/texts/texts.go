// Package texts is what the pages say to people, in each of their languages.
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

// Name names a text, in whatever language it is shown.
type Name string

// languages are those that pages are in; the first is the default.
var languages = [2]Text{{"en", english}, {"ko", korean}}

var matcher = language.NewMatcher([]language.Tag{language.Make(languages[0].Lang), language.Make(languages[1].Lang)})

// For picks the language: what the person chose here, else what the client asks
// for in ui_locales, else what the browser accepts.
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

// Text is the texts in one language.
type Text struct {
	// Lang is its tag (BCP 47).
	Lang  string
	texts map[string]string
}

// Other is the texts of the other language.
func (t Text) Other() Text {
	if t.Lang == languages[0].Lang {
		return languages[1]
	}
	return languages[0]
}

// Of returns, of a text in several languages, the one in this, else that in the
// default; empty if there is neither.
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

// With returns a text with a name where it has one.
func (t Text) With(name Name, what string) string {
	said := t.Around(name)
	return said.Before + what + said.After
}

// around is what stands before and after a name in a text. A page sets the name
// apart, so that one that is written from right to left does not turn the rest
// around.
type around struct{ Before, After string }

// Around returns the text around the name that it has.
func (t Text) Around(name Name) around {
	before, after, ok := strings.Cut(t.T(name), "%s")
	if !ok {
		panic("there is no name in the text " + string(name))
	}
	return around{before, after}
}

// Counted returns a text with a number where it has one.
func (t Text) Counted(name Name, n int) string { return fmt.Sprintf(t.T(name), n) }

// Wait says for how long to wait: rather too long than too short.
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

// Span says how long something is, in the largest unit that says it exactly.
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

// Sentence returns a text as it begins a line.
func (t Text) Sentence(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// Month says in which month a time is.
func (t Text) Month(at time.Time) string {
	if t.Lang == "ko" {
		return at.UTC().Format("2006년 1월")
	}
	return at.UTC().Format("January 2006")
}

// moment is a time, for a program and for a person.
type moment struct{ ISO, Text string }

// Moment returns a time as a page shows it to whoever runs no scripts.
func (t Text) Moment(at time.Time) moment {
	at = at.UTC()
	layout := "2 January 2006 15:04 UTC"
	if t.Lang == "ko" {
		layout = "2006년 1월 2일 15:04 UTC"
	}
	return moment{at.Format(time.RFC3339), at.Format(layout)}
}
