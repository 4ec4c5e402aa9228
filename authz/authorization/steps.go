package authorization

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
)

// Step is what an authorization request needs next.
type Step int

// The steps there are.
const (
	StepLogin   Step = iota // the person must sign in (again)
	StepConsent             // the person must allow it
	StepDone                // a code can be issued
)

// Next says what a request needs, given the login session of the browser that
// sent it, if there is one. What prompt=none does not allow to ask for is an
// *RefusedError.
func (e *Endpoint) Next(ctx context.Context, req *Request, session *sessions.Session) (Step, error) {
	silent := slices.Contains(req.prompt, "none")
	fail := func(code protocol.Code, why string) (Step, error) {
		return 0, &RefusedError{req, protocol.Refuse(code, "%s", why)}
	}
	// What is asked of a sign-in is done by the one that was made for this request.
	// prompt=none asks for no other than the one that is there.
	signedIn := !silent && e.signedInFor(req, session)
	again := !signedIn && session != nil && req.signInAgain(e.now().Sub(session.AuthenticatedAt))
	if session == nil || again {
		if silent {
			return fail(protocol.LoginRequired, "Nobody is signed in, or not recently enough.")
		}
		return StepLogin, nil
	}
	if req.Query.Get("id_token_hint") != "" && req.hinted != session.UserID {
		// Whom the client means is not who is there (section 3.1.2.1), or there is
		// no telling: the person is asked once. Who then signs in is not passed off
		// as somebody else, whose session the client wants to renew.
		switch {
		case silent && req.hinted == "":
			return fail(protocol.LoginRequired, "The id_token_hint cannot be checked.")
		case silent:
			return fail(protocol.LoginRequired, "Someone else is signed in.")
		case !signedIn:
			return StepLogin, nil
		case req.hinted != "":
			return fail(protocol.LoginRequired, "Someone else signed in than the id_token_hint names.")
		}
	}
	// Whoever claimed the scheme of such an address could begin a sign-in here, and
	// have the code for nothing: neither the operator's leave nor what was allowed
	// before speaks for the program that asks.
	always := clients.MustAsk(req.RedirectURI)
	consent := always || slices.Contains(req.prompt, "consent")
	if !consent && !req.Client.FirstParty {
		covered, err := e.consents.Covers(ctx, session.UserID, req.Client.ID, req.Permissions())
		if err != nil {
			return 0, err
		}
		consent = !covered
	}
	if consent {
		switch {
		case silent && always:
			return fail(protocol.ConsentRequired, "The user is always asked, because any program can claim the scheme of the redirect_uri (RFC 8252 section 8.6).")
		case silent:
			return fail(protocol.ConsentRequired, "The user has not allowed this yet.")
		}
		return StepConsent, nil
	}
	return StepDone, nil
}

// Permissions are what the person is asked to allow: the server's own scopes,
// and each other scope at each API where it counts.
func (req *Request) Permissions() []string { return grants.Permissions(req.permissions) }

// signInAgain reports whether a request asks whoever is signed in to sign in again,
// age after they last did. max_age=0 asks for the same as prompt=login.
func (req *Request) signInAgain(age time.Duration) bool {
	return slices.Contains(req.prompt, "login") || slices.Contains(req.prompt, "select_account") ||
		req.maxAge == 0 || req.maxAge > 0 && age > req.maxAge
}

// Allow remembers that the user of a session allowed what a request asks for.
func (e *Endpoint) Allow(ctx context.Context, req *Request, session sessions.Session) error {
	return e.consents.Give(ctx, session.UserID, req.Client.ID, req.Permissions())
}

// IssueCode issues an authorization code for the user of a session. Returns
// grants.ErrNotFound if the session has ended meanwhile.
func (e *Endpoint) IssueCode(ctx context.Context, req *Request, session sessions.Session) (code string, err error) {
	now := e.now()
	code = rand.Text() + rand.Text()
	if req.own {
		code = grants.OwnCode + code
	}
	return code, e.codes.SaveCode(ctx, sha256.Sum256([]byte(code)), grants.Code{
		ClientID: req.Client.ID, RedirectURI: req.Query.Get("redirect_uri"), SessionID: session.ID,
		Scopes: req.Scopes, Audiences: req.audiences, Permissions: req.permissions, Nonce: req.nonce, Challenge: req.challenge,
		AuthenticatedAt: session.AuthenticatedAt, Methods: session.Methods, ContextClass: session.ContextClass, ExpiresAt: now.Add(grants.CodeLife),
	}, now)
}

// Denied is what the client is told when the person says no.
func Denied(req *Request) error {
	return &RefusedError{req, protocol.Refuse(protocol.AccessDenied, "The user did not allow it.")}
}
