package web

import (
	"net/http"
	"net/url"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/web/pages"
)

// consentPage asks a person whether a client may have the access that it requests.
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
	// A redirect URI without a web host belongs to an app; its scheme says which one.
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

// post is POST /consent. The form carries the authorization request along, and it is
// checked again. Whoever edits it merely makes another request in their own name.
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
		// The person wants to sign in as another user, who is then asked everything
		// again. The page has no URL of its own: at the request's URL, the user who is
		// signed in now would be asked.
		p.screen.show(w, r, place{locale: req.Locale}, http.StatusOK, pages.Login{Client: req.Client.Name, Then: authorizeAt(req.Query)})
		return nil
	}
	session, _, err := p.browsers.session(r)
	if err != nil {
		return err
	}
	if session == nil || session.ID != r.PostForm.Get("session") {
		// The person has signed out meanwhile, or another user has signed in here, who
		// did not see the page.
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
		// While the page was shown, the sign-in became too old, or another one replaced
		// it.
		p.authorizations.goOn(w, r, req.Locale, req.Query)
		return nil
	}
	if err := p.endpoint.Allow(r.Context(), req, *session); err != nil {
		return err
	}
	return p.authorizations.finish(w, r, req, *session)
}
