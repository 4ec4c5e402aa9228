package authz

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/tokens"
)

// FirstParty returns the client that signs someone in by itself.
func (a *Authority) FirstParty(ctx context.Context, presented clients.Presented) (*clients.Client, error) {
	client, err := a.Clients.Authenticate(ctx, presented)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(client.Grants, clients.SignIn) {
		return client, protocol.Refuse(protocol.UnauthorizedClient, "The client is not registered to sign people in by itself.")
	}
	return client, nil
}

// FirstPartyOf is FirstParty for what only a refresh token says: a public client
// needs to say nothing else.
func (a *Authority) FirstPartyOf(ctx context.Context, presented clients.Presented, refresh string) (*clients.Client, error) {
	if presented.ID == "" && presented.Headers == 0 {
		client, err := a.HolderOf(ctx, refresh)
		if err != nil {
			return nil, err
		}
		if client == "" {
			return nil, errNoGrant
		}
		presented.ID = client
	}
	return a.FirstParty(ctx, presented)
}

// HolderOf returns the id of the client that a refresh token was issued to; empty
// if it is none, or has expired.
func (a *Authority) HolderOf(ctx context.Context, refresh string) (string, error) {
	token, err := a.Issuer.ReadRefresh(ctx, refresh)
	if errors.Is(err, tokens.ErrInvalid) {
		return "", nil
	}
	return token.ClientID, err
}

var errNoGrant = protocol.Refuse(protocol.InvalidGrant, "The refresh token is not valid (any more), or was issued to another client.")

// Asks returns what a first-party client asks for. It is settled before anyone is
// signed in for it.
func (a *Authority) Asks(ctx context.Context, client *clients.Client, scope string) (grants.Decision, error) {
	return a.asks(ctx, client, nil, scope)
}

// TokensFor issues what a first-party client gets when it has signed someone in,
// for a login session that was begun for it. Returns grants.ErrNotFound if something
// was cut meanwhile.
func (a *Authority) TokensFor(ctx context.Context, client *clients.Client, session sessions.Session, d grants.Decision) (grants.Issued, error) {
	in := grants.SignIn{SessionID: session.ID, UserID: session.UserID, AuthenticatedAt: session.AuthenticatedAt, Methods: session.Methods, ContextClass: session.ContextClass}
	return a.grants.SignedIn(ctx, client, in, grants.Granted{Audiences: d.Audiences, Scopes: d.Scopes, Permissions: d.Permissions})
}

// ChallengeOf checks a request to the authorization challenge endpoint
// (draft-ietf-oauth-first-party-apps section 5.1) before anyone is signed in for
// it, and returns what is asked for. It takes what the authorization endpoint takes
// (section 4.1), and refuses what it could not keep to.
func (a *Authority) ChallengeOf(ctx context.Context, client *clients.Client, form url.Values) (*AuthorizeRequest, error) {
	if client.Hold != clients.HoldMemory {
		return nil, protocol.Refuse(protocol.UnauthorizedClient, "A client whose browser holds its refresh tokens signs people in at /login.")
	}
	req := &AuthorizeRequest{Query: form, Client: client, RedirectURI: form.Get("redirect_uri"), maxAge: -1, own: true}
	if form.Has("redirect_uri") && !client.Redirects(req.RedirectURI) {
		return nil, protocol.Refuse(protocol.InvalidRequest, "The redirect_uri is not one that is registered for the application.")
	}
	if err := a.readParameters(ctx, req); err != nil {
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

// OneOf returns the refresh token that one browser holds for a client, of those
// that it sent: the newest of the one grant that stands and is of a user whom here
// says to have signed in in this browser. Empty if there is no such, or no telling
// which: nobody is to go on as somebody else.
func (a *Authority) OneOf(ctx context.Context, sent []string, here func(user string) (bool, error)) (string, error) {
	if len(sent) == 1 {
		return sent[0], nil
	}
	var newest tokens.Refresh
	var found string
	for _, text := range sent {
		token, err := a.Issuer.ReadRefresh(ctx, text)
		if errors.Is(err, tokens.ErrInvalid) {
			continue
		}
		if err != nil {
			return "", err
		}
		g, err := a.Store.Grant(ctx, token.GrantID)
		if errors.Is(err, grants.ErrNotFound) || err == nil && !g.Stands {
			continue
		}
		if err != nil {
			return "", err
		}
		switch ok, err := here(g.UserID); {
		case err != nil:
			return "", err
		case !ok:
			continue
		case found != "" && newest.GrantID != token.GrantID:
			return "", nil
		}
		if token.Generation > newest.Generation {
			newest, found = token, text
		}
	}
	return found, nil
}

// RefreshFor refreshes for a first-party client.
func (a *Authority) RefreshFor(ctx context.Context, client *clients.Client, refresh string) (grants.Issued, error) {
	r := grants.Request{Client: client, GrantType: clients.RefreshToken, Parameters: url.Values{"refresh_token": {refresh}}, SignIn: true}
	grant, err := a.grants.Of(r)
	if err != nil {
		return grants.Issued{}, err
	}
	return grant.Grant(ctx, r)
}

// SignOutFor ends what a first-party client's refresh token is of: the grant, and
// the login session that was begun for it. A token that says nothing any more is
// no error: what is wanted is true already.
func (a *Authority) SignOutFor(ctx context.Context, client *clients.Client, sessions *sessions.Sessions, refresh string) error {
	token, err := a.Issuer.ReadRefresh(ctx, refresh)
	if errors.Is(err, tokens.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	if token.ClientID != client.ID {
		return errNoGrant
	}
	g, err := a.Store.Grant(ctx, token.GrantID)
	if errors.Is(err, grants.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := a.revokeGrant(ctx, g.ID, g.ClientID, client.ID); err != nil {
		return err
	}
	return sessions.EndApp(ctx, client.ID, g.SessionID, "signed out")
}
