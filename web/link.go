package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/web/pages"
)

// linkPage is where people set a password by a link that an administrator has given them.
// To look at it does nothing: programs that look for viruses open what comes by mail.
type linkPage struct{ login loginPage }

// linkParameter is the parameter with the token of a link.
const linkParameter = "link"

// linkAt returns the path, below the issuer's, of the link with a token.
func linkAt(token string) string {
	return PathLink + "?" + url.Values{linkParameter: {token}}.Encode()
}

// LinkOf returns the address of the link with a token.
func LinkOf(issuer, token string) string { return issuer + linkAt(token) }

// get is GET /password.
func (p linkPage) get(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get(linkParameter)
	u, err := p.login.signIn.LinkOwner(r.Context(), token, p.login.browsers.cookies.visitor(r))
	if err != nil {
		return p.refuse(w, r, err)
	}
	return p.login.screen.showNew(w, r, nil, pages.NewPassword{Link: token, Username: u.Username}, http.StatusOK)
}

// post is POST /password.
func (p linkPage) post(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	form := pages.NewPassword{Link: r.PostForm.Get(linkParameter)}
	u, err := p.login.signIn.UseLink(r.Context(), form.Link, r.PostForm.Get("new"), p.login.browsers.cookies.visitor(r))
	if errors.Is(err, accounts.ErrInvalid) {
		rec := recordOf(r)
		rec.errorCode, rec.err = codeNewPassword, err
		form.Username, form.Problem = u.Username, refused(err)
		return p.login.screen.showNew(w, r, nil, form, http.StatusUnprocessableEntity)
	}
	if err != nil {
		return p.refuse(w, r, err)
	}
	return p.login.screen.showLogin(w, r, nil, pages.Login{Username: u.Username, Done: "password set"}, http.StatusOK)
}

// refuse says that a link is good for nothing, or that it was not looked at. It is one answer
// for a link that is unknown, was used or has expired.
func (p linkPage) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	rec := recordOf(r)
	page, at := pages.DeadLink{}, place{}
	if r.Method == http.MethodGet {
		at.here = linkAt(r.URL.Query().Get(linkParameter))
	}
	switch {
	case unheard(err) != "":
		rec.refusedSignIn(err)
		page.Problem, page.Wait = unheard(err), waitOf(err)
		p.login.screen.show(w, r, at, head(w.Header(), err), page)
	case errors.Is(err, accounts.ErrNoLink):
		rec.errorCode, rec.err = "link_refused", err
		p.login.screen.show(w, r, at, http.StatusNotFound, page)
	default:
		return err
	}
	return nil
}
