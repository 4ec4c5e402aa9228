package tokens

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/keys"
)

// IsEncrypted reports whether a text has the form of an encrypted token: a JWE has five
// parts (RFC 7516 section 3.1), a signed token three.
func IsEncrypted(token string) bool { return strings.Count(token, ".") == 4 }

// encryptedHeader is what this server reads of the header of an encrypted token. Anyone
// can encrypt to the key of an API, under any header, so nothing in it says who made the
// token; except for Sealed, which this server alone can write.
type encryptedHeader struct {
	ID string `json:"jti"`
	// Sealed is sealedAccess, sealed for that ID.
	Sealed string `json:"ing"`
}

// sealedAccess is what this server has to know of a token that it cannot decrypt. It is in
// the token's header, twice encoded, so the names are short. What is absent is empty, or
// what usually stands there.
type sealedAccess struct {
	Type      string         `json:"t,omitempty"`
	ClientID  string         `json:"c"`
	Subject   string         `json:"s,omitempty"` // absent: the client
	Audience  []string       `json:"a"`
	Scopes    []string       `json:"o,omitempty"`
	IssuedAt  int64          `json:"i"`
	ExpiresAt int64          `json:"x"`
	Epoch     changes.Number `json:"e"`
	KeyID     string         `json:"k"`
	GrantID   string         `json:"g,omitempty"`
	List      int64          `json:"l,omitempty"`
	Index     int64          `json:"n,omitempty"`
	AuthTime  int64          `json:"u,omitempty"`
	ACR       string         `json:"r,omitempty"`
	AMR       []string       `json:"m,omitempty"`
	Roles     []string       `json:"y,omitempty"`
}

// encrypt encrypts a signed token, whose contents these are, to the key of its API.
func (i *Issuer) encrypt(ctx context.Context, a Access, signed string) (string, error) {
	to, err := keys.ParseEncryptionKey([]byte(a.EncryptTo))
	if err != nil {
		return "", fmt.Errorf("encrypt an access token: %w", err)
	}
	s := sealedAccess{
		ClientID: a.ClientID, Audience: a.Audience, Scopes: a.Scopes,
		IssuedAt: a.IssuedAt.Unix(), ExpiresAt: a.ExpiresAt.Unix(), Epoch: a.Epoch, KeyID: kidOf(signed), GrantID: a.GrantID,
		List: a.Status.List, Index: a.Status.Index,
		AuthTime: Unix(a.AuthenticatedAt), ACR: a.ContextClass, AMR: a.Methods, Roles: a.Roles,
	}
	if a.Type != AccessType {
		s.Type = a.Type
	}
	if a.Subject != a.ClientID {
		s.Subject = a.Subject
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encrypt an access token: %w", err)
	}
	sealed, err := withKeys(ctx, i, func() (string, error) { return i.keys.Seal(text, i.bound(a.ID)) })
	if err != nil {
		return "", err
	}
	token, err := to.Encrypt([]byte(signed), map[string]string{"jti": a.ID, "ing": sealed})
	if err == nil && len(token) > keys.MaxTokenLength {
		// Nobody would accept it, and its client could not revoke it. It is two and a half
		// times as long as a signed one, so that some hundred roles are enough.
		err = fmt.Errorf("encrypt an access token: with its %d scopes and %d roles it would be longer than %d bytes", len(a.Scopes), len(a.Roles), keys.MaxTokenLength)
	}
	if err != nil {
		return "", err
	}
	return token, nil
}

// bound is what a sealed text belongs to: a token of this issuer. With the `jti` of another
// one it does not open.
func (i *Issuer) bound(jti string) []byte { return []byte("access token\x00" + i.url + "\x00" + jti) }

// kidOf returns the kid in the header of a token that this server signed.
func kidOf(signed string) string {
	var header struct {
		KeyID string `json:"kid"`
	}
	keys.ReadHeader(signed, &header)
	return header.KeyID
}

// ReadSealed returns the contents of an encrypted access token that this server made and
// that has not expired; otherwise ErrInvalid. It reads what this server sealed in the
// header, and that alone: whether the rest is what this server encrypted only the API can
// tell, which decrypts it. So whoever writes another body under the header of a good token
// is told about the good token.
func (i *Issuer) ReadSealed(ctx context.Context, token string) (Access, error) {
	var h encryptedHeader
	if len(token) > keys.MaxTokenLength || !IsEncrypted(token) || !keys.ReadHeader(token, &h) || h.ID == "" || h.Sealed == "" {
		return Access{}, fmt.Errorf("%w: it is no encrypted token of this server", ErrInvalid)
	}
	opened, err := withKeys(ctx, i, func() (keys.Verified, error) { return i.keys.Unseal(h.Sealed, i.bound(h.ID)) })
	if errors.Is(err, keys.ErrInvalidToken) {
		return Access{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return Access{}, err
	}
	var s sealedAccess
	if err := json.Unmarshal(opened.Payload, &s); err != nil || s.ClientID == "" || s.ExpiresAt == 0 {
		return Access{}, fmt.Errorf("%w: what is sealed cannot be read", ErrInvalid)
	}
	a := Access{
		Type: cmp.Or(s.Type, AccessType), ID: h.ID, ClientID: s.ClientID, Subject: cmp.Or(s.Subject, s.ClientID),
		Audience: s.Audience, Scopes: s.Scopes, IssuedAt: time.Unix(s.IssuedAt, 0), ExpiresAt: time.Unix(s.ExpiresAt, 0),
		Epoch: s.Epoch, KeyID: s.KeyID, SealKeyID: opened.KID, Status: status.Ref{List: s.List, Index: s.Index},
		GrantID: s.GrantID, AuthenticatedAt: fromUnix(s.AuthTime), ContextClass: s.ACR, Methods: s.AMR, Roles: s.Roles,
	}
	if !i.now().Before(a.ExpiresAt) {
		return Access{}, fmt.Errorf("%w: expired", ErrInvalid)
	}
	return a, nil
}
