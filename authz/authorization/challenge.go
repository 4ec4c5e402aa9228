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
// (draft-ietf-oauth-first-party-apps section 5.1) before anyone is signed in for
// it, and returns what is asked for. It takes what the authorization endpoint takes
// (section 4.1), and refuses what it could not keep to.
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
		// A password is asked for, and nobody is signed in without one.
		return nil, protocol.Refuse(protocol.LoginRequired, "Nobody is signed in here without being asked.")
	case slices.Contains(req.prompt, "consent"):
		return nil, protocol.Refuse(protocol.ConsentRequired, "Nobody is asked for consent here; the authorization endpoint does.")
	case form.Get("id_token_hint") != "":
		// Who signs in is known only afterwards; and to look the name up before
		// would tell strangers whose it is.
		return nil, protocol.Refuse(protocol.InvalidRequest, "The id_token_hint is not supported here; compare the sub of the ID token that is issued.")
	}
	// The request outlives the check of the password: what proves who somebody is
	// must not come along to where it could be stored or logged.
	req.Query = maps.Clone(form)
	for _, name := range []string{"username", "password", "auth_session", "address", "client_secret"} {
		req.Query.Del(name)
	}
	return req, nil
}
