package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
)

// authorizations reads and answers authorization requests. They come in a URL, or
// inside a form of a page that carries one along.
type authorizations struct {
	endpoint *authorization.Endpoint
	// issuer is the URL of this server.
	issuer string
	screen screen
	// maxBody is the longest request body, in bytes.
	maxBody int64
}

// parse reads an authorization request that the authorization endpoint received.
func (a authorizations) parse(r *http.Request, query url.Values, fault error) (*authorization.Request, error) {
	recordOf(r).asked = query
	return a.endpoint.Parse(r.Context(), query, fault)
}

// asked reads an authorization request that a form carries.
func (a authorizations) asked(r *http.Request, text string) (*authorization.Request, error) {
	values, fault := parameters(text)
	return a.parse(r, values, fault)
}

// finish sends the person back to the client with an authorization code.
func (a authorizations) finish(w http.ResponseWriter, r *http.Request, req *authorization.Request, session sessions.Session) error {
	code, err := a.endpoint.IssueCode(r.Context(), req, session)
	if errors.Is(err, grants.ErrNotFound) {
		return endedMeanwhile{err, authorizeAt(req.Query)}
	}
	if err != nil {
		return err
	}
	a.answer(w, r, req, url.Values{"code": {code}})
	return nil
}

// answer sends the person back to the client with an authorization response. The
// response names the issuer (RFC 9207), so that a client of several servers can tell
// which one answers; otherwise it could be made to send a code to the wrong server
// (mix-up attack).
func (a authorizations) answer(w http.ResponseWriter, r *http.Request, req *authorization.Request, values url.Values) {
	values.Set("iss", a.issuer)
	if req.State != "" {
		values.Set("state", req.State)
	}
	if !req.FormPost {
		redirect(w, withQuery(req.RedirectURI, values))
		return
	}
	unkept(w.Header())
	a.screen.showPost(w, r, req.Locale, req.RedirectURI, values)
}

func (a authorizations) tooLong(query url.Values) bool {
	return len(a.screen.base+authorizeAt(query)) > longestAddress
}

// tooMuch reports whether a request is too long to be carried along in a form, where it
// is encoded twice. It is better to refuse it now and tell the client, than later,
// after the person has typed a password.
func (a authorizations) tooMuch(req *authorization.Request) bool {
	return int64(len(url.QueryEscape(authorizeAt(req.Onward())))) > a.maxBody*3/4
}

// goOn makes the browser send an authorization request to this server, from a page of
// this server: by its URL or, if that would be too long, by a form.
func (a authorizations) goOn(w http.ResponseWriter, r *http.Request, uiLocales string, query url.Values) {
	if a.tooLong(query) {
		a.screen.showPost(w, r, uiLocales, a.screen.base+PathAuthorize, once(query))
		return
	}
	a.screen.sendTo(w, authorizeAt(query))
}

// authorizeAt returns the path and query at which an authorization request continues.
func authorizeAt(query url.Values) string { return PathAuthorize + "?" + query.Encode() }
