package web

import (
	"errors"
	"net/http"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/signin"
)

// challenge is the endpoint where a first-party app exchanges a user name and a
// password for an authorization code.
type challenge struct {
	endpoint   *authorization.Endpoint
	firstParty *authz.FirstParty
	apps       appPages
	signIn     appSignIn
}

// post is the endpoint of draft-ietf-oauth-first-party-apps section 5. It answers with
// a code, or with what the app still has to send.
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
		// Needed are the names of the parameters that the app has to send next. The
		// draft does not define this member.
		Needed []string `json:"needed"`
	}{protocol.InsufficientAuthorization, "The user name and the password are needed.", []string{"username", "password"}}
	if name == "" || password == "" {
		writeJSON(w, http.StatusForbidden, insufficient) // section 5.2.2.1
		return nil
	}
	// An auth_session serves as a device token does at /login: it outlives the sign-in
	// (section 5.3.1), and only tells known devices from strangers.
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
