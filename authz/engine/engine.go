package engine

import (
	"context"
	"errors"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
)

// Engine answers token requests (RFC 6749 section 3.2).
type Engine struct {
	types    *grants.Types
	handlers fosite.TokenEndpointHandlers
	provider *fosite.Fosite
}

// New returns the engine of these grant types.
func New(types *grants.Types) *Engine {
	// All fields are set here, because fosite sets those that are not while it serves
	// requests, without a lock.
	config := &fosite.Config{
		AccessTokenLifespan:      types.Rules.AccessTTL,
		RefreshTokenLifespan:     -1,
		AccessTokenIssuer:        types.Issuer.URL(),
		IDTokenIssuer:            types.Issuer.URL(),
		ScopeStrategy:            fosite.ExactScopeStrategy,            // the default takes wildcards
		AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy, // the default takes path prefixes
		EnforcePKCE:              true,
		AllowedPromptValues:      []string{"none"},
		RefreshTokenScopes:       []string{},
		MinParameterEntropy:      1,
		SanitationWhiteList:      []string{},
		RedirectSecureChecker:    fosite.IsRedirectURISecureStrict,
	}
	handlers := fosite.TokenEndpointHandlers{
		adapter{},
		&oauth2.ClientCredentialsGrantHandler{
			HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: strategy{}, AccessTokenStorage: unstored{}, Config: config},
			Config:       config,
		},
	}
	config.TokenEndpointHandlers = handlers
	return &Engine{types, handlers, fosite.NewOAuth2Provider(nil, config)}
}

// Token issues the tokens that a request asks for. protocol.From says how a client is
// told of its error.
func (e *Engine) Token(ctx context.Context, r grants.Request) (grants.Issued, error) {
	grant, err := e.types.Of(r)
	if err != nil {
		return grants.Issued{}, err
	}
	s := &session{grant: grant, request: r}
	request := fosite.NewAccessRequest(s)
	// fosite would split grant_type at spaces, so that one request could name two
	// grant types. Scopes and audiences are left out: fosite compares each with all
	// others, which takes half a second for the longest request that is read. The
	// grant types read them instead.
	request.GrantTypes = fosite.Arguments{r.GrantType}
	request.Client = client{r.Client}
	for _, h := range e.handlers {
		if !h.CanHandleTokenEndpointRequest(ctx, request) {
			continue
		}
		if err := h.HandleTokenEndpointRequest(ctx, request); err != nil {
			return grants.Issued{}, translated(err)
		}
	}
	if _, err := e.provider.NewAccessResponse(ctx, request); err != nil {
		return grants.Issued{}, translated(err)
	}
	return s.issued, nil
}

// translated returns an error of fosite as a *protocol.Error. Other errors are returned
// unchanged; so are those of fosite whose code is not in codes, which protocol.From treats
// as a fault of the server.
func translated(err error) error {
	var ours *protocol.Error
	var theirs *fosite.RFC6749Error
	if errors.As(err, &ours) || !errors.As(err, &theirs) {
		return err
	}
	code, ok := codes[theirs.ErrorField]
	if !ok {
		return err
	}
	e := protocol.Refuse(code, "%s", theirs.GetDescription())
	e.Cause = theirs.Cause()
	return e
}

// codes are the error codes of fosite that clients may be told. Several of the others
// are in no RFC.
var codes = map[string]protocol.Code{
	"invalid_request":        protocol.InvalidRequest,
	"invalid_client":         protocol.InvalidClient,
	"invalid_grant":          protocol.InvalidGrant,
	"unauthorized_client":    protocol.UnauthorizedClient,
	"unsupported_grant_type": protocol.UnsupportedGrantType,
	"invalid_scope":          protocol.InvalidScope,
}
