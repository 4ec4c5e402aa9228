package web

import (
	"errors"
	"net/http"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/signin"
)

// challenge is where a first-party app gets a code for a user name and a password.
type challenge struct {
	endpoint   *authorization.Endpoint
	firstParty *authz.FirstParty
	apps       appPages
	signIn     appSignIn
}

// post is draft-ietf-oauth-first-party-apps section 5: a code for whoever
// says enough, or what is still to be said.
func (c challenge) post(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	client, err := c.firstParty.Client(r.Context(), presented(r, r.PostForm))
	if err != nil {
		return err
	}
	recordOf(r).clientID = client.ID
	if err := c.apps.serves(r, client); err != nil {
		return err
	}
	req, err := c.endpoint.Challenge(r.Context(), client, r.PostForm)
	if err != nil {
		return err
	}
	recordOf(r).leftOut = req.LeftOut
	name, password := r.PostForm.Get("username"), r.PostForm.Get("password")
	insufficient := struct {
		Error       protocol.Code `json:"error"`
		Description string        `json:"error_description"`
		// Needed are the parameters that are asked for next; the member is this
		// server's own.
		Needed []string `json:"needed"`
	}{protocol.InsufficientAuthorization, "The user name and the password are needed.", []string{"username", "password"}}
	if name == "" || password == "" {
		writeJSON(w, http.StatusForbidden, insufficient) // section 5.2.2.1
		return nil
	}
	// The auth_session is what a device token is at /login: it outlives the sign-in
	// (section 5.3.1) and is good for nothing else.
	visitor, err := c.signIn.visitor(r, client, r.PostForm.Get("auth_session"), r.PostForm.Get("address"))
	if err != nil {
		return err
	}
	in, err := c.signIn.begin(r, name, password, visitor)
	var code string
	if err == nil {
		code, err = c.endpoint.IssueCode(r.Context(), req, in.Session)
		err = c.signIn.unfinished(r, in.Session, err)
	}
	if errors.Is(err, signin.ErrWrong) {
		insufficient.Description = "The user name or the password is wrong."
		writeJSON(w, http.StatusForbidden, insufficient)
		return nil
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"authorization_code": code, "auth_session": in.Device})
	return nil
}
