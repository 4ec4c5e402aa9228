package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/web/pages"
)

// loginPage is where people sign in.
type loginPage struct {
	endpoint       *authorization.Endpoint
	authorizations authorizations
	browsers       browsers
	screen         screen
	signIn         *signin.SignIn
}

// get is GET /login, for people who come without an app's request and want to see their
// account.
func (p loginPage) get(w http.ResponseWriter, r *http.Request) error {
	return p.screen.showLogin(w, r, nil, pages.Login{}, http.StatusOK)
}

// post is POST /login.
func (p loginPage) post(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	form := pages.Login{Then: r.PostForm.Get("then"), Username: r.PostForm.Get("username")}
	req, err := p.destination(r, form.Then)
	if err != nil {
		return err
	}
	visitor, old, err := p.visitor(r)
	if err != nil {
		return err
	}
	in, err := p.signIn.Do(r.Context(), form.Username, r.PostForm.Get("password"), visitor)
	recordOf(r).triedSignIn(err)
	switch form.Problem = unheard(err); {
	case form.Problem != "":
		form.Wait = waitOf(err)
		return p.screen.showLogin(w, r, req, form, head(w.Header(), err))
	case errors.Is(err, signin.ErrWrong):
		form.Problem = "wrong"
		return p.screen.showLogin(w, r, req, form, http.StatusUnprocessableEntity)
	}
	if must := (*signin.MustChangeError)(nil); errors.As(err, &must) {
		return p.screen.showNew(w, r, req, pages.NewPassword{Then: form.Then, Username: must.User.Username, Note: must.Note}, http.StatusOK)
	}
	if err != nil {
		return err
	}
	return p.enter(w, r, req, old, in)
}

// enter gives the browser the session of somebody who has signed in, and leads on. old is
// the session that the browser had; may be nil.
func (p loginPage) enter(w http.ResponseWriter, r *http.Request, req *authorization.Request, old *sessions.Session, in signin.SignedIn) error {
	// If another user was signed in here before, that session ends: a browser has one.
	if old != nil && old.UserID != in.User.ID {
		err := p.browsers.sessions.End(r.Context(), old.UserID, old.ID, "signed in again", audit.User(in.User.ID))
		if err != nil && !errors.Is(err, sessions.ErrNotFound) {
			return err
		}
	}
	p.browsers.cookies.signedIn(w, in)
	if req == nil {
		p.screen.sendTo(w, pathAccount)
		return nil
	}
	query, err := p.endpoint.SignedInFor(req, in.Session)
	if err != nil {
		return err
	}
	p.authorizations.goOn(w, r, req.Locale, query)
	return nil
}

// visitor returns the browser and its session, which may be nil.
func (p loginPage) visitor(r *http.Request) (signin.Visitor, *sessions.Session, error) {
	visitor := p.browsers.cookies.visitor(r)
	old, _, err := p.browsers.session(r)
	if old != nil {
		visitor.Session = old.ID
	}
	return visitor, old, err
}

// destination returns where a person goes after signing in: to an authorization request
// or, without one, to their account. Any other target would make the sign-in page an
// open redirector.
func (p loginPage) destination(r *http.Request, then string) (*authorization.Request, error) {
	query, is := strings.CutPrefix(then, PathAuthorize+"?")
	if !is {
		return nil, nil
	}
	return p.authorizations.asked(r, query)
}

func (s screen) showLogin(w http.ResponseWriter, r *http.Request, req *authorization.Request, page pages.Login, status int) error {
	if req != nil {
		page.Client = req.Client.Name
	}
	s.show(w, r, placeOf(req), status, page)
	return nil
}

// placeOf is where the sign-in page for an authorization request is, or the one without.
func placeOf(req *authorization.Request) place {
	if req == nil {
		return place{here: pathLogin}
	}
	return place{req.Locale, authorizeAt(req.Onward())}
}
