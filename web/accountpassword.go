package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/web/pages"
	"github.com/ingam/ingam/web/pages/texts"
)

// accountPassword changes the password of the user who is signed in.
type accountPassword struct {
	account  accountPage
	browsers browsers
	screen   screen
	signIn   *signin.SignIn
}

// post is POST /account/password.
func (p accountPassword) post(w http.ResponseWriter, r *http.Request, session sessions.Session, user accounts.User) error {
	ctx := r.Context()
	outcome := func(text texts.Name, field string, wait time.Duration) pages.Account {
		return pages.Account{Outcome: pages.Outcome{Of: pages.PasswordMatter, Text: text, Field: field, Wait: wait}}
	}
	in, err := p.signIn.Change(ctx, user, r.PostForm.Get("current"), r.PostForm.Get("new"), "changed in the account", p.browsers.cookies.visitor(r))
	rec := recordOf(r)
	rec.refusedSignIn(err)
	switch why := unheard(err); {
	case why != "":
		return p.account.show(w, r, session, user, outcome(why, "current", waitOf(err)), head(w.Header(), err))
	case errors.Is(err, signin.ErrWrong):
		return p.account.show(w, r, session, user, outcome("current wrong", "current", 0), http.StatusUnprocessableEntity)
	case rec.reason == signin.ReasonMustChange:
		return p.account.show(w, r, session, user, outcome("current must change", "current", 0), http.StatusUnprocessableEntity)
	case errors.Is(err, accounts.ErrInvalid):
		rec.errorCode, rec.err = codeNewPassword, err
		return p.account.show(w, r, session, user, outcome(refused(err), "new", 0), http.StatusUnprocessableEntity)
	case errors.Is(err, sessions.ErrNotFound):
		// The password was changed all the same; the person signs in with the new one.
		rec.errorCode, rec.err = codeSessionEnded, err
		p.browsers.cookies.set(w, p.browsers.cookies.session, "", -time.Second)
		return p.screen.showLogin(w, r, nil, pages.Login{Username: user.Username}, http.StatusOK)
	case err != nil:
		return err
	}
	p.browsers.cookies.signedIn(w, in)
	found, user, err := p.browsers.sessions.Find(ctx, in.Secret)
	if err != nil {
		return err
	}
	return p.account.show(w, r, found, user, outcome("password changed", "", 0), http.StatusOK)
}

// refused says why a new password is not accepted.
func refused(err error) texts.Name {
	switch {
	case errors.Is(err, passwords.ErrLength):
		return "password length"
	case errors.Is(err, passwords.ErrName):
		return "password is name"
	case errors.Is(err, passwords.ErrGuessed):
		return "password guessed"
	case errors.Is(err, signin.ErrSame):
		return "password same"
	}
	return "password typed"
}
