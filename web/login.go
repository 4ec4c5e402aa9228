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
	visitor := p.browsers.cookies.visitor(r)
	old, _, err := p.browsers.session(r)
	if err != nil {
		return err
	}
	if old != nil {
		visitor.Session = old.ID
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
	case err != nil:
		return err
	}
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
	at := place{here: pathLogin}
	if req != nil {
		page.Client, at = req.Client.Name, place{req.Locale, authorizeAt(req.Onward())}
	}
	s.show(w, r, at, status, page)
	return nil
}
