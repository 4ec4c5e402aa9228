package grants

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/tokens"
)

// Lives says for how long refresh tokens and grants last.
type Lives struct {
	// Refresh is the life of a refresh token, which each refresh renews.
	Refresh time.Duration
	// Grant is when a grant ends, however often it is refreshed.
	Grant time.Duration
	// Grace is for how long a refresh token may be used again, with the same
	// answer, for clients that set none of their own.
	Grace time.Duration
}

// Parts is everything that the grant types use: rules, keys, the database, the clock.
type Parts struct {
	Rules *Rules
	Epoch *revocation.Epoch
	// Cuts revokes a grant when a code or refresh token that may be used once was used
	// again.
	Cuts   *revocation.Cuts
	Issuer *tokens.Issuer
	Store  Store
	Users  *accounts.Users
	// Indices gives each grant and token its place in a status list, one of Lists.
	Indices *indices.Taker
	Lists   indices.Lists
	Lives   Lives
	Now     func() time.Time
	Log     *slog.Logger
}

// Type is a grant type: one way to get a token.
type Type interface {
	// Grant issues what a request asks for. A refusal is a *protocol.Error.
	Grant(ctx context.Context, r Request) (Issued, error)
}

// Types are the grant types that there are.
type Types struct {
	Parts
	types map[string]Type
}

// New returns the grant types, made of these parts.
func New(p Parts) *Types {
	return &Types{p, map[string]Type{
		clients.AuthorizationCode: &authorizationCode{p},
		clients.RefreshToken:      &refreshToken{p},
		clients.ClientCredentials: &clientCredentials{p},
	}}
}

// Of returns the grant type that answers a request, or refuses the request where
// there is no such grant type or its client may not use it.
func (t *Types) Of(r Request) (Type, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	return t.types[r.GrantType], nil
}

// Belongs reports whether a grant is one of that user for that client, and for that API
// among others. It says nothing about whether the grant stands.
func (t *Types) Belongs(ctx context.Context, id, client, user, audience string) (bool, error) {
	g, err := t.Store.Grant(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && g.ClientID == client && g.UserID == user && slices.Contains(g.Audiences, audience), err
}
