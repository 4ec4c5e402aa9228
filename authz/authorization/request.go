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
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// Request is an authorization request (RFC 6749 section 4.1.1, OpenID
// Connect Core 1.0 section 3.1.2.1) that was found in order.
type Request struct {
	// Query is the request as the client made it; it can be parsed again.
	Query       url.Values
	Client      *clients.Client
	RedirectURI string
	// FormPost is whether the answer is posted (OAuth 2.0 Form Post Response
	// Mode) instead of put in the redirect's query.
	FormPost bool
	State    string
	// Scopes are what is asked for and can be had; LeftOut is how many cannot.
	Scopes  []string
	LeftOut int

	audiences   []string
	permissions []grants.Permission
	nonce       string
	challenge   string
	prompt      []string
	// maxAge is below zero if it was not given.
	maxAge    time.Duration
	LoginHint string
	// hinted is the `sub` of id_token_hint; empty if that cannot be checked.
	hinted string
	// done is what was done for the request, sealed; empty if nothing.
	done   string
	Locale string
	// own is whether the client signs the person in by itself.
	own bool
}

// RefusedError is a refusal that the client is told, at its redirect URI.
type RefusedError struct {
	Request *Request
	Refused *protocol.Error
}

func (e *RefusedError) Error() string { return e.Refused.Error() }
func (e *RefusedError) Unwrap() error { return e.Refused }

// formPost is the response_mode of OAuth 2.0 Form Post Response Mode.
const formPost = "form_post"

// takesForms reports whether a browser can post a form to an address.
func takesForms(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

var challengeSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// ErrMalformed is what a fault of parameters wraps if some of them could not even
// be read: nobody knows what they said.
var ErrMalformed = errors.New("malformed parameters")

// Parse reads an authorization request. fault is what was found wrong
// when its parameters were read, and refuses it as a whole; query is then only as
// much of it as could be read. What cannot be answered at a redirect URI, because
// that is not known to be the client's, is a *protocol.Error, to be shown to the
// person; the rest an *RefusedError.
func (e *Endpoint) Parse(ctx context.Context, query url.Values, fault error) (*Request, error) {
	refuse := func(code protocol.Code, format string, args ...any) error {
		if fault != nil {
			return fault // of which this may only be a consequence
		}
		return protocol.Refuse(code, format, args...)
	}
	// First who asks and where to answer. An answer at an address that is not
	// the client's would make this server a redirector for whoever writes links
	// (RFC 9700 section 4.11).
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(query[name]) > 1 {
			return nil, refuse(protocol.InvalidRequest, "The parameter %s is given more than once.", name)
		}
	}
	query, sealed := takeDone(query)
	client, err := e.registry.Client(ctx, query.Get("client_id"))
	if err == nil && (client.Disabled || query.Has("redirect_uri") && !client.Redirects(query.Get("redirect_uri"))) {
		// A no is never a stale one.
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
	// And how: a refusal goes the way that the answer would have gone.
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

// readParameters reads the rest of a request, which is the same wherever it is
// sent. A refusal is a *protocol.Error.
func (e *Endpoint) readParameters(ctx context.Context, req *Request) error {
	query, client, refuse := req.Query, req.Client, protocol.Refuse
	for _, values := range query {
		if slices.ContainsFunc(values, func(v string) bool { return strings.ContainsRune(v, 0) }) {
			return refuse(protocol.InvalidRequest, "A parameter holds a NUL.") // which not every database stores
		}
	}
	responseType := query.Get("response_type")
	if req.own && responseType == "" {
		// It is required there too (draft-ietf-oauth-first-party-apps section 5.1),
		// but clients leave it out, and only one thing could be meant.
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
	if e := checkChallenge(query); e != nil {
		return e
	}
	req.challenge, req.nonce = query.Get("code_challenge"), query.Get("nonce")
	req.LoginHint, req.Locale = query.Get("login_hint"), query.Get("ui_locales")

	req.prompt = strings.Fields(query.Get("prompt"))
	for _, p := range req.prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, p) {
			// Not which: it may be anything, of any length, and is logged.
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
		// No session is older than what a Duration holds.
		req.maxAge = time.Duration(min(seconds, math.MaxInt64/uint64(time.Second))) * time.Second
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
		return refuse(protocol.InvalidRequest, "%s", lacks)
	}
	return nil
}

func (req *Request) decide(d grants.Decision) {
	req.Scopes, req.audiences, req.permissions, req.LeftOut = d.Scopes, d.Audiences, d.Permissions, d.LeftOut
}

// checkChallenge refuses a code_challenge (RFC 7636 section 4.3) with another method
// than S256: with plain, whoever reads the request has the verifier. A method alone
// is what is left when a challenge was lost on its way.
func checkChallenge(query url.Values) *protocol.Error {
	challenge, method := query.Get("code_challenge"), query.Get("code_challenge_method")
	switch {
	case challenge == "" && method == "":
		return nil // what is granted says whether it may be missing
	case challenge == "":
		return protocol.Refuse(protocol.InvalidRequest, "The parameter code_challenge is missing, and there is a code_challenge_method.")
	case method != "S256":
		return protocol.Refuse(protocol.InvalidRequest, "The code_challenge_method must be S256 (RFC 7636 section 4.2).")
	case !challengeSyntax.MatchString(challenge):
		return protocol.Refuse(protocol.InvalidRequest, "The code_challenge is not a SHA-256 in base64url.")
	}
	return nil
}
