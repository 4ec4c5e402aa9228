package web

import (
	"net/http"
	"net/url"

	"github.com/ingam/ingam/web/pages"
	"github.com/ingam/ingam/web/pages/texts"
)

// screen shows pages to people in their language.
type screen struct {
	pages *pages.Pages
	// language is the name of the cookie with the language that the person chose.
	language string
	// base is the issuer's path.
	base string
}

// place says where a page is shown, and in which language.
type place struct {
	// locale is the language that the client asks for (ui_locales).
	locale string
	// here is the path, below the issuer's, where GET shows the same page; empty if
	// there is none.
	here string
}

func (s screen) text(r *http.Request, uiLocales string) texts.Text {
	chosen := ""
	if c, err := r.Cookie(s.language); err == nil {
		chosen = c.Value
	}
	return texts.For(chosen, uiLocales, r.Header.Get("Accept-Language"))
}

func (s screen) show(w http.ResponseWriter, r *http.Request, at place, status int, content pages.Content) {
	if len(s.base+languageAt(at.here)) > longestAddress {
		at.here = ""
	}
	s.pages.Write(w, pages.Shown{Text: s.text(r, at.locale), RequestID: w.Header().Get(headerRequestID), Here: at.here}, status, content)
}

// showPost shows a form that the browser sends: by itself, if it runs scripts.
func (s screen) showPost(w http.ResponseWriter, r *http.Request, uiLocales, action string, values url.Values) {
	s.show(w, r, place{locale: uiLocales}, http.StatusOK, pages.Post{Action: action, Fields: values})
}

// sendTo redirects a browser to a path of this server.
func (s screen) sendTo(w http.ResponseWriter, path string) {
	redirect(w, s.base+path)
}

// longestAddress is the longest address, in bytes from its path on, to which this
// server redirects a browser. Proxies limit the whole request line; nginx, for example,
// to 8192 bytes.
const longestAddress = 8000
