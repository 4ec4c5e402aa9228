package apis

import (
	"errors"
	"time"
)

// ErrInvalid: a field of the API is not acceptable; the error says which.
var ErrInvalid = errors.New("invalid API")

// TokenType is the `typ` in the header of access tokens.
type TokenType string

// The types there are.
const (
	// ATJWT is that of RFC 9068 section 2.1, which no other kind of token has.
	ATJWT TokenType = "at+jwt"
	// PlainJWT is for verifiers that take no other. ID tokens have it too: their
	// audience is the id of a client, so that of the API must not be one.
	PlainJWT TokenType = "JWT"
)

// API is a resource server that is registered: it accepts access tokens.
type API struct {
	// ID is made at creation and never changes.
	ID string
	// Audience is what tokens for this API carry in `aud`. Who checks one compares
	// it byte by byte; who asks for one may use either of its Spellings.
	Audience string
	// Name is what people are shown.
	Name string
	// Scopes are what the API offers.
	Scopes []string
	// ScopeTexts say what these allow. Who is to be told asks ScopeText.
	ScopeTexts ScopeTexts
	// AccessTTL is the life of an access token for this API; zero means the
	// server's default.
	AccessTTL time.Duration
	// Roles is whether access tokens for this API carry the roles of the user
	// (RFC 9068 section 2.2.3.1).
	Roles bool
	// TokenType is the `typ` of access tokens for this API.
	TokenType TokenType
	// Signing is by which algorithm access tokens for this API are signed.
	Signing Signing
	// EncryptionJWK is the public key, a JWK, to which access tokens for this API are
	// encrypted after they were signed; empty if they are only signed.
	EncryptionJWK string
	// Secrets are what the server shares with this API, for SharedAlg; MaxSecrets at most.
	// The API may have them before its tokens are signed so, and afterwards.
	Secrets   []Secret
	CreatedAt time.Time
}
