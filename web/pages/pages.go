package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"

	"github.com/ingam/ingam/web/pages/texts"
)

//go:embed *.html style.css page.js
var files embed.FS

// seal is the icon by which people recognize a page in the browser: 인, drawn in SVG.
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

// Pages writes pages in the style of a house.
type Pages struct {
	house House
	// base is the path of the issuer.
	base string
	// Style, Script and Icon are the paths of the assets of each page, below base. Logo
	// is nil if the seal is shown.
	Style, Script, Icon string
	Logo                *shownLogo
	all                 []asset
}

// shownLogo is a logo with its address and its size on a page.
type shownLogo struct {
	Path          string
	Width, Height int
}

// New returns the pages of a server whose issuer has the path base. If a setting cannot be
// shown, such as a logo that is not a picture or an accent that nobody can see, the error
// names the setting.
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

// Shown says for whom and for which request a page is shown.
type Shown struct {
	texts.Text
	RequestID string
	// Here is the path, below the issuer's, at which a GET shows the same page; empty
	// if there is none.
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

// Write writes a page as the response.
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
	// With no-referrer, browsers send "Origin: null" with a form. Most forms would then be
	// refused as those of another site.
	h.Set("Referrer-Policy", "same-origin")
	if f.private {
		h.Set("Referrer-Policy", "no-referrer")
	}
	// The page shows who is signed in, so nobody may cache it.
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policyOf(f))
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

// policyOf returns the Content-Security-Policy for the pages of a template.
func policyOf(f form) string {
	policy := "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
	if !f.leads {
		// The other pages have no form-action, because no list of addresses would
		// be complete. form-action would protect against a form that an attacker
		// has injected; the templates prevent that by escaping.
		policy += "; form-action 'self'"
	}
	return policy
}

// About reports whether the account page shows a part of the account.
func (v view) About(m Matter) bool {
	a, ok := v.Data.(Account)
	return ok && (a.Matter == EveryMatter || a.Matter == m)
}

// Heading returns the heading of a page that is its title.
func (v view) Heading() texts.Name { return v.Data.form().title }

// Advice returns the text under the heading, which tells people what to do.
func (v view) Advice() texts.Name { return v.Data.form().title + " text" }
