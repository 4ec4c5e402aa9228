package web

import (
	"errors"
	"net/http"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/web/pages"
)

// newPasswordPage is the second step of a sign-in whose password must be changed.
type newPasswordPage struct{ login loginPage }

// post is POST /login/password.
func (p newPasswordPage) post(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	form := pages.NewPassword{Then: r.PostForm.Get("then"), Note: r.PostForm.Get("note")}
	req, err := p.login.destination(r, form.Then)
	if err != nil {
		return err
	}
	visitor, old, err := p.login.visitor(r)
	if err != nil {
		return err
	}
	in, err := p.login.signIn.SetNew(r.Context(), form.Note, r.PostForm.Get("new"), visitor)
	rec, screen := recordOf(r), p.login.screen
	switch {
	case errors.Is(err, accounts.ErrInvalid), unheard(err) != "":
		u, found := p.login.signIn.Proved(r.Context(), form.Note)
		if found != nil {
			return found
		}
		form.Username, form.Problem, form.Wait = u.Username, unheard(err), waitOf(err)
		status := head(w.Header(), err)
		if form.Problem == "" {
			rec.errorCode, rec.err, form.Problem, status = codeNewPassword, err, refused(err), http.StatusUnprocessableEntity
		} else {
			rec.refusedSignIn(err)
		}
		return screen.showNew(w, r, req, form, status)
	case errors.Is(err, signin.ErrTooLate), errors.Is(err, sessions.ErrNotFound):
		// They sign in once more, by the password that counts by now.
		rec.errorCode, rec.err = codeSessionEnded, err
		return screen.showLogin(w, r, req, pages.Login{Then: form.Then, Problem: "signed in too late"}, http.StatusUnprocessableEntity)
	case err != nil:
		return err
	}
	rec.triedSignIn(nil)
	return p.login.enter(w, r, req, old, in)
}

// codeNewPassword is the error in the log for a new password that is not acceptable.
const codeNewPassword = "new_password_refused"

// showNew shows the form for a new password: for a note, in the place of the sign-in page,
// or for a link.
func (s screen) showNew(w http.ResponseWriter, r *http.Request, req *authorization.Request, page pages.NewPassword, status int) error {
	at := placeOf(req)
	if page.Link != "" {
		at = place{here: linkAt(page.Link)}
	}
	page.Shortest, page.Longest = passwords.MinLength, passwords.MaxLength
	s.show(w, r, at, status, page)
	return nil
}

// errMustChange is the answer to an app that asks for the password itself. The app sends the
// person to the authorization endpoint, whose sign-in page lets them choose another one.
var errMustChange = &protocol.Error{
	Code: protocol.RedirectToWeb, Because: string(signin.ReasonMustChange),
	Description: "The password must be changed before it signs anybody in. The sign-in page does that: send the user to the authorization endpoint.",
}
