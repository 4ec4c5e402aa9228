package authorization

import (
	"context"
	"maps"
	"net/url"
	"slices"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
)

// Challenge checks a request to the authorization challenge endpoint
// (draft-ietf-oauth-first-party-apps section 5.1) before the password in it is checked,
// and returns what it asks for. It accepts the parameters of the authorization endpoint
// (section 4.1), but refuses those that cannot be followed without a browser.
func (e *Endpoint) Challenge(ctx context.Context, client *clients.Client, form url.Values) (*Request, error) {
	if client.Hold != clients.HoldMemory {
		return nil, protocol.Refuse(protocol.UnauthorizedClient, "A client whose browser holds its refresh tokens signs people in at /login.")
	}
	req := &Request{Query: form, Client: client, RedirectURI: form.Get("redirect_uri"), maxAge: -1, own: true}
	if form.Has("redirect_uri") && !client.Redirects(req.RedirectURI) {
		return nil, protocol.Refuse(protocol.InvalidRequest, "The redirect_uri is not one that is registered for the application.")
	}
	if err := e.readParameters(ctx, req); err != nil {
		return nil, err
	}
	switch {
	case slices.Contains(req.prompt, "none"):
		// Without a browser there is no session that could be used silently.
		return nil, protocol.Refuse(protocol.LoginRequired, "Nobody is signed in here without being asked.")
	case slices.Contains(req.prompt, "consent"):
		return nil, protocol.Refuse(protocol.ConsentRequired, "Nobody is asked for consent here; the authorization endpoint does.")
	case form.Get("id_token_hint") != "":
		// Who signs in is known only after the password was checked. If the name
		// were compared with the hint before, a stranger could find out by it whose
		// name that is.
		return nil, protocol.Refuse(protocol.InvalidRequest, "The id_token_hint is not supported here; compare the sub of the ID token that is issued.")
	}
	// The request is used after the password was checked. So credentials are removed
	// from it: they must not come to where they could be stored or logged.
	req.Query = maps.Clone(form)
	for _, name := range []string{"username", "password", "auth_session", "address", "client_secret"} {
		req.Query.Del(name)
	}
	return req, nil
}
