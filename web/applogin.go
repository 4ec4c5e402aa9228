package web

import (
	"errors"
	"net/http"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
)

// appLogin is the endpoint where a first-party app exchanges a user name and a password
// for tokens.
type appLogin struct {
	firstParty *authz.FirstParty
	rules      *grants.Rules
	apps       appPages
	signIn     appSignIn
	cookies    cookies
	refresh    refreshCookies
}

// post is POST /login with JSON.
func (l appLogin) post(w http.ResponseWriter, r *http.Request) error {
	sent, err := readJSON(r, "id", "username", "pw", "password", "client_id", "scope", "deviceToken", "address")
	if err != nil {
		return err
	}
	name, err := either(sent["id"], sent["username"], "user name")
	if err != nil {
		return err
	}
	password, err := either(sent["pw"], sent["password"], "password")
	if err != nil {
		return err
	}
	client, err := l.firstParty.Client(r.Context(), presented(r, public(sent["client_id"])))
	if err != nil {
		return err
	}
	recordOf(r).clientID = client.ID
	if err := l.apps.serves(r, client); err != nil {
		return err
	}
	asked, err := l.rules.AskedFor(r.Context(), client, nil, sent["scope"])
	if err != nil {
		return err
	}
	recordOf(r).leftOut = asked.LeftOut
	visitor, err := l.signIn.visitor(r, client, sent["deviceToken"], sent["address"])
	if err != nil {
		return err
	}
	in, err := l.signIn.begin(r, name, password, visitor)
	var answer grants.Issued
	if err == nil {
		answer, err = l.firstParty.SignedIn(r.Context(), client, in.Session, asked)
		if err == nil && client.Hold == clients.HoldCookie {
			err = l.signIn.sessions.EndFormer(r.Context(), in.Former)
		}
		err = l.signIn.unfinished(r, in.Session, err)
	}
	if errors.Is(err, signin.ErrWrong) {
		return errWrongPassword
	}
	if err != nil {
		return err
	}
	recordOf(r).issued = clients.AuthorizationCode
	device := in.Device
	if client.Hold == clients.HoldCookie {
		l.cookies.set(w, l.cookies.device, device, sessions.DeviceLife)
		device = ""
	}
	l.refresh.answer(w, client, answer, device)
	return nil
}

// errWrongPassword is one answer for an unknown user, a wrong password and a
// disabled user.
var errWrongPassword = withStatus{protocol.Refuse(protocol.InvalidGrant, "The user name or the password is wrong."), http.StatusUnauthorized}
