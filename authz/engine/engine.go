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
	// fosite fills what is unset while it serves, without locks: set all.
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

// Token issues what a request asks for. What it returns as an error goes through
// protocol.From.
func (e *Engine) Token(ctx context.Context, r grants.Request) (grants.Issued, error) {
	grant, err := e.types.Of(r)
	if err != nil {
		return grants.Issued{}, err
	}
	s := &session{grant: grant, request: r}
	request := fosite.NewAccessRequest(s)
	// fosite splits grant_type at spaces; the parameter is one value. It compares
	// each scope and audience with all the others, so that one request could keep a
	// CPU busy for half a second: it gets none. The grant types read them.
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

// translated returns an error of fosite's as one of ours. All others stay as they
// are; so does what has no code here, which protocol.From takes for a fault of the
// server.
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

// codes are those of fosite's error codes that may be shown. Several of the others
// are in no RFC.
var codes = map[string]protocol.Code{
	"invalid_request":        protocol.InvalidRequest,
	"invalid_client":         protocol.InvalidClient,
	"invalid_grant":          protocol.InvalidGrant,
	"unauthorized_client":    protocol.UnauthorizedClient,
	"unsupported_grant_type": protocol.UnsupportedGrantType,
	"invalid_scope":          protocol.InvalidScope,
}
