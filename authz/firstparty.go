package authz

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/tokens"
)

// FirstParty is for clients that sign people in by themselves, and what their apps do
// with refresh tokens.
type FirstParty struct {
	authenticator *clients.Authenticator
	issuer        *tokens.Issuer
	grants        *grants.Types
	store         grantStore
	cuts          *revocation.Cuts
	sessions      *sessions.Sessions
}

// NewFirstParty returns it. store keeps the grants.
func NewFirstParty(authenticator *clients.Authenticator, issuer *tokens.Issuer, types *grants.Types, store grantStore, cuts *revocation.Cuts, sessions *sessions.Sessions) *FirstParty {
	return &FirstParty{authenticator, issuer, types, store, cuts, sessions}
}

// grantStore keeps grants.
type grantStore interface {
	// Grant returns a grant, or grants.ErrNotFound.
	Grant(ctx context.Context, id string) (grants.Standing, error)
}

// Client returns the client that signs someone in by itself.
func (f *FirstParty) Client(ctx context.Context, presented clients.Presented) (*clients.Client, error) {
	client, err := f.authenticator.Authenticate(ctx, presented)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(client.Grants, clients.SignIn) {
		return client, protocol.Refuse(protocol.UnauthorizedClient, "The client is not registered to sign people in by itself.")
	}
	return client, nil
}

// ClientOf is Client for what only a refresh token says: a public client
// needs to say nothing else.
func (f *FirstParty) ClientOf(ctx context.Context, presented clients.Presented, refresh string) (*clients.Client, error) {
	if presented.ID == "" && presented.Headers == 0 {
		client, err := f.HolderOf(ctx, refresh)
		if err != nil {
			return nil, err
		}
		if client == "" {
			return nil, errNoGrant
		}
		presented.ID = client
	}
	return f.Client(ctx, presented)
}

// HolderOf returns the id of the client that a refresh token was issued to; empty
// if it is none, or has expired.
func (f *FirstParty) HolderOf(ctx context.Context, refresh string) (string, error) {
	token, err := f.issuer.ReadRefresh(ctx, refresh)
	if errors.Is(err, tokens.ErrInvalid) {
		return "", nil
	}
	return token.ClientID, err
}

var errNoGrant = protocol.Refuse(protocol.InvalidGrant, "The refresh token is not valid (any more), or was issued to another client.")

// SignedIn issues what a first-party client gets when it has signed someone in,
// for a login session that was begun for it. Returns grants.ErrNotFound if something
// was cut meanwhile.
func (f *FirstParty) SignedIn(ctx context.Context, client *clients.Client, session sessions.Session, d grants.Decision) (grants.Issued, error) {
	in := grants.SignIn{SessionID: session.ID, UserID: session.UserID, AuthenticatedAt: session.AuthenticatedAt, Methods: session.Methods, ContextClass: session.ContextClass}
	return f.grants.SignedIn(ctx, client, in, grants.Granted{Audiences: d.Audiences, Scopes: d.Scopes, Permissions: d.Permissions})
}

// OneOf returns the refresh token that one browser holds for a client, of those
// that it sent: the newest of the one grant that stands and is of a user whom here
// says to have signed in in this browser. Empty if there is no such, or no telling
// which: nobody is to go on as somebody else.
func (f *FirstParty) OneOf(ctx context.Context, sent []string, here func(user string) (bool, error)) (string, error) {
	if len(sent) == 1 {
		return sent[0], nil
	}
	var newest tokens.Refresh
	var found string
	for _, text := range sent {
		token, err := f.issuer.ReadRefresh(ctx, text)
		if errors.Is(err, tokens.ErrInvalid) {
			continue
		}
		if err != nil {
			return "", err
		}
		g, err := f.store.Grant(ctx, token.GrantID)
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

// Refresh refreshes for a first-party client.
func (f *FirstParty) Refresh(ctx context.Context, client *clients.Client, refresh string) (grants.Issued, error) {
	r := grants.Request{Client: client, GrantType: clients.RefreshToken, Parameters: url.Values{"refresh_token": {refresh}}, SignIn: true}
	grant, err := f.grants.Of(r)
	if err != nil {
		return grants.Issued{}, err
	}
	return grant.Grant(ctx, r)
}

// SignOut ends what a first-party client's refresh token is of: the grant, and
// the login session that was begun for it. A token that says nothing any more is
// no error: what is wanted is true already.
func (f *FirstParty) SignOut(ctx context.Context, client *clients.Client, refresh string) error {
	token, err := f.issuer.ReadRefresh(ctx, refresh)
	if errors.Is(err, tokens.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	if token.ClientID != client.ID {
		return errNoGrant
	}
	g, err := f.store.Grant(ctx, token.GrantID)
	if errors.Is(err, grants.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := revokeGrant(ctx, f.cuts, g.ID, g.ClientID, client.ID); err != nil {
		return err
	}
	return f.sessions.EndApp(ctx, client.ID, g.SessionID, "signed out")
}
