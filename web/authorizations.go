package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
)

// authorizations reads authorization requests, which come in an address or in a page
// that carries one, and answers them.
type authorizations struct {
	endpoint *authorization.Endpoint
	// issuer is the URL of this server.
	issuer string
	screen screen
	// maxBody is the longest request body, in bytes.
	maxBody int64
}

// parse reads an authorization request that is to be answered now.
func (a authorizations) parse(r *http.Request, query url.Values, fault error) (*authorization.Request, error) {
	recordOf(r).asked = query
	return a.endpoint.Parse(r.Context(), query, fault)
}

// asked reads an authorization request that a page carries.
func (a authorizations) asked(r *http.Request, text string) (*authorization.Request, error) {
	values, fault := parameters(text)
	return a.parse(r, values, fault)
}

// finish sends the person back with a code.
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

// answer sends the person back to the client with an authorization response,
// which names the issuer (RFC 9207): a client of several servers can tell whose
// answer it is.
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

// tooMuch reports whether a request would leave too little room for the rest in a
// form that brings it back, encoded twice by then: that is better said to the
// client now than to a person who has typed a password.
func (a authorizations) tooMuch(req *authorization.Request) bool {
	return int64(len(url.QueryEscape(authorizeAt(req.Onward())))) > a.maxBody*3/4
}

// goOn has a browser send an authorization request from here: by its address or,
// where that is too long, by a form that it posts.
func (a authorizations) goOn(w http.ResponseWriter, r *http.Request, uiLocales string, query url.Values) {
	if a.tooLong(query) {
		a.screen.showPost(w, r, uiLocales, a.screen.base+PathAuthorize, once(query))
		return
	}
	a.screen.sendTo(w, authorizeAt(query))
}

// authorizeAt is where an authorization request goes on, at this server.
func authorizeAt(query url.Values) string { return PathAuthorize + "?" + query.Encode() }
