package web

import (
	"net/http"
	"net/url"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/web/pages"
)

// consentPage asks a person whether a client gets what it asks for.
type consentPage struct {
	endpoint       *authorization.Endpoint
	authorizations authorizations
	browsers       browsers
	screen         screen
	wording        wording
}

func (p consentPage) show(w http.ResponseWriter, r *http.Request, req *authorization.Request, session sessions.Session, user accounts.User) error {
	u, err := url.Parse(req.RedirectURI)
	if err != nil {
		return err
	}
	// What is no host of the web is the app's own affair: the scheme says whose.
	host := u.Host
	if u.Scheme != "https" && u.Scheme != "http" {
		host = u.Scheme + ":"
	}
	said, err := p.wording.say(r.Context(), p.screen.text(r, req.Locale), req.Permissions(), user)
	if err != nil {
		return err
	}
	p.screen.show(w, r, place{req.Locale, authorizeAt(req.Onward())}, http.StatusOK, pages.Consent{
		Client: req.Client.Name, Since: req.Client.CreatedAt, Host: host, Username: user.Username,
		Request: req.Onward().Encode(), Session: session.ID, Permissions: said,
	})
	return nil
}

// post is POST /consent. The request comes back as it was asked and is
// judged anew: whoever edits it asks for something else, in their own name.
func (p consentPage) post(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	req, err := p.authorizations.asked(r, r.PostForm.Get("request"))
	if err != nil {
		return err
	}
	recordOf(r).clientID, recordOf(r).leftOut = req.Client.ID, req.LeftOut
	if r.PostForm.Get("decision") == "switch" {
		// To sign in as somebody else; all that was asked is asked of them.
		// No address shows this page: at the request's, whoever is signed in is asked.
		p.screen.show(w, r, place{locale: req.Locale}, http.StatusOK, pages.Login{Client: req.Client.Name, Then: authorizeAt(req.Query)})
		return nil
	}
	session, _, err := p.browsers.session(r)
	if err != nil {
		return err
	}
	if session == nil || session.ID != r.PostForm.Get("session") {
		// Signed out meanwhile, or someone else signed in here: it was not they
		// who saw the page.
		return endedMeanwhile{sessions.ErrNotFound, authorizeAt(req.Query)}
	}
	if r.PostForm.Get("decision") != "allow" {
		return authorization.Denied(req)
	}
	step, err := p.endpoint.Next(r.Context(), req, session)
	if err != nil {
		return err
	}
	if step == authorization.StepLogin {
		// The sign-in has become too old while the page was shown, or another
		// one was made meanwhile.
		p.authorizations.goOn(w, r, req.Locale, req.Query)
		return nil
	}
	if err := p.endpoint.Allow(r.Context(), req, *session); err != nil {
		return err
	}
	return p.authorizations.finish(w, r, req, *session)
}
