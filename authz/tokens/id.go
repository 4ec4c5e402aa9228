package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/keys"
)

// IDType is the `typ` of an ID token.
const IDType = "JWT"

// ContextClass is the `acr` of a sign-in with a password: there is no other.
const ContextClass = "1"

// IDLife is for how long an ID token says that someone signed in. It is for its
// client to read at once.
const IDLife = time.Hour

// ID is an ID token (OpenID Connect Core 1.0 section 2).
type ID struct {
	ClientID, Subject   string
	Nonce               string
	SessionID           string
	AuthenticatedAt     time.Time
	Methods             []string
	IssuedAt, ExpiresAt time.Time
}

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

// MintID signs an ID token that goes with an access token.
func (i *Issuer) MintID(id ID, access string) (string, error) {
	now := i.now().Truncate(time.Second)
	// The left half of the hash that goes with RS256 (section 3.1.3.6).
	sum := sha256.Sum256([]byte(access))
	claims, err := json.Marshal(idClaims{
		Issuer: i.url, Subject: id.Subject, Audience: audience{id.ClientID},
		ExpiresAt: now.Add(IDLife).Unix(), IssuedAt: now.Unix(), AuthTime: id.AuthenticatedAt.Unix(),
		Nonce: id.Nonce, ACR: ContextClass, AMR: id.Methods, SessionID: id.SessionID,
		AtHash: base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]),
	})
	if err != nil {
		return "", fmt.Errorf("write the claims: %w", err)
	}
	return i.keys.Sign(keys.Tokens, IDType, claims)
}

// ReadHint returns what an ID token says that comes back as a hint; it may have
// expired (RP-Initiated Logout 1.0 section 2), and its key may be gone. What is
// none of this server's, or of a withdrawn key, is ErrInvalid.
func (i *Issuer) ReadHint(ctx context.Context, token string) (ID, error) {
	v, err := i.verify(ctx, func() (keys.Verified, error) { return i.keys.VerifyHint(token, IDType) })
	if errors.Is(err, keys.ErrInvalidToken) {
		return ID{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return ID{}, err
	}
	var c idClaims
	if err := json.Unmarshal(v.Payload, &c); err != nil || c.Issuer != i.url || c.Subject == "" || len(c.Audience) == 0 {
		return ID{}, fmt.Errorf("%w: the claims cannot be read", ErrInvalid)
	}
	return ID{
		ClientID: c.Audience[0], Subject: c.Subject, SessionID: c.SessionID, Methods: slices.Clone(c.AMR),
		IssuedAt: time.Unix(c.IssuedAt, 0), ExpiresAt: time.Unix(c.ExpiresAt, 0),
	}, nil
}
