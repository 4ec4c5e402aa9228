package authz

import (
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
)

// Metadata describes the server to clients (RFC 8414 section 2, OpenID Connect Discovery
// 1.0 section 3). It announces only what exists.
type Metadata struct {
	Issuer string `json:"issuer"`
	Endpoints
	GrantTypes                       []string `json:"grant_types_supported"`
	ResponseTypes                    []string `json:"response_types_supported"`
	ResponseModes                    []string `json:"response_modes_supported"`
	CodeChallengeMethods             []string `json:"code_challenge_methods_supported"`
	Scopes                           []string `json:"scopes_supported"`
	Claims                           []string `json:"claims_supported"`
	SubjectTypes                     []string `json:"subject_types_supported"`
	IDTokenAlgorithms                []string `json:"id_token_signing_alg_values_supported"`
	ACRValues                        []string `json:"acr_values_supported"`
	Prompts                          []string `json:"prompt_values_supported"`
	UILocales                        []string `json:"ui_locales_supported"`
	IssParameter                     bool     `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameter                  bool     `json:"claims_parameter_supported"`
	RequestParameter                 bool     `json:"request_parameter_supported"`
	RequestURIParameter              bool     `json:"request_uri_parameter_supported"`
	TokenEndpointAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionEndpointAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	// IntrospectionAlgorithms is defined by RFC 9701 section 7.
	IntrospectionAlgorithms       []string `json:"introspection_signing_alg_values_supported"`
	RevocationEndpointAuthMethods []string `json:"revocation_endpoint_auth_methods_supported"`
}

// Endpoints are the addresses of the server's endpoints, each a whole URL. Package web,
// which serves them, fills them in.
type Endpoints struct {
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	// ChallengeEndpoint is defined by draft-ietf-oauth-first-party-apps section 5.
	ChallengeEndpoint     string `json:"authorization_challenge_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	UserInfoEndpoint      string `json:"userinfo_endpoint"`
	EndSessionEndpoint    string `json:"end_session_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	// StatusLists is defined by draft-ietf-oauth-status-list-20 section 9.1. The two
	// after it are Ingam's own.
	StatusLists  string `json:"status_list_aggregation_endpoint"`
	StatusEvents string `json:"status_events_endpoint"`
	StatusAck    string `json:"status_ack_endpoint"`
}

// NewMetadata returns the metadata of an issuer whose endpoints have these addresses.
// own are the scopes that the server itself understands.
func NewMetadata(issuer string, at Endpoints, own *apis.Own) Metadata {
	confidential := []string{string(clients.SecretBasic), string(clients.SecretPost)}
	all := append(confidential[:2:2], string(clients.None))
	return Metadata{
		Issuer:               issuer,
		Endpoints:            at,
		GrantTypes:           grants.Supported,
		ResponseTypes:        []string{"code"},
		ResponseModes:        []string{"query", "form_post"},
		CodeChallengeMethods: []string{"S256"},
		Scopes:               own.Names(),
		Claims: append([]string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"},
			own.Claims()...),
		SubjectTypes:                     []string{"public"},
		IDTokenAlgorithms:                apis.SigningAlgs(),
		ACRValues:                        []string{sessions.OneFactor},
		Prompts:                          []string{"none", "login", "consent", "select_account"},
		UILocales:                        []string{"en", "ko"},
		IssParameter:                     true,
		TokenEndpointAuthMethods:         all,
		IntrospectionEndpointAuthMethods: confidential,
		IntrospectionAlgorithms:          []string{apis.DefaultAlg},
		RevocationEndpointAuthMethods:    all,
	}
}
