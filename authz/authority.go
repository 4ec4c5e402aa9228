package authz

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
)

// Parts is what an Authority is made of.
type Parts struct {
	grants.Parts
	Directory *clients.Registry
	Clients   *clients.Authenticator
	Consents  *accounts.Consents
	Cuts      *revocation.Cuts
	Listeners status.Store
	Notes     Notes
}

// Authority is the authorization server without its HTTP.
type Authority struct {
	Parts
	engine *fosite.Fosite
}

// New composes an authority.
func New(p Parts) *Authority {
	// fosite fills what is unset while it serves, without locks: set all.
	config := &fosite.Config{
		AccessTokenLifespan:      p.Rules.AccessTTL,
		RefreshTokenLifespan:     -1,
		AccessTokenIssuer:        p.Issuer.URL(),
		IDTokenIssuer:            p.Issuer.URL(),
		ScopeStrategy:            fosite.ExactScopeStrategy,            // the default takes wildcards
		AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy, // the default takes path prefixes
		EnforcePKCE:              true,
		AllowedPromptValues:      []string{"none"},
		RefreshTokenScopes:       []string{},
		MinParameterEntropy:      1,
		SanitationWhiteList:      []string{},
		RedirectSecureChecker:    fosite.IsRedirectURISecureStrict,
		JWKSFetcherStrategy:      nil, // no key set is ever fetched: client assertions are refused before
		ClientAuthenticationStrategy: func(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
			c, err := p.Clients.Authenticate(ctx, r, form)
			if err != nil {
				return nil, err
			}
			return &grants.Client{Client: c}, nil
		},
	}
	config.TokenEndpointHandlers = grants.Handlers(p.Parts, config)
	return &Authority{Parts: p, engine: fosite.NewOAuth2Provider(nil, config)}
}

// TokenResponse is a successful answer of the token endpoint (RFC 6749 section
// 5.1).
type TokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	// ExpiresIn is in seconds.
	ExpiresIn int64  `json:"expires_in"`
	Scope     string `json:"scope,omitempty"`

	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`

	// ClientID is the client that was answered or, if it is known, refused;
	// for the log.
	ClientID string `json:"-"`
}

// Token answers a token request whose form has been parsed. What it returns as
// an error goes through protocol.From.
func (a *Authority) Token(ctx context.Context, r *http.Request) (TokenResponse, error) {
	if r.PostForm.Get("grant_type") == "" {
		return TokenResponse{}, protocol.Refuse(protocol.InvalidRequest, "The parameter grant_type is missing.")
	}
	// fosite compares each scope and audience with all the others, and does so
	// before it authenticates the client: a stranger could keep a CPU busy for
	// half a second with one request. Package grants reads them afterwards.
	return a.token(ctx, r, &grants.Session{Scope: r.PostForm.Get("scope"), Targets: map[string][]string{}})
}

func (a *Authority) token(ctx context.Context, r *http.Request, session *grants.Session) (TokenResponse, error) {
	bare := r.WithContext(ctx)
	bare.PostForm = maps.Clone(r.PostForm)
	for _, name := range grants.TargetParameters {
		session.Targets[name] = r.PostForm[name]
		delete(bare.PostForm, name)
	}
	delete(bare.PostForm, "scope")
	bare.Form = bare.PostForm
	request, err := a.engine.NewAccessRequest(ctx, bare, session)
	if err != nil {
		return TokenResponse{ClientID: clientOf(request)}, err
	}
	response, err := a.engine.NewAccessResponse(ctx, request)
	if err != nil {
		return TokenResponse{ClientID: clientOf(request)}, err
	}
	access := session.Access
	return TokenResponse{
		RefreshToken: session.RefreshToken,
		IDToken:      session.IDToken,
		AccessToken:  response.GetAccessToken(),
		TokenType:    "Bearer",
		// From the token itself: fosite would subtract the wall clock.
		ExpiresIn: int64(access.ExpiresAt.Sub(access.IssuedAt) / time.Second),
		Scope:     joinScopes(access.Scopes),
		ClientID:  access.ClientID,
	}, nil
}

// clientOf returns the id of the client that authenticated, if one did.
func clientOf(request fosite.AccessRequester) string {
	if request == nil {
		return ""
	}
	if c, ok := request.GetClient().(*grants.Client); ok {
		return c.ID
	}
	return ""
}
