package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/web/pages"
	"github.com/ingam/ingam/web/pages/texts"
)

func languageAt(here string) string {
	return pathLanguage + "?" + url.Values{"to": {"ko"}, "then": {here}}.Encode()
}

// languageLife is how long the choice of language is remembered.
const languageLife = 365 * 24 * time.Hour

// languagePage is where a person chooses the language of pages.
type languagePage struct {
	screen  screen
	cookies cookies
}

// get is GET /language. A link may change the language, because a stranger who sends
// somebody there gains nothing.
func (p languagePage) get(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	if to := query.Get("to"); texts.For(to, "", "").Lang != to {
		return turnedAway{protocol.Refuse(protocol.InvalidRequest, "There are no pages in this language."), pages.FaultOfLink}
	}
	// Go back only to pages of this server, and not to another server's on the same
	// host. Otherwise this would be an open redirector.
	then, err := url.Parse(query.Get("then"))
	if err != nil || then.Scheme != "" || then.Host != "" || then.Opaque != "" || !strings.HasPrefix(then.Path, "/") ||
		strings.HasPrefix(then.Path, "//") || strings.Contains(then.Path, `\`) || strings.Contains(then.Path+"/", "/../") {
		then = &url.URL{Path: "/"}
	}
	then.User, then.Fragment = nil, ""
	p.cookies.set(w, p.cookies.language, query.Get("to"), languageLife)
	p.screen.sendTo(w, then.String())
	return nil
}
