package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"

	"golang.org/x/text/language"
)

//go:embed *.html style.css
var files embed.FS

// Seal is the picture by which browsers show whose page it is: 인, drawn in SVG.
//
//go:embed seal.svg
var Seal []byte

// style is in each page, so that a page is one request and works from a cache.
var style = must(files.ReadFile("style.css"))

// submit lets a page that only passes something on do so by itself; without
// scripts there is a button. A form that an application's page sends with a button
// named submit brings a field of that name along, and that is what forms[0].submit
// is then.
const submit = "HTMLFormElement.prototype.submit.call(document.forms[0])"

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(style) },
	"submit": func() template.JS { return submit },
	"seal":   func() template.HTML { return template.HTML(Seal) },
}).ParseFS(files, "*.html"))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

var (
	styleSource  = hashSource(string(style))
	submitSource = hashSource(submit)
)

// view is what a template sees.
type view struct {
	Text
	Title     string
	Base      string
	RequestID string
	Data      Content
}

// Write shows a page in the language that the person prefers. base is the path
// of the issuer.
func Write(w http.ResponseWriter, text Text, base, requestID string, status int, c Content) {
	var body bytes.Buffer
	f := c.form()
	err := templates.ExecuteTemplate(&body, f.template+".html", view{text, text.T(f.title), base, requestID, c})
	if err != nil {
		panic(err) // recovered, logged and answered by web
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", text.Lang)
	// Without a referrer browsers call the origin of a form null, and it would be
	// refused as another site's.
	h.Set("Referrer-Policy", "same-origin")
	// It shows who is signed in.
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policyOf(f))
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

// policyOf is the Content-Security-Policy of the pages of a template.
func policyOf(f form) string {
	policy := "default-src 'none'; style-src " + styleSource + "; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
	if f.script {
		policy += "; script-src " + submitSource
	}
	if !f.leads {
		// Elsewhere no list of addresses can be right. What it would guard against,
		// a form that somebody smuggled into the page, is kept out by the templates.
		policy += "; form-action 'self'"
	}
	return policy
}

// languages are those that pages are in; the first is the default.
var languages = []language.Tag{language.English, language.Korean}

var matcher = language.NewMatcher(languages)

// TextFor picks the language: what the client asks for in ui_locales, else what
// the browser accepts.
func TextFor(uiLocales, acceptLanguage string) Text {
	var wanted []language.Tag
	for locale := range strings.FieldsSeq(uiLocales) {
		if tag, err := language.Parse(locale); err == nil {
			wanted = append(wanted, tag)
		}
	}
	accepted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err == nil {
		wanted = append(wanted, accepted...)
	}
	_, i, _ := matcher.Match(wanted...)
	if i == 1 {
		return Text{"ko", korean}
	}
	return Text{"en", english}
}

// Text is the texts of one language.
type Text struct {
	// Lang is its tag (BCP 47).
	Lang  string
	texts map[string]string
}

// Of returns, of a text in several languages, the one in this, else that in the
// default; empty if there is neither.
func (t Text) Of(byLanguage map[string]string) string {
	if text := byLanguage[t.Lang]; text != "" {
		return text
	}
	return byLanguage[languages[0].String()]
}

// T returns the text with that name.
func (t Text) T(name TextName) string {
	text, ok := t.texts[string(name)]
	if !ok {
		panic("there is no text " + string(name))
	}
	return text
}
