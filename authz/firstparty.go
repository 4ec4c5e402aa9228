package authz

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/tokens"
)

// FirstParty serves first-party clients: apps that ask for the password themselves
// instead of sending people to the sign-in page. It issues their tokens, refreshes them
// and signs out.
type FirstParty struct {
	authenticator *clients.Authenticator
	issuer        *tokens.Issuer
	grants        *grants.Types
	store         grantStore
	cuts          *revocation.Cuts
	sessions      *sessions.Sessions
}

// NewFirstParty returns the endpoint of first-party clients. store keeps the grants.
func NewFirstParty(authenticator *clients.Authenticator, issuer *tokens.Issuer, types *grants.Types, store grantStore, cuts *revocation.Cuts, sessions *sessions.Sessions) *FirstParty {
	return &FirstParty{authenticator, issuer, types, store, cuts, sessions}
}

// grantStore reads grants.
type grantStore interface {
	// Grant returns a grant, or grants.ErrNotFound.
	Grant(ctx context.Context, id string) (grants.Standing, error)
}

// Client authenticates a client that wants to sign someone in by itself. It refuses a
// client that is not registered for that.
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

// ClientOf is Client for a request that has a refresh token. A public client may send
// nothing else: then the token says which client it is.
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
// if the text is no refresh token, or the token has expired.
func (f *FirstParty) HolderOf(ctx context.Context, refresh string) (string, error) {
	token, err := f.issuer.ReadRefresh(ctx, refresh)
	if errors.Is(err, tokens.ErrInvalid) {
		return "", nil
	}
	return token.ClientID, err
}

var errNoGrant = protocol.Refuse(protocol.InvalidGrant, "The refresh token is not valid (any more), or was issued to another client.")

// SignedIn issues the tokens for a first-party client that has just signed someone in,
// in a login session that was begun for it. It returns grants.ErrNotFound if the
// session, the user or the client was revoked meanwhile.
func (f *FirstParty) SignedIn(ctx context.Context, client *clients.Client, session sessions.Session, d grants.Decision) (grants.Issued, error) {
	in := grants.SignIn{SessionID: session.ID, UserID: session.UserID, AuthenticatedAt: session.AuthenticatedAt, Methods: session.Methods, ContextClass: session.ContextClass}
	return f.grants.SignedIn(ctx, client, in, permission.Granted{Audiences: d.Audiences, Scopes: d.Scopes, Permissions: d.Permissions})
}

// OneOf picks, of the refresh tokens that a browser sent for one client, the one to use.
// (A browser can hold several cookies of one name.) It is the newest token of the one
// grant that stands and whose user has signed in in this browser, as here reports. If
// there is no such grant, or more than one, the result is empty: otherwise somebody
// could go on as somebody else.
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

// Refresh exchanges the refresh token of a first-party client for new tokens.
func (f *FirstParty) Refresh(ctx context.Context, client *clients.Client, refresh string) (grants.Issued, error) {
	r := grants.Request{Client: client, GrantType: clients.RefreshToken, Parameters: url.Values{"refresh_token": {refresh}}, SignIn: true}
	grant, err := f.grants.Of(r)
	if err != nil {
		return grants.Issued{}, err
	}
	return grant.Grant(ctx, r)
}

// SignOut ends the grant that a first-party client's refresh token belongs to, and the
// login session that was begun with it. A token that is invalid or has expired is no
// error: the person is signed out already.
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
	var g grants.Standing
	err = f.grants.WhenThere(ctx, token.IssuedAt, func() (err error) {
		g, err = f.store.Grant(ctx, token.GrantID)
		return err
	})
	if errors.Is(err, grants.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if g.ClientID != client.ID {
		return errNoGrant
	}
	if err := revokeGrant(ctx, f.grants, f.cuts, g.ID, client.ID, token.IssuedAt); err != nil {
		return err
	}
	return f.sessions.EndApp(ctx, client.ID, g.SessionID, "signed out", audit.Client(client.ID))
}
