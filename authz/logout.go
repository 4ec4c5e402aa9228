package authz

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// LogoutRequest is a request to sign out (OpenID Connect RP-Initiated Logout
// 1.0) that was found in order.
type LogoutRequest struct {
	// Client is who sends the person here, or nil.
	Client *clients.Client
	// Return is where to send them afterwards; empty if nowhere.
	Return string
	// SessionID is the login session that the client means; may be empty.
	SessionID string
}

// ParseLogout reads a logout request. An address to return to counts only if it
// is registered for a client that the request names: otherwise this server
// would be a redirector.
func (a *Authority) ParseLogout(ctx context.Context, query url.Values) (LogoutRequest, error) {
	var req LogoutRequest
	for _, values := range query {
		if len(values) > 1 {
			return req, protocol.Refuse(protocol.InvalidRequest, "A parameter is given more than once.")
		}
	}
	id := query.Get("client_id")
	if hint := query.Get("id_token_hint"); hint != "" {
		token, err := a.Issuer.ReadHint(ctx, hint)
		if err != nil && !errors.Is(err, tokens.ErrInvalid) {
			return req, err
		}
		if err != nil || id != "" && id != token.ClientID {
			return req, protocol.Refuse(protocol.InvalidRequest, "The id_token_hint is not an ID token of this server for this application.")
		}
		id, req.SessionID = token.ClientID, token.SessionID
	}
	if id != "" {
		client, err := a.Directory.Client(ctx, id)
		if errors.Is(err, clients.ErrNotFound) || err == nil && client.Disabled {
			return req, protocol.Refuse(protocol.InvalidRequest, "The application that sent you here is not known.")
		}
		if err != nil {
			return req, err
		}
		req.Client = client
	}
	if to := query.Get("post_logout_redirect_uri"); to != "" {
		if req.Client == nil || !slices.Contains(req.Client.PostLogoutRedirectURIs, to) {
			return req, protocol.Refuse(protocol.InvalidRequest, "The address to return to is not one that is registered for the application.")
		}
		if state := query.Get("state"); state != "" {
			to = WithQuery(to, url.Values{"state": {state}})
		}
		req.Return = to
	}
	return req, nil
}
