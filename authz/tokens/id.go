package tokens

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/keys"
)

// IDType is the `typ` of an ID token.
const IDType = "JWT"

// idLife is how long an ID token is valid. Its client reads it at once, so this can be
// short.
const idLife = time.Hour

// ID holds the contents of an ID token (OpenID Connect Core 1.0 section 2).
type ID struct {
	ClientID, Subject   string
	Nonce               string
	SessionID           string
	AuthenticatedAt     time.Time
	Methods             []string // RFC 8176
	ContextClass        string
	IssuedAt, ExpiresAt time.Time
	// Claims are further claims about the user, in groups. A group with which the token
	// would be longer than MaxID is left out: the client gets it from userinfo.
	Claims []map[string]json.RawMessage
	// Alg is the algorithm that signs it (id_token_signed_response_alg, OpenID Connect
	// Registration 1.0 section 2); empty means RS256.
	Alg string
}

// MaxID is the length, in bytes, up to which claims about the user are put into an ID
// token. It must stay short because it comes back in URLs, as a hint, and clients keep it
// in cookies.
const MaxID = 4096

type idClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	ExpiresAt int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	AuthTime  int64    `json:"auth_time"`
	Nonce     string   `json:"nonce,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	AtHash    string   `json:"at_hash,omitempty"`
}

// MintID makes and signs the ID token that is issued together with an access token.
func (i *Issuer) MintID(ctx context.Context, id ID, access string) (string, error) {
	now := i.now().Truncate(time.Second)
	ring := keys.TokensBy(keys.Algorithm(id.Alg))
	claims := idClaims{
		Issuer: i.url, Subject: id.Subject, Audience: audience{id.ClientID},
		ExpiresAt: now.Add(idLife).Unix(), IssuedAt: now.Unix(), AuthTime: id.AuthenticatedAt.Unix(),
		Nonce: id.Nonce, ACR: id.ContextClass, AMR: id.Methods, SessionID: id.SessionID,
		AtHash: atHash(access, ring.Algorithm()),
	}
	payload, err := claims.with(id.Claims)
	if err != nil {
		return "", err
	}
	token, err := i.signBy(ctx, ring, IDType, payload)
	if err != nil || len(token) <= MaxID || len(id.Claims) == 0 {
		return token, err
	}
	// How much room header and signature take is known only now.
	around := len(token) - base64.RawURLEncoding.EncodedLen(len(payload))
	var fitting []map[string]json.RawMessage
	for _, group := range id.Claims {
		more, err := claims.with(append(fitting[:len(fitting):len(fitting)], group))
		if err != nil {
			return "", err
		}
		if around+base64.RawURLEncoding.EncodedLen(len(more)) <= MaxID {
			fitting = append(fitting, group)
		}
	}
	if payload, err = claims.with(fitting); err != nil {
		return "", err
	}
	return i.signBy(ctx, ring, IDType, payload)
}

// atHash returns the `at_hash` of an access token: the left half of its hash, by the hash
// function that belongs to the algorithm of the ID token (section 3.1.3.6). Ed25519 uses
// SHA-512 inside (RFC 8032 section 5.1).
func atHash(access string, algorithm keys.Algorithm) string {
	short, long := sha256.Sum256([]byte(access)), sha512.Sum512([]byte(access))
	sum := short[:]
	if algorithm == keys.EdDSA {
		sum = long[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// LengthOf estimates the length of an ID token with all of these claims, for a client
// whose id and nonce have 32 characters, signed by a key of that many bits.
func LengthOf(issuer string, claims []map[string]json.RawMessage, bits int) int {
	name := strings.Repeat("x", 32)
	typical := idClaims{
		Issuer: issuer, Subject: name, Audience: audience{name}, ExpiresAt: 1e9, IssuedAt: 1e9, AuthTime: 1e9, Nonce: name,
		ACR: "1", AMR: []string{"pwd"}, SessionID: name, AtHash: name,
	}
	payload, err := typical.with(claims)
	if err != nil {
		return 0
	}
	const header = 90 // with a kid that is a thumbprint
	length := base64.RawURLEncoding.EncodedLen
	return length(header) + length(len(payload)) + length(bits/8) + len("..")
}

// with returns the claims as JSON, together with the groups of claims about the user. A
// claim about the user never replaces one about the token.
func (c idClaims) with(groups []map[string]json.RawMessage) ([]byte, error) {
	payload, err := json.Marshal(c)
	if err == nil && len(groups) > 0 {
		all := map[string]json.RawMessage{}
		for _, group := range groups {
			maps.Copy(all, group)
		}
		if err = json.Unmarshal(payload, &all); err == nil {
			payload, err = json.Marshal(all)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("write the claims: %w", err)
	}
	return payload, nil
}

// ReadHint returns the contents of an ID token that a client sends as an id_token_hint.
// The token may have expired (RP-Initiated Logout 1.0 section 2), and its key may no longer
// be published. Returns ErrInvalid if the token is not this server's, or if its key was
// withdrawn.
func (i *Issuer) ReadHint(ctx context.Context, token string) (ID, error) {
	v, err := withKeys(ctx, i, func() (keys.Verified, error) { return i.keys.VerifyHint(token, IDType) })
	if errors.Is(err, keys.ErrInvalidToken) {
		return ID{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return ID{}, err
	}
	var c struct {
		idClaims
		// An access token has both of these, and may have the same typ (see
		// AccessType).
		ID       string `json:"jti"`
		ClientID string `json:"client_id"`
	}
	if err := json.Unmarshal(v.Payload, &c); err != nil || c.Issuer != i.url || c.Subject == "" || len(c.Audience) == 0 || c.ID != "" || c.ClientID != "" {
		return ID{}, fmt.Errorf("%w: the claims cannot be read", ErrInvalid)
	}
	return ID{
		ClientID: c.Audience[0], Subject: c.Subject, SessionID: c.SessionID, Methods: slices.Clone(c.AMR),
		IssuedAt: time.Unix(c.IssuedAt, 0), ExpiresAt: time.Unix(c.ExpiresAt, 0),
	}, nil
}
