package tokens

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/keys"
)

// AccessType is the usual `typ` of an access token (RFC 9068 section 2.1). It keeps
// any other kind of token from being used as one. Some APIs have verifiers that refuse
// this `typ`; their access tokens have that of ID tokens. An ID token is still not
// mistaken for one of these, since it has no `jti` and no `client_id`.
const AccessType = "at+jwt"

// AccessTypeOf returns the `typ` in a token's header if an access token can have it,
// else AccessType. It checks nothing else.
func AccessTypeOf(token string) string {
	first, _, _ := strings.Cut(token, ".")
	var header struct {
		Type string `json:"typ"`
	}
	if b, err := base64.RawURLEncoding.DecodeString(first); err == nil && json.Unmarshal(b, &header) == nil && header.Type == IDType {
		return IDType
	}
	return AccessType
}

// ErrInvalid: the text is no token of this server, or the token has expired.
var ErrInvalid = errors.New("not a valid access token")

// Access holds the contents of an access token (RFC 9068).
type Access struct {
	// Type is the `typ`; empty means AccessType.
	Type string
	// Alg is the algorithm that signs it; empty means RS256.
	Alg string
	// EncryptTo is the public key (a JWK) of the API that alone is to read the token; empty
	// for a token that is only signed.
	EncryptTo string
	// Secret is what signs it instead of a key, if Alg is HS256.
	Secret keys.SharedSecret
	// ID is the `jti`.
	ID       string
	ClientID string
	// Subject is the user or, if no user took part, the client itself (RFC 9068
	// section 2.2).
	Subject  string
	Audience []string
	Scopes   []string
	// IssuedAt and ExpiresAt are whole seconds.
	IssuedAt, ExpiresAt time.Time
	// Epoch is the number of the last change when the token was made. A later
	// revocation of its client, or of everything, ends the token (see package
	// revocation).
	Epoch changes.Number
	// KeyID is the kid of the key that signed it.
	KeyID string
	// SealKeyID is the kid of the key that sealed what ReadSealed read; else empty.
	SealKeyID string
	// Status is the token's place in a status list; zero in tokens of versions that
	// have no lists.
	Status status.Ref

	// The fields below are empty if no user took part.

	// GrantID is the grant that the token was issued under.
	GrantID string
	// AuthenticatedAt is when the user signed in; ContextClass is how strong that
	// sign-in was (`acr`, RFC 9068 section 2.2.1).
	AuthenticatedAt time.Time
	ContextClass    string
	// Methods are how the user signed in (`amr`, RFC 8176).
	Methods []string
	// Roles are the user's roles, for APIs that want them (section 2.2.3.1).
	Roles []string
}

// accessClaims are the claims of an access token, as JSON. If a claim is absent, the
// token is read as it was before that claim existed, so that processes of two versions
// can read each other's tokens.
type accessClaims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  audience       `json:"aud"`
	ExpiresAt int64          `json:"exp"`
	IssuedAt  int64          `json:"iat"`
	ID        string         `json:"jti"`
	ClientID  string         `json:"client_id"`
	Scope     string         `json:"scope,omitempty"`
	Epoch     changes.Number `json:"epoch"`
	GrantID   string         `json:"gid,omitempty"`
	AuthTime  int64          `json:"auth_time,omitempty"`
	ACR       string         `json:"acr,omitempty"`
	AMR       []string       `json:"amr,omitempty"`
	Roles     []string       `json:"roles,omitempty"`
	Status    *statusClaim   `json:"status,omitempty"`
}

// statusClaim is the claim that names a token's place in a status list
// (draft-ietf-oauth-status-list-20 section 6.2).
type statusClaim struct {
	List struct {
		Index int64  `json:"idx"`
		URI   string `json:"uri"`
	} `json:"status_list"`
}

func (i *Issuer) statusClaim(r status.Ref) *statusClaim {
	if r.List == 0 {
		return nil
	}
	var c statusClaim
	c.List.Index, c.List.URI = r.Index, i.lists.URI(r.List)
	return &c
}

func (c *statusClaim) ref(lists status.Base) status.Ref {
	if c == nil || lists.ListOf(c.List.URI) == 0 {
		return status.Ref{}
	}
	return status.Ref{List: lists.ListOf(c.List.URI), Index: c.List.Index}
}

// Unix returns a time as a NumericDate (RFC 7519 section 2); 0 for the zero time.
func Unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// audience is the `aud` of a token. One audience is written as a string, several as an
// array (RFC 7519 section 4.1.3): every resource server can read that.
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// Keys signs tokens and checks their signatures; *keys.Keyring does.
type Keys interface {
	Reload(ctx context.Context) error
	Sign(ring keys.Ring, typ string, claims []byte) (string, error)
	SignWith(ring keys.Ring, kid, typ string, claims []byte) (string, error)
	SignsNow(ring keys.Ring) (kid string, err error)
	CanSign(ring keys.Ring, kid string) bool
	Verify(ring keys.Ring, token, typ string) (keys.Verified, error)
	Seal(text, bound []byte) (sealed string, err error)
	Unseal(sealed string, bound []byte) (keys.Verified, error)
	VerifyHint(token, typ string) (keys.Verified, error)
	SignShared(s keys.SharedSecret, typ string, claims []byte) (string, error)
	VerifyShared(s keys.SharedSecret, token, typ string) (keys.Verified, error)
}

// Issuer makes and reads the tokens of one issuer.
type Issuer struct {
	url   string
	lists status.Base
	keys  Keys
	now   func() time.Time
	// reloads bounds how often strangers' tokens can cause the keys to be read again.
	reloads *rate.Limiter
}

// NewIssuer returns the issuer with that identifier (RFC 8414 section 2). lists is the
// base of the addresses of its status lists.
func NewIssuer(url string, lists status.Base, k Keys, now func() time.Time) *Issuer {
	return &Issuer{url, lists, k, now, rate.NewLimiter(10, 10)}
}

// URL returns the issuer identifier.
func (i *Issuer) URL() string { return i.url }

// MintAccess makes and signs an access token that lives for ttl from now and, if its API
// has a key for that, encrypts it. It sets ID, IssuedAt and ExpiresAt of a.
func (i *Issuer) MintAccess(ctx context.Context, a *Access, ttl time.Duration) (string, error) {
	a.ID = rand.Text()
	a.IssuedAt = i.now().Truncate(time.Second)
	a.ExpiresAt = a.IssuedAt.Add(ttl)
	claims, err := json.Marshal(accessClaims{
		Issuer: i.url, Subject: a.Subject, Audience: a.Audience,
		ExpiresAt: a.ExpiresAt.Unix(), IssuedAt: a.IssuedAt.Unix(), ID: a.ID,
		ClientID: a.ClientID, Scope: strings.Join(a.Scopes, " "), Epoch: a.Epoch,
		GrantID: a.GrantID, AuthTime: Unix(a.AuthenticatedAt), ACR: a.ContextClass, AMR: a.Methods, Roles: a.Roles, Status: i.statusClaim(a.Status),
	})
	if err != nil {
		return "", fmt.Errorf("write the claims: %w", err)
	}
	signed, err := i.sign(ctx, *a, claims)
	if err != nil || a.EncryptTo == "" {
		return signed, err
	}
	return i.encrypt(ctx, *a, signed)
}

func (i *Issuer) sign(ctx context.Context, a Access, claims []byte) (string, error) {
	typ := cmp.Or(a.Type, AccessType)
	if alg := keys.Algorithm(a.Alg); alg != keys.HS256 {
		return i.signBy(ctx, keys.TokensBy(alg), typ, claims)
	}
	return i.keys.SignShared(a.Secret, typ, claims)
}

func (i *Issuer) signBy(ctx context.Context, ring keys.Ring, typ string, claims []byte) (string, error) {
	return withKeys(ctx, i, func() (string, error) { return i.keys.Sign(ring, typ, claims) })
}

// ReadIssued returns the contents of an access token, as ReadAccess does or, for an
// encrypted one, ReadSealed.
func (i *Issuer) ReadIssued(ctx context.Context, token string) (Access, error) {
	if IsEncrypted(token) {
		return i.ReadSealed(ctx, token)
	}
	return i.ReadAccess(ctx, token)
}

// ReadAccess returns the contents of an access token, if this server signed it and it has
// not expired; otherwise ErrInvalid. It does not know whether the token was revoked.
func (i *Issuer) ReadAccess(ctx context.Context, token string) (Access, error) {
	typ := AccessTypeOf(token)
	v, err := withKeys(ctx, i, func() (keys.Verified, error) { return i.keys.Verify(keys.Tokens, token, typ) })
	if errors.Is(err, keys.ErrInvalidToken) {
		return Access{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return Access{}, err
	}
	return i.access(v, typ)
}

// access returns the contents of an access token whose signature was checked.
func (i *Issuer) access(v keys.Verified, typ string) (Access, error) {
	a, err := ParseAccess(v.Payload, i.url, i.lists)
	if err != nil {
		return Access{}, err
	}
	a.KeyID, a.Type = v.KID, typ
	// No clock skew is allowed: it is this server's own clock that made the token.
	if !i.now().Before(a.ExpiresAt) {
		return Access{}, fmt.Errorf("%w: expired", ErrInvalid)
	}
	return a, nil
}

// withKeys makes or reads something by the keys in memory. If the key for it is not there,
// it may be new: so may a whole ring, which is made for an API that the server knows of at
// once. So the keys are read from the database before anything is refused; if that fails,
// the result is that error, and not a refusal.
func withKeys[T any](ctx context.Context, i *Issuer, do func() (T, error)) (T, error) {
	v, err := do()
	if (errors.Is(err, keys.ErrUnknownKey) || errors.Is(err, keys.ErrNoSigningKey)) && i.reloads.Allow() {
		// A private key that cannot be unsealed does not matter here.
		if err := i.keys.Reload(ctx); err != nil && !errors.Is(err, keys.ErrMasterKey) {
			var none T
			return none, err
		}
		return do()
	}
	return v, err
}

// ParseAccess reads the payload of an access token of that issuer, whose signature was
// checked. lists is the base of the addresses of the issuer's status lists. It does not
// check whether the token has expired. Returns ErrInvalid.
func ParseAccess(payload []byte, issuer string, lists status.Base) (Access, error) {
	var c accessClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return Access{}, fmt.Errorf("%w: the claims cannot be read", ErrInvalid)
	}
	if c.Issuer != issuer {
		return Access{}, fmt.Errorf("%w: another issuer's", ErrInvalid)
	}
	if c.ID == "" || c.ClientID == "" || c.ExpiresAt == 0 {
		return Access{}, fmt.Errorf("%w: a claim is missing", ErrInvalid)
	}
	return Access{
		ID: c.ID, ClientID: c.ClientID, Subject: c.Subject, Audience: c.Audience,
		Scopes: strings.Fields(c.Scope), IssuedAt: time.Unix(c.IssuedAt, 0), ExpiresAt: time.Unix(c.ExpiresAt, 0),
		Epoch: c.Epoch, GrantID: c.GrantID, Status: c.Status.ref(lists),
		AuthenticatedAt: fromUnix(c.AuthTime), ContextClass: c.ACR, Methods: c.AMR, Roles: c.Roles,
	}, nil
}
