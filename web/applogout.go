package web

import (
	"net/http"
	"time"

	"github.com/ingam/ingam/authz"
)

// appLogout is the endpoint where a first-party app signs its user out.
type appLogout struct {
	firstParty *authz.FirstParty
	holders    holders
	refresh    refreshCookies
}

// post is POST /token/logout. A session that has ended already is no error: the result
// is what the app wanted.
func (a appLogout) post(w http.ResponseWriter, r *http.Request) error {
	held, err := a.holders.of(w, r)
	if err != nil {
		return err
	}
	for _, token := range held.tokens { // revoking a token that an attacker planted harms nobody
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
