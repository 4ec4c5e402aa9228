package web

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/web/pages"
)

// authorizePage is the authorization endpoint. A browser brings a client's request; it
// is sent back with the answer, or is first shown the page for what is missing.
type authorizePage struct {
	endpoint       *authorization.Endpoint
	authorizations authorizations
	browsers       browsers
	screen         screen
	guard          guard
	consent        consentPage
}

// get serves GET (RFC 6749 section 3.1).
func (p authorizePage) get(w http.ResponseWriter, r *http.Request) error {
	values, fault := parameters(r.URL.RawQuery)
	return p.authorize(w, r, values, fault)
}

// post serves POST (OpenID Connect Core 1.0 section 3.1.2.1). If another site's form
// sent the request, the browser has left out the session cookie. So the browser is made
// to send the request again, from here, which includes the cookie.
func (p authorizePage) post(w http.ResponseWriter, r *http.Request) error {
	text, err := readForm(r)
	if err != nil {
		return err
	}
	values, fault := parameters(text)
	again := values.Has(reposted)
	values.Del(reposted)
	if fault != nil || again || p.guard.Check(r) == nil {
		return p.authorize(w, r, values, fault)
	}
	req, err := p.authorizations.parse(r, values, nil)
	if err != nil {
		return err
	}
	if inFrame(r) && p.authorizations.tooLong(req.Query) {
		// Inside a frame no page of this server is shown, so the request is answered as
		// it came, without the cookie.
		return p.authorize(w, r, values, nil)
	}
	p.authorizations.goOn(w, r, req.Locale, req.Query)
	return nil
}

func inFrame(r *http.Request) bool {
	return slices.Contains([]string{"iframe", "frame", "fencedframe", "embed", "object"}, r.Header.Get("Sec-Fetch-Dest"))
}

// authorize answers an authorization request.
func (p authorizePage) authorize(w http.ResponseWriter, r *http.Request, query url.Values, fault error) error {
	req, err := p.authorizations.parse(r, query, fault)
	if err != nil {
		return err
	}
	recordOf(r).clientID, recordOf(r).leftOut = req.Client.ID, req.LeftOut
	session, user, err := p.browsers.session(r)
	if err != nil {
		return err
	}
	step, err := p.endpoint.Next(r.Context(), req, session)
	if err != nil {
		return err
	}
	if step != authorization.StepDone && p.authorizations.tooMuch(req) {
		return &authorization.RefusedError{Request: req, Refused: protocol.Refuse(protocol.InvalidRequest, "The request is too long: the pages that the user has to be shown cannot carry it.")}
	}
	switch step {
	case authorization.StepLogin:
		return p.screen.showLogin(w, r, req, pages.Login{Then: authorizeAt(req.Query), Username: req.LoginHint}, http.StatusOK)
	case authorization.StepConsent:
		return p.consent.show(w, r, req, *session, user)
	}
	return p.authorizations.finish(w, r, req, *session)
}
