package engine

import (
	"context"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
)

// session carries one request through fosite to the grant type, and what that issued
// back. fosite passes it to each handler.
type session struct {
	grant   grants.Type
	request grants.Request
	issued  grants.Issued
}

var _ fosite.Session = (*session)(nil)

// issue calls the grant type.
func (s *session) issue(ctx context.Context) (err error) {
	s.issued, err = s.grant.Grant(ctx, s.request)
	return err
}

// SetExpiresAt does nothing. fosite stores here when tokens expire, by the wall clock;
// here the grant type decides that.
func (s *session) SetExpiresAt(fosite.TokenType, time.Time)       {}
func (s *session) GetExpiresAt(fosite.TokenType) (none time.Time) { return none }
func (s *session) GetUsername() string                            { return "" }
func (s *session) GetSubject() string                             { return s.issued.Access.Subject }

// Clone copies by hand: fosite's reflection takes a hundred times as long.
func (s *session) Clone() fosite.Session {
	c := *s
	return &c
}

// adapter is the handler of all grant types but client credentials, for which fosite has
// a handler of its own.
type adapter struct{}

var _ fosite.TokenEndpointHandler = adapter{}

func (adapter) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return !r.GetGrantTypes().ExactOne(clients.ClientCredentials)
}

func (adapter) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// HandleTokenEndpointRequest does nothing: a grant type decides and issues in one step,
// which PopulateTokenEndpointResponse calls.
func (adapter) HandleTokenEndpointRequest(context.Context, fosite.AccessRequester) error { return nil }

func (a adapter) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, answer fosite.AccessResponder) error {
	if !a.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	s := r.GetSession().(*session)
	if err := s.issue(ctx); err != nil {
		return err
	}
	answer.SetAccessToken(s.issued.AccessToken)
	answer.SetTokenType("bearer")
	return nil
}

// strategy makes access tokens for fosite's handler of client credentials.
type strategy struct{}

var _ oauth2.AccessTokenStrategy = strategy{}

// GenerateAccessToken returns the whole token as its signature too. fosite uses the
// signature as the key under which a token is stored, and these are not stored.
func (strategy) GenerateAccessToken(ctx context.Context, r fosite.Requester) (token, signature string, err error) {
	s := r.GetSession().(*session)
	err = s.issue(ctx)
	return s.issued.AccessToken, s.issued.AccessToken, err
}

func (strategy) AccessTokenSignature(_ context.Context, token string) string { return token }

// ValidateAccessToken always refuses. Only fosite's introspection calls it, which this
// server does not use.
func (strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return fosite.ErrRequestUnauthorized
}

// unstored is the storage that fosite's handler asks for; it stores nothing, because
// access tokens are not stored.
type unstored struct{}

var _ oauth2.AccessTokenStorage = unstored{}

func (unstored) CreateAccessTokenSession(context.Context, string, fosite.Requester) error { return nil }
func (unstored) DeleteAccessTokenSession(context.Context, string) error                   { return nil }
func (unstored) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fosite.ErrNotFound
}

// client is a client with the methods that fosite wants.
type client struct{ *clients.Client }

var _ fosite.Client = client{}

func (c client) GetID() string                      { return c.ID }
func (c client) GetHashedSecret() []byte            { return nil } // authentication is package clients' own
func (c client) GetRedirectURIs() []string          { return c.RedirectURIs }
func (c client) GetGrantTypes() fosite.Arguments    { return c.Grants }
func (c client) GetResponseTypes() fosite.Arguments { return nil }
func (c client) GetScopes() fosite.Arguments        { return c.Scopes }
func (c client) GetAudience() fosite.Arguments      { return c.Audiences }
func (c client) IsPublic() bool                     { return c.Auth == clients.None }
