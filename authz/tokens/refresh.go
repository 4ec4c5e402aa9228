package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ingam/ingam/keys"
)

// refreshType is the `typ` of a refresh token.
const refreshType = "rt+jwt"

// RefreshVersion is the version of the format of refresh tokens. It is stored in the
// grant, so that the same token can be signed once more.
const RefreshVersion = 1

// Refresh holds the contents of a refresh token: it names a grant and a generation, and
// nothing that is of use to a thief who reads it. The signed bytes follow from these
// fields alone.
type Refresh struct {
	GrantID    string
	ClientID   string
	Generation int64
	// IssuedAt and ExpiresAt are whole seconds.
	IssuedAt, ExpiresAt time.Time
	// KeyID is the kid of the key that signs it.
	KeyID   string
	Version int64
}

type refreshClaims struct {
	Issuer     string `json:"iss"`
	ClientID   string `json:"client_id"`
	GrantID    string `json:"gid"`
	Generation int64  `json:"gen"`
	ExpiresAt  int64  `json:"exp"`
	IssuedAt   int64  `json:"iat"`
	Version    int64  `json:"ver"`
}

// RefreshKey returns the kid of the key that signs refresh tokens now.
func (i *Issuer) RefreshKey() (kid string, err error) { return i.keys.SignsNow(keys.Refresh) }

// SignsRefresh reports whether a key can sign refresh tokens. A key that was
// withdrawn, or destroyed when it had retired, cannot.
func (i *Issuer) SignsRefresh(kid string) bool { return i.keys.CanSign(keys.Refresh, kid) }

// SignRefresh signs a refresh token with the key KeyID, for which SignsRefresh must be
// true. The same contents give the same bytes.
func (i *Issuer) SignRefresh(r Refresh) (string, error) {
	claims, err := json.Marshal(refreshClaims{
		Issuer: i.url, ClientID: r.ClientID, GrantID: r.GrantID, Generation: r.Generation,
		ExpiresAt: r.ExpiresAt.Unix(), IssuedAt: r.IssuedAt.Unix(), Version: r.Version,
	})
	if err != nil {
		return "", fmt.Errorf("write the claims: %w", err)
	}
	return i.keys.SignWith(keys.Refresh, r.KeyID, refreshType, claims)
}

// ReadRefresh returns the contents of a refresh token, if this server signed it and it
// has not expired; otherwise ErrInvalid.
func (i *Issuer) ReadRefresh(ctx context.Context, token string) (Refresh, error) {
	v, err := withKeys(ctx, i, func() (keys.Verified, error) { return i.keys.Verify(keys.Refresh, token, refreshType) })
	if errors.Is(err, keys.ErrInvalidToken) {
		return Refresh{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return Refresh{}, err
	}
	var c refreshClaims
	if err := json.Unmarshal(v.Payload, &c); err != nil || c.Issuer != i.url || c.GrantID == "" || c.Generation < 1 {
		return Refresh{}, fmt.Errorf("%w: the claims cannot be read", ErrInvalid)
	}
	r := Refresh{
		GrantID: c.GrantID, ClientID: c.ClientID, Generation: c.Generation,
		IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(), KeyID: v.KID, Version: c.Version,
	}
	if !i.now().Before(r.ExpiresAt) {
		return Refresh{}, fmt.Errorf("%w: expired", ErrInvalid)
	}
	return r, nil
}
