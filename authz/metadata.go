package authz

import (
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
)

// Metadata describes the server (RFC 8414 section 2, OpenID Connect Discovery
// 1.0 section 3). It announces what exists and nothing else.
type Metadata struct {
	Issuer                           string   `json:"issuer"`
	TokenEndpoint                    string   `json:"token_endpoint"`
	JWKSURI                          string   `json:"jwks_uri"`
	IntrospectionEndpoint            string   `json:"introspection_endpoint"`
	RevocationEndpoint               string   `json:"revocation_endpoint"`
	GrantTypes                       []string `json:"grant_types_supported"`
	ResponseTypes                    []string `json:"response_types_supported"`
	TokenEndpointAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionEndpointAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationEndpointAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
}

// The paths of the endpoints, below the issuer.
const (
	PathToken      = "/oauth2/token"
	PathIntrospect = "/oauth2/introspect"
	PathRevoke     = "/oauth2/revoke"
	PathJWKS       = "/.well-known/jwks.json"
)

// Metadata returns the server's metadata.
func (a *Authority) Metadata() Metadata {
	at := a.Issuer.URL()
	confidential := []string{string(clients.SecretBasic), string(clients.SecretPost)}
	all := append(confidential[:2:2], string(clients.None))
	return Metadata{
		Issuer:                           at,
		TokenEndpoint:                    at + PathToken,
		JWKSURI:                          at + PathJWKS,
		IntrospectionEndpoint:            at + PathIntrospect,
		RevocationEndpoint:               at + PathRevoke,
		GrantTypes:                       grants.Supported,
		ResponseTypes:                    []string{}, // required by RFC 8414; there is no authorization endpoint
		TokenEndpointAuthMethods:         confidential,
		IntrospectionEndpointAuthMethods: confidential,
		RevocationEndpointAuthMethods:    all,
	}
}
