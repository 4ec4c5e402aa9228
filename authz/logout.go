package authz

import (
	"context"
	"errors"
	"net/url"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// EndSession is the endpoint at which people sign out (OpenID Connect RP-Initiated
// Logout 1.0 section 2).
type EndSession struct {
	issuer   *tokens.Issuer
	registry *clients.Registry
}

// NewEndSession returns it.
func NewEndSession(issuer *tokens.Issuer, registry *clients.Registry) *EndSession {
	return &EndSession{issuer, registry}
}

// LogoutRequest is a request to sign out (OpenID Connect RP-Initiated Logout
// 1.0). What it says of who asks, and where to return to, counts only as far as it
// can be checked: whoever wants to sign out can.
type LogoutRequest struct {
	// Client is who sends the person here, or nil.
	Client *clients.Client
	// Return is where to send them afterwards; empty if nowhere.
	Return string
	// State goes along to there; may be empty.
	State string
	// NoReturn is why an address that was asked for is not in Return: ErrNobodyAsks
	// or ErrNotItsAddress; nil if it is, or none was.
	NoReturn error
	// SessionID is the login session that the client means; may be empty.
	SessionID string
	Locale    string
}

var (
	// ErrNobodyAsks: no application that is known vouches for the address.
	ErrNobodyAsks = errors.New("post_logout_redirect_uri is not followed: no id_token_hint that can be checked and no known client_id says whose it is")
	// ErrNotItsAddress: the application that asks has not registered it.
	ErrNotItsAddress = errors.New("post_logout_redirect_uri is not followed: it is not registered for the client")
)

// Parse reads a logout request. An id_token_hint that cannot be checked is
// as if it were absent, and so is a client that is not known, or disabled. An
// address to return to counts only if it is registered for the client that the
// request names: otherwise this server would be a redirector.
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
		// A no is never a stale one.
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

// returnsTo reports whether a client may have people sent to an address after
// they signed out; to none, every client may.
func returnsTo(client *clients.Client, asked string) bool {
	_, ok := client.AfterLogout(asked)
	return ok || asked == ""
}
