package authz

import (
	"context"
	"errors"
	"net/url"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// EndSession is the endpoint to which applications send people to sign out (OpenID
// Connect RP-Initiated Logout 1.0 section 2).
type EndSession struct {
	issuer   *tokens.Issuer
	registry *clients.Registry
}

// NewEndSession returns the end-session endpoint of an issuer.
func NewEndSession(issuer *tokens.Issuer, registry *clients.Registry) *EndSession {
	return &EndSession{issuer, registry}
}

// LogoutRequest is a request to sign out (OpenID Connect RP-Initiated Logout
// 1.0). The client and the return address that it names are used only if they can be
// checked. Otherwise they are left out and the request is not refused: the person can
// sign out all the same.
type LogoutRequest struct {
	// Client is the application that sends the person here; nil if that is not known.
	Client *clients.Client
	// Return is the address to send the person to afterwards; empty if there is none.
	Return string
	// State is added to that address; may be empty.
	State string
	// NoReturn is why the request named an address, but Return is empty:
	// ErrNobodyAsks or ErrNotItsAddress. It is nil otherwise.
	NoReturn error
	// SessionID is the login session that the client means; may be empty.
	SessionID string
	Locale    string
}

var (
	// ErrNobodyAsks: the request does not show which application the address belongs to.
	ErrNobodyAsks = errors.New("post_logout_redirect_uri is not followed: no id_token_hint that can be checked and no known client_id says whose it is")
	// ErrNotItsAddress: the application that asks has not registered the address.
	ErrNotItsAddress = errors.New("post_logout_redirect_uri is not followed: it is not registered for the client")
)

// Parse reads a logout request. It ignores an id_token_hint that cannot be checked, and
// a client that is unknown or disabled. An address to return to is followed only if the
// client has registered it: otherwise this server would be an open redirector.
func (e *EndSession) Parse(ctx context.Context, query url.Values) (LogoutRequest, error) {
	req := LogoutRequest{Locale: query.Get("ui_locales")}
	id, asked, session := query.Get("client_id"), query.Get("post_logout_redirect_uri"), ""
	if text := query.Get("id_token_hint"); text != "" {
		switch hint, err := e.issuer.ReadHint(ctx, text); {
		case errors.Is(err, tokens.ErrInvalid):
		case err != nil:
			return LogoutRequest{}, err
		case id != "" && id != hint.ClientID:
			// One application would act in the name of another.
			return LogoutRequest{}, protocol.Refuse(protocol.InvalidRequest, "The id_token_hint is an ID token of another application than client_id names.")
		default:
			id, session = hint.ClientID, hint.SessionID
		}
	}
	client, err := e.registry.Client(ctx, id)
	if err == nil && (client.Disabled || !returnsTo(client, asked)) {
		// The copy in memory may be a moment old: ask the database before
		// refusing.
		client, err = e.registry.Stored(ctx, client.ID)
	}
	switch {
	case err == nil && !client.Disabled:
		req.Client, req.SessionID = client, session
	case err != nil && !errors.Is(err, clients.ErrNotFound):
		return LogoutRequest{}, err
	}
	switch {
	case asked == "":
	case req.Client == nil:
		req.NoReturn = ErrNobodyAsks
	case !returnsTo(req.Client, asked):
		req.NoReturn = ErrNotItsAddress
	default:
		req.Return, _ = req.Client.AfterLogout(asked)
		req.State = query.Get("state")
	}
	return req, nil
}

// returnsTo reports whether a client may have people sent to that address after they
// signed out. Every client may ask for none.
func returnsTo(client *clients.Client, asked string) bool {
	_, ok := client.AfterLogout(asked)
	return ok || asked == ""
}
