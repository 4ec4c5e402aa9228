package authorization

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
)

// Step is what an authorization request needs next.
type Step int

// The steps.
const (
	StepLogin   Step = iota // the person must sign in (again)
	StepConsent             // the person must allow it
	StepDone                // a code can be issued
)

// Next says what a request needs next, given the login session of the browser that sent
// it; nil if there is none. If the person would have to be asked, but the request has
// prompt=none, it returns a *RefusedError.
func (e *Endpoint) Next(ctx context.Context, req *Request, session *sessions.Session) (Step, error) {
	silent := slices.Contains(req.prompt, "none")
	fail := func(code protocol.Code, why string) (Step, error) {
		return 0, &RefusedError{req, protocol.Refuse(code, "%s", why)}
	}
	// A sign-in that was made for this request fulfils its prompt and max_age. A request
	// with prompt=none cannot ask for one, so for it the time of the last sign-in counts.
	signedIn := !silent && e.signedInFor(req, session)
	again := !signedIn && session != nil && req.signInAgain(e.now().Sub(session.AuthenticatedAt))
	if session == nil || again {
		if silent {
			return fail(protocol.LoginRequired, "Nobody is signed in, or not recently enough.")
		}
		return StepLogin, nil
	}
	if req.Query.Get("id_token_hint") != "" && req.hinted != session.UserID {
		// Somebody else is signed in than the client means (section 3.1.2.1), or the
		// hint cannot be checked. The person is asked to sign in, once. If then the
		// wrong person has signed in, the request is refused: the client would take
		// them for the user whose session it wants to renew.
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
	if err := e.narrow(ctx, req, session.UserID); err != nil {
		var refused *protocol.Error
		if errors.As(err, &refused) {
			return fail(protocol.AccessDenied, refused.Description)
		}
		return 0, err
	}
	// Any program on a device can claim the scheme of such a redirect URI, begin an
	// authorization request here, and would get the code without the person's knowledge.
	// So the person is always asked: that the operator trusts this client, or that the
	// person allowed it before, says nothing about the program that asks now.
	// The same goes for scopes of the administration: any program on the machine can listen
	// on a loopback address, and send the browser here.
	always := clients.MustAsk(req.RedirectURI) || !req.Client.FirstParty && slices.ContainsFunc(req.Scopes, apis.IsAdministration)
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
		case silent && clients.MustAsk(req.RedirectURI):
			return fail(protocol.ConsentRequired, "The user is always asked, because any program can claim the scheme of the redirect_uri (RFC 8252 section 8.6).")
		case silent && always:
			return fail(protocol.ConsentRequired, "The user is always asked before a client may administer the server.")
		case silent:
			return fail(protocol.ConsentRequired, "The user has not allowed this yet.")
		}
		return StepConsent, nil
	}
	return StepDone, nil
}

// narrow leaves out of a request what the user who is signed in cannot give: scopes of the
// administration that they hold no role for. They are neither asked for it, nor is it in
// the code.
func (e *Endpoint) narrow(ctx context.Context, req *Request, userID string) error {
	held, err := e.rules.Held(ctx, userID, req.permissions)
	if err != nil || len(held) == len(req.permissions) {
		return err
	}
	req.permissions = held
	asked := len(req.Scopes)
	req.Scopes = slices.DeleteFunc(slices.Clone(req.Scopes), func(scope string) bool {
		return apis.IsAdministration(scope) && !slices.ContainsFunc(held, func(p permission.Permission) bool { return p.Scope == scope })
	})
	req.LeftOut += asked - len(req.Scopes)
	return nil
}

// Permissions returns what the person is asked to allow: each scope of the server's own,
// and each other scope together with each API where it counts.
func (req *Request) Permissions() []string { return permission.Texts(req.permissions) }

// signInAgain reports whether the person must sign in again although they did so age
// ago. max_age=0 means the same as prompt=login.
func (req *Request) signInAgain(age time.Duration) bool {
	return slices.Contains(req.prompt, "login") || slices.Contains(req.prompt, "select_account") ||
		req.maxAge == 0 || req.maxAge > 0 && age > req.maxAge
}

// Allow stores that the user of a session has allowed what a request asks for.
func (e *Endpoint) Allow(ctx context.Context, req *Request, session sessions.Session) error {
	if err := e.narrow(ctx, req, session.UserID); err != nil {
		return err
	}
	return e.consents.Give(ctx, session.UserID, req.Client.ID, req.Permissions())
}

// IssueCode issues an authorization code for the user of a session. Returns
// grants.ErrNotFound if the session has ended meanwhile.
func (e *Endpoint) IssueCode(ctx context.Context, req *Request, session sessions.Session) (code string, err error) {
	if err := e.narrow(ctx, req, session.UserID); err != nil {
		return "", err
	}
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

// Denied returns the refusal that tells the client that the person said no.
func Denied(req *Request) error {
	return &RefusedError{req, protocol.Refuse(protocol.AccessDenied, "The user did not allow it.")}
}
