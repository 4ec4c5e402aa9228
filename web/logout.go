package web

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/web/pages"
)

// logoutPage is where people sign out.
type logoutPage struct {
	requests *authz.EndSession
	browsers browsers
	screen   screen
	guard    guard
}

// get is GET /logout (OpenID Connect RP-Initiated Logout 1.0 section 2). It asks the
// person first, because any site can send a browser here.
func (p logoutPage) get(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r.URL.RawQuery)
	if err != nil {
		return err
	}
	req, err := p.requests.Parse(r.Context(), query)
	if err != nil {
		return err
	}
	session, user, err := p.browsers.session(r)
	if err != nil {
		return err
	}
	if session == nil {
		return p.leave(w, r, req)
	}
	if req.SessionID == session.ID {
		// An ID token of this very session proves that a client of the session asks.
		return p.endSession(w, r, *session, req)
	}
	p.show(w, r, user.Username, query.Encode(), req)
	return nil
}

// repost makes the browser send a client's form again, from a page of this server: to a
// form of another site, browsers do not add the session cookie.
func (p logoutPage) repost(w http.ResponseWriter, r *http.Request) error {
	req, err := p.requests.Parse(r.Context(), r.PostForm)
	if err != nil {
		return err
	}
	p.screen.showPost(w, r, req.Locale, p.screen.base+PathLogout, once(r.PostForm))
	return nil
}

// reposted marks a form that the browser was made to send again. Whatever the browser
// then says about where the form came from, it is not sent a third time.
const reposted = "ingam_reposted"

func once(form url.Values) url.Values {
	form = maps.Clone(form)
	form.Set(reposted, "1")
	return form
}

// show asks the user who is signed in whether to sign out. Without a username it says
// that they are signed out.
func (p logoutPage) show(w http.ResponseWriter, r *http.Request, username, request string, req authz.LogoutRequest) {
	page := pages.Logout{Username: username, Request: request}
	switch req.NoReturn {
	case authz.ErrNobodyAsks:
		page.NoReturn = "nobody asks"
	case authz.ErrNotItsAddress:
		page.NoReturn = "not its address"
	}
	if req.NoReturn != nil {
		recordOf(r).errorCode, recordOf(r).err = string(protocol.InvalidRequest), req.NoReturn
	}
	if req.Client != nil {
		recordOf(r).clientID = req.Client.ID
	}
	at := place{locale: req.Locale, here: PathLogout}
	switch {
	case request != "" && r.Method == http.MethodPost:
		at.here = "" // a posted value, such as an ID token, must not get into a URL
	case request != "":
		at.here += "?" + request
	}
	p.screen.show(w, r, at, http.StatusOK, page)
}

// post is POST /logout: from this server's page, or from a client (section 2 demands
// it).
func (p logoutPage) post(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	query := r.PostForm
	if err := p.guard.Check(r); err != nil {
		if r.PostForm.Has("decision") || r.PostForm.Has(reposted) {
			return errForeign(err)
		}
		return p.repost(w, r)
	}
	if r.PostForm.Has("request") {
		var err error
		if query, err = parameters(r.PostForm.Get("request")); err != nil {
			return err
		}
	}
	req, err := p.requests.Parse(r.Context(), query)
	if err != nil {
		return err
	}
	session, user, err := p.browsers.session(r)
	switch {
	case err != nil:
		return err
	case session == nil:
		return p.leave(w, r, req)
	case r.PostForm.Get("decision") == "out" || req.SessionID == session.ID:
		return p.endSession(w, r, *session, req)
	case r.PostForm.Get("decision") == "stay":
		p.screen.sendTo(w, pathAccount)
		return nil
	}
	p.show(w, r, user.Username, query.Encode(), req)
	return nil
}

func (p logoutPage) endSession(w http.ResponseWriter, r *http.Request, session sessions.Session, req authz.LogoutRequest) error {
	err := p.browsers.sessions.End(r.Context(), session.UserID, session.ID, "signed out", audit.User(session.UserID))
	if err != nil && !errors.Is(err, sessions.ErrNotFound) {
		return err
	}
	return p.leave(w, r, req)
}

// leave sends a person who has signed out to the client's address, or shows that they
// are signed out.
func (p logoutPage) leave(w http.ResponseWriter, r *http.Request, req authz.LogoutRequest) error {
	p.browsers.cookies.set(w, p.browsers.cookies.session, "", -time.Second)
	if req.Return == "" {
		p.show(w, r, "", "", req)
		return nil
	}
	to := req.Return
	if req.State != "" {
		to = withQuery(to, url.Values{"state": {req.State}})
	}
	redirect(w, to)
	return nil
}
