package web

import (
	"net/http"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/sessions"
)

// appLogout is where a first-party app signs its user out.
type appLogout struct {
	authority *authz.Authority
	holders   holders
	sessions  *sessions.Sessions
	refresh   refreshCookies
}

// post is POST /token/logout. What ends already is no error: what is wanted is
// true.
func (a appLogout) post(w http.ResponseWriter, r *http.Request) error {
	held, err := a.holders.of(w, r)
	if err != nil {
		return err
	}
	for _, token := range held.tokens { // if one of them was planted, nobody is harmed
		if err := a.authority.SignOutFor(r.Context(), held.client, a.sessions, token); err != nil {
			return err
		}
	}
	for _, name := range held.cookies {
		a.refresh.set(w, name, "", -time.Second)
	}
	unkept(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
