package web

import (
	"net/http"
	"time"

	"github.com/ingam/ingam/authz"
)

// appLogout is where a first-party app signs its user out.
type appLogout struct {
	firstParty *authz.FirstParty
	holders    holders
	refresh    refreshCookies
}

// post is POST /token/logout. What ends already is no error: what is wanted is
// true.
func (a appLogout) post(w http.ResponseWriter, r *http.Request) error {
	held, err := a.holders.of(w, r)
	if err != nil {
		return err
	}
	for _, token := range held.tokens { // if one of them was planted, nobody is harmed
		if err := a.firstParty.SignOut(r.Context(), held.client, token); err != nil {
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
