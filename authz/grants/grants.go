package grants

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/tokens"
)

// Supported are the grant types that the token endpoint offers; the metadata
// announces them.
var Supported = []string{clients.AuthorizationCode, clients.RefreshToken, clients.ClientCredentials}

// Lives are how long what is granted lasts.
type Lives struct {
	// Refresh is the life of a refresh token, which each refresh renews.
	Refresh time.Duration
	// Grant is when a grant ends, however often it is refreshed.
	Grant time.Duration
	// Grace is for how long a refresh token may be used again, with the same
	// answer, for clients that set none of their own.
	Grace time.Duration
}

// Parts is what the grants stand on.
type Parts struct {
	Rules  *Rules
	Epoch  *revocation.Epoch
	Issuer *tokens.Issuer
	Store  Store
	Users  *accounts.Directory
	// Indices are where the status of what is issued will be, in these lists.
	Indices *status.Taker
	Lists   *status.Lists
	Lives   Lives
	Now     func() time.Time
	Log     *slog.Logger
}

// Handlers returns the handlers of the token endpoint, in order. config is
// fosite's own, which its handlers ask for strategies and lifespans.
func Handlers(p Parts, config *fosite.Config) fosite.TokenEndpointHandlers {
	access := &oauth2.HandleHelper{
		AccessTokenStrategy: &accessStrategy{p.Issuer, p.Epoch, p.Indices},
		AccessTokenStorage:  unstored{},
		Config:              config,
	}
	return fosite.TokenEndpointHandlers{
		checks{},
		clientCredentials{p.Rules},
		&oauth2.ClientCredentialsGrantHandler{HandleHelper: access, Config: config},
		&authorizationCode{p},
		&refreshToken{p},
	}
}

// accessStrategy writes access tokens for fosite's handlers.
type accessStrategy struct {
	issuer  *tokens.Issuer
	epoch   *revocation.Epoch
	indices *status.Taker
}

var _ oauth2.AccessTokenStrategy = (*accessStrategy)(nil)

// GenerateAccessToken returns the whole token as its own signature: it is not
// stored, so there is no shorter name for it.
func (s *accessStrategy) GenerateAccessToken(ctx context.Context, r fosite.Requester) (token, signature string, err error) {
	session := r.GetSession().(*Session)
	client := r.GetClient().(*Client)
	epoch, err := s.epoch.Current(ctx)
	if err != nil {
		return "", "", err
	}
	session.Access = tokens.Access{
		Type:     string(session.decision.TokenType),
		ClientID: client.GetID(),
		Subject:  client.GetID(),
		Audience: r.GetGrantedAudience(),
		Scopes:   r.GetGrantedScopes(),
		Epoch:    max(epoch, client.Epoch),
	}
	session.Access.Status, err = s.indices.ForClient(ctx, client.ID, session.Access.Epoch, session.decision.TTL)
	if errors.Is(err, status.ErrNotFound) {
		return "", "", protocol.Refuse(protocol.InvalidClient, "The client was disabled.")
	}
	if err != nil {
		return "", "", err
	}
	token, err = s.issuer.MintAccess(&session.Access, session.decision.TTL)
	return token, token, err
}

func (s *accessStrategy) AccessTokenSignature(_ context.Context, token string) string { return token }

// ValidateAccessToken is asked by fosite's own introspection only, which this
// server does not use.
func (s *accessStrategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return fosite.ErrRequestUnauthorized
}

// unstored is the storage of what is not stored: an access token is its own
// record.
type unstored struct{}

var _ oauth2.AccessTokenStorage = unstored{}

func (unstored) CreateAccessTokenSession(context.Context, string, fosite.Requester) error { return nil }
func (unstored) DeleteAccessTokenSession(context.Context, string) error                   { return nil }
func (unstored) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fosite.ErrNotFound
}
