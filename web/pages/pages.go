package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

//go:embed *.html style.css page.js
var files embed.FS

// seal is the picture by which browsers show whose page it is: 인, drawn in SVG.
//
//go:embed seal.svg
var seal []byte

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var templates = template.Must(template.ParseFS(files, "*.html"))

// Pages shows pages as those of a house.
type Pages struct {
	house House
	// base is the path of the issuer.
	base string
	// Style, Script and Icon are where what a page needs is, below base; so is Logo,
	// which is nil where the seal is shown.
	Style, Script, Icon string
	Logo                *shownLogo
	all                 []asset
}

// shownLogo is a logo as a page shows it.
type shownLogo struct {
	Path          string
	Width, Height int
}

// New returns the pages of a server at that path. What cannot be shown, such as a
// logo that is no picture or an accent that nobody can see, is an error that names
// the setting.
func New(base string, house House) (*Pages, error) {
	if err := house.check(); err != nil {
		return nil, err
	}
	style := string(must(files.ReadFile("style.css")))
	rules, err := house.accented(must(palettesOf(style)))
	if err != nil {
		return nil, err
	}
	p := &Pages{house: house, base: base}
	add := func(name string, body []byte, contentType string) asset {
		a := newAsset(name, body, contentType)
		p.all = append(p.all, a)
		return a
	}
	p.Style = add("style.css", []byte(style+rules), "text/css; charset=utf-8").Path
	p.Script = add("page.js", must(files.ReadFile("page.js")), "text/javascript; charset=utf-8").Path
	if house.LogoFile == "" {
		p.Icon = add("seal.svg", seal, "image/svg+xml").Path
		return p, nil
	}
	l, err := readLogo(house.LogoFile)
	if err != nil {
		return nil, fmt.Errorf("pages.logo_file: %w", err)
	}
	p.Icon = add("logo"+l.extension, l.body, l.contentType).Path
	p.Logo = &shownLogo{p.Icon, l.width, l.height}
	return p, nil
}

// Shown is who is shown a page, and where.
type Shown struct {
	Text
	RequestID string
	// Here is the path below the issuer's at which the same page is shown when it is
	// asked for; empty if there is none.
	Here string
}

// view is what a template sees.
type view struct {
	Shown
	House  House
	Assets *Pages
	Title  string
	Base   string
	Data   Content
}

// Write shows a page.
func (p *Pages) Write(w http.ResponseWriter, to Shown, status int, c Content) {
	var body bytes.Buffer
	f := c.form()
	title := to.T(f.title)
	if f.wrong {
		title = fmt.Sprintf(to.T("error title"), title)
	}
	err := templates.ExecuteTemplate(&body, f.template+".html", view{to, p.house, p, title + " · " + p.house.Name, p.base, c})
	if err != nil {
		panic(err) // recovered, logged and answered by web
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", to.Lang)
	// Without a referrer browsers call the origin of a form null, and it would be
	// refused as another site's.
	h.Set("Referrer-Policy", "same-origin")
	if f.private {
		h.Set("Referrer-Policy", "no-referrer")
	}
	// It shows who is signed in.
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policyOf(f))
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

// policyOf is the Content-Security-Policy of the pages of a template.
func policyOf(f form) string {
	policy := "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
	if !f.leads {
		// Elsewhere no list of addresses can be right. What it would guard against,
		// a form that somebody smuggled into the page, is kept out by the templates.
		policy += "; form-action 'self'"
	}
	return policy
}

// About reports whether the page of an account is about a matter.
func (v view) About(m Matter) bool {
	a, ok := v.Data.(Account)
	return ok && (a.Matter == EveryMatter || a.Matter == m)
}

// Heading and Advice are what the page of an error says.
func (v view) Heading() TextName { return v.Data.form().title }

// Advice says what to do.
func (v view) Advice() TextName { return v.Data.form().title + " text" }

// languages are those that pages are in; the first is the default.
var languages = [2]Text{{"en", english}, {"ko", korean}}

var matcher = language.NewMatcher([]language.Tag{language.Make(languages[0].Lang), language.Make(languages[1].Lang)})

// TextFor picks the language: what the person chose here, else what the client asks
// for in ui_locales, else what the browser accepts.
func TextFor(chosen, uiLocales, acceptLanguage string) Text {
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

// Text is the texts of one language.
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
func (t Text) T(name TextName) string {
	text, ok := t.texts[string(name)]
	if !ok {
		panic("there is no text " + string(name))
	}
	return text
}

// With returns a text with a name where it has one.
func (t Text) With(name TextName, what string) string {
	said := t.Around(name)
	return said.Before + what + said.After
}

// around is what stands before and after a name in a text. A page sets the name
// apart, so that one that is written from right to left does not turn the rest
// around.
type around struct{ Before, After string }

// Around returns the text around the name that it has.
func (t Text) Around(name TextName) around {
	before, after, ok := strings.Cut(t.T(name), "%s")
	if !ok {
		panic("there is no name in the text " + string(name))
	}
	return around{before, after}
}

// Counted returns a text with a number where it has one.
func (t Text) Counted(name TextName, n int) string { return fmt.Sprintf(t.T(name), n) }

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
