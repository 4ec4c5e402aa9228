package web

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/web/pages"
)

// authorizePage is the authorization endpoint: a browser comes with a client's request
// and leaves with its answer, or is shown what is missing until then.
type authorizePage struct {
	endpoint       *authorization.Endpoint
	authorizations authorizations
	browsers       browsers
	screen         screen
	guard          guard
	consent        consentPage
}

// get is RFC 6749 section 3.1.
func (p authorizePage) get(w http.ResponseWriter, r *http.Request) error {
	values, fault := parameters(r.URL.RawQuery)
	return p.authorize(w, r, values, fault)
}

// post is OpenID Connect Core 1.0 section 3.1.2.1. To the form of
// another site browsers do not add the session's cookie, so they are asked to come
// once more, in a way to which they do.
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
		// Where no page of this server is shown, it is answered as it stands.
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
