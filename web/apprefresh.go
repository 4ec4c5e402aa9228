package web

import (
	"net/http"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/signin"
)

// appRefresh is the endpoint where a first-party app exchanges a refresh token for new
// tokens.
type appRefresh struct {
	firstParty *authz.FirstParty
	holders    holders
	signIn     *signin.SignIn
	cookies    cookies
	refresh    refreshCookies
	// base is the issuer's path.
	base string
}

// post is POST /token/refresh.
func (a appRefresh) post(w http.ResponseWriter, r *http.Request) error {
	held, err := a.holders.of(w, r)
	if err != nil {
		return err
	}
	token, err := a.firstParty.OneOf(r.Context(), held.tokens, func(user string) (bool, error) {
		// If the server is not at the root of its host, a neighbour on that host can
		// plant this cookie too, so there may be several.
		devices := r.CookiesNamed(a.cookies.device)
		if a.base != "" || len(devices) != 1 {
			return false, nil
		}
		return a.signIn.Knows(r.Context(), user, devices[0].Value)
	})
	if err != nil {
		return err
	}
	if token == "" {
		return unauthorized(protocol.Refuse(protocol.InvalidGrant, "There is no refresh token that is valid: sign in."))
	}
	answer, err := a.firstParty.Refresh(r.Context(), held.client, token)
	if err != nil {
		return unauthorized(err)
	}
	recordOf(r).issued = clients.RefreshToken
	a.refresh.answer(w, held.client, answer, "")
	return nil
}
