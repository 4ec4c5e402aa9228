package authorization

import (
	"context"
	"errors"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// Request is an authorization request that was checked and has no fault (RFC 6749
// section 4.1.1, OpenID Connect Core 1.0 section 3.1.2.1).
type Request struct {
	// Query holds the parameters as the client sent them; it can be parsed again.
	Query       url.Values
	Client      *clients.Client
	RedirectURI string
	// FormPost is whether the answer is posted as a form (OAuth 2.0 Form Post
	// Response Mode) instead of put in the query of the redirect URI.
	FormPost bool
	State    string
	// Scopes are the scopes that are asked for and can be granted; LeftOut is how
	// many others were asked for.
	Scopes  []string
	LeftOut int

	audiences   []string
	permissions []permission.Permission
	nonce       string
	challenge   string
	prompt      []string
	// maxAge is negative if the request has no max_age.
	maxAge    time.Duration
	LoginHint string
	// hinted is the `sub` of the id_token_hint; empty if the hint cannot be checked.
	hinted string
	// done is the sealed note of the sign-in for this request; empty if there is none.
	done   string
	Locale string
	// own is whether the client signs the person in by itself (see Challenge).
	own bool
}

// RefusedError is a refusal that is sent to the client, at its redirect URI.
type RefusedError struct {
	Request *Request
	Refused *protocol.Error
}

func (e *RefusedError) Error() string { return e.Refused.Error() }
func (e *RefusedError) Unwrap() error { return e.Refused }

// formPost is the response_mode of OAuth 2.0 Form Post Response Mode.
const formPost = "form_post"

// takesForms reports whether a browser can post a form to that address.
func takesForms(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

var challengeSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// ErrMalformed is wrapped by the error for parameters of which some could not be read at
// all, so that nobody knows what they said.
var ErrMalformed = errors.New("malformed parameters")

// Parse checks an authorization request. fault, if not nil, is an error that was found
// when the parameters were read; query then holds those that could be read. Parse uses
// them only to find out where to tell the client about fault.
//
// A refusal that may be sent to the client is a *RefusedError. If the redirect URI is not
// known to be the client's, the refusal is a *protocol.Error, to be shown to the person.
func (e *Endpoint) Parse(ctx context.Context, query url.Values, fault error) (*Request, error) {
	refuse := func(code protocol.Code, format string, args ...any) error {
		if fault != nil {
			return fault // this refusal may be only a consequence of it
		}
		return protocol.Refuse(code, format, args...)
	}
	// First: who asks, and where to answer? If the answer were sent to an address that
	// is not the client's, anyone could write links that make this server redirect
	// people to any site (an open redirector, RFC 9700 section 4.11).
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(query[name]) > 1 {
			return nil, refuse(protocol.InvalidRequest, "The parameter %s is given more than once.", name)
		}
	}
	query, sealed := takeDone(query)
	client, err := e.registry.Client(ctx, query.Get("client_id"))
	if err == nil && (client.Disabled || query.Has("redirect_uri") && !client.Redirects(query.Get("redirect_uri"))) {
		// The copy in memory may be a moment old: ask the database before
		// refusing.
		client, err = e.registry.Stored(ctx, client.ID)
	}
	if errors.Is(err, clients.ErrNotFound) || err == nil && client.Disabled {
		return nil, refuse(protocol.InvalidClient, "The application that sent you here is not known, or was disabled.")
	}
	if err != nil {
		return nil, err
	}
	req := &Request{Query: query, Client: client, RedirectURI: query.Get("redirect_uri"), maxAge: -1, done: sealed}
	switch {
	case !query.Has("redirect_uri") && len(client.RedirectURIs) == 1 && !errors.Is(fault, ErrMalformed):
		req.RedirectURI = client.RedirectURIs[0]
	case !query.Has("redirect_uri"):
		return nil, refuse(protocol.InvalidRequest, "The parameter redirect_uri is missing: the application has not registered exactly one.")
	case !client.Redirects(req.RedirectURI):
		return nil, refuse(protocol.InvalidRequest, "The redirect_uri is not one that is registered for the application.")
	}

	if len(query["state"]) == 1 {
		req.State = query.Get("state")
	}
	// Then: how to answer? A refusal is sent in the same response mode as a code.
	req.FormPost = len(query["response_mode"]) == 1 && query.Get("response_mode") == formPost && takesForms(req.RedirectURI)
	if err = fault; err == nil {
		err = e.readParameters(ctx, req)
	}
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return nil, &RefusedError{req, refused}
	}
	if err != nil {
		return nil, err
	}
	return req, nil
}

// readParameters checks the parameters that are the same for both endpoints: all but the
// client and the redirect URI. A refusal is a *protocol.Error.
func (e *Endpoint) readParameters(ctx context.Context, req *Request) error {
	query, client := req.Query, req.Client
	if err := req.checkSupported(); err != nil {
		return err
	}
	if e := checkChallenge(query); e != nil {
		return e
	}
	req.challenge, req.nonce = query.Get("code_challenge"), query.Get("nonce")
	req.LoginHint, req.Locale = query.Get("login_hint"), query.Get("ui_locales")
	if err := req.readFreshness(); err != nil {
		return err
	}
	if hint := query.Get("id_token_hint"); hint != "" {
		id, err := e.issuer.ReadHint(ctx, hint)
		if err != nil && !errors.Is(err, tokens.ErrInvalid) {
			return err
		}
		req.hinted = id.Subject
	}

	targets := map[string][]string{}
	for _, name := range grants.TargetParameters {
		targets[name] = query[name]
	}
	d, err := e.rules.AskedFor(ctx, client, targets, query.Get("scope"))
	if err != nil {
		return err
	}
	req.decide(d)
	lacks := client.Unprotected(req.challenge, req.nonce, slices.Contains(req.Scopes, apis.OpenID))
	if req.own && req.challenge == "" {
		lacks = "The parameter code_challenge is missing: a client that signs people in by itself must use PKCE (RFC 7636)."
	}
	if lacks != "" {
		return protocol.Refuse(protocol.InvalidRequest, "%s", lacks)
	}
	return nil
}

// checkSupported refuses what this server does not have, or not for this client.
func (req *Request) checkSupported() error {
	query, client, refuse := req.Query, req.Client, protocol.Refuse
	for _, values := range query {
		if slices.ContainsFunc(values, func(v string) bool { return strings.ContainsRune(v, 0) }) {
			return refuse(protocol.InvalidRequest, "A parameter holds a NUL.") // not every database can store one
		}
	}
	responseType := query.Get("response_type")
	if req.own && responseType == "" {
		// The draft requires it here, too (draft-ietf-oauth-first-party-apps section
		// 5.1), but clients leave it out, and it can mean only one thing.
		responseType = "code"
	}
	switch mode := query.Get("response_mode"); {
	case mode == formPost && !takesForms(req.RedirectURI):
		return refuse(protocol.InvalidRequest, "The response_mode form_post needs an http or https redirect_uri.")
	case mode != "" && mode != "query" && mode != formPost:
		return refuse(protocol.InvalidRequest, "The response_mode is not supported; there are query and form_post.")
	case query.Has("request"):
		return refuse(protocol.RequestNotSupported, "Request objects are not supported.")
	case query.Has("request_uri"):
		return refuse(protocol.RequestURINotSupported, "Request objects are not supported.")
	case query.Has("registration"):
		return refuse(protocol.RegistrationNotSupported, "The parameter registration is not supported.")
	case responseType == "":
		return refuse(protocol.InvalidRequest, "The parameter response_type is missing.")
	case responseType != "code":
		return refuse(protocol.UnsupportedResponseType, "The response type is not supported; there is code.")
	case !req.own && !slices.Contains(client.Grants, clients.AuthorizationCode):
		return refuse(protocol.UnauthorizedClient, "The client is not registered for authorization codes.")
	case len(query.Get("nonce")) > 1024:
		return refuse(protocol.InvalidRequest, "The nonce is longer than 1024 bytes.")
	}
	return nil
}

// readFreshness reads prompt and max_age: whether the person must sign in, or be asked,
// once more.
func (req *Request) readFreshness() error {
	query, refuse := req.Query, protocol.Refuse
	req.prompt = strings.Fields(query.Get("prompt"))
	for _, p := range req.prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, p) {
			// The value is not repeated: it may be long, or a secret, and the
			// refusal is logged.
			return refuse(protocol.InvalidRequest, "The prompt is not supported; there are none, login, consent and select_account.")
		}
	}
	if slices.Contains(req.prompt, "none") && len(req.prompt) > 1 {
		return refuse(protocol.InvalidRequest, "The prompt none stands alone (OpenID Connect Core 1.0 section 3.1.2.1).")
	}
	if text := query.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return refuse(protocol.InvalidRequest, "The max_age is not a number of seconds.")
		}
		// A number too large for a Duration becomes the largest Duration: no session
		// is older than that.
		req.maxAge = time.Duration(min(seconds, math.MaxInt64/uint64(time.Second))) * time.Second
	}
	return nil
}

func (req *Request) decide(d grants.Decision) {
	req.Scopes, req.audiences, req.permissions, req.LeftOut = d.Scopes, d.Audiences, d.Permissions, d.LeftOut
}

// checkChallenge refuses a code_challenge (RFC 7636 section 4.3) whose method is not
// S256: with the method plain, whoever reads the request has the verifier. It also
// refuses a method without a challenge: the challenge was probably lost on its way.
func checkChallenge(query url.Values) *protocol.Error {
	challenge, method := query.Get("code_challenge"), query.Get("code_challenge_method")
	switch {
	case challenge == "" && method == "":
		return nil // whether it may be missing, Client.Unprotected says
	case challenge == "":
		return protocol.Refuse(protocol.InvalidRequest, "The parameter code_challenge is missing, and there is a code_challenge_method.")
	case method != "S256":
		return protocol.Refuse(protocol.InvalidRequest, "The code_challenge_method must be S256 (RFC 7636 section 4.2).")
	case !challengeSyntax.MatchString(challenge):
		return protocol.Refuse(protocol.InvalidRequest, "The code_challenge is not a SHA-256 in base64url.")
	}
	return nil
}
