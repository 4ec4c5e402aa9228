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

// AccessType is the `typ` of an access token (RFC 9068 section 2.1). It keeps
// any other kind of token from being taken for one. For APIs whose verifiers
// refuse it there are access tokens with the `typ` of ID tokens: these two are told
// apart by their claims, since an ID token has no `jti` and no `client_id`.
const AccessType = "at+jwt"

// AccessTypeOf returns the `typ` that a token has, if an access token can have it,
// else the usual one. It checks nothing.
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

// ErrInvalid: not an access token of this server, or not any more.
var ErrInvalid = errors.New("not a valid access token")

// Access is an access token after RFC 9068.
type Access struct {
	// Type is the `typ`; empty is AccessType.
	Type string
	// ID is the `jti`.
	ID       string
	ClientID string
	// Subject is the client itself where no resource owner took part (RFC 9068
	// section 2.2).
	Subject  string
	Audience []string
	Scopes   []string
	// IssuedAt and ExpiresAt are whole seconds.
	IssuedAt, ExpiresAt time.Time
	// Epoch is the change number that the token was made under; a later cut
	// of its client, or of everything, ends it.
	Epoch changes.Number
	// KeyID is the kid of the key that signed it.
	KeyID string
	// Status is where its status is; none in tokens of versions before there were
	// lists.
	Status status.Ref

	// What follows is empty where no resource owner took part.

	// GrantID is the grant that it was issued under.
	GrantID string
	// AuthenticatedAt is when the user signed in, ContextClass how well (RFC
	// 9068 section 2.2.1).
	AuthenticatedAt time.Time
	ContextClass    string
	// Methods are how (RFC 8176).
	Methods []string
	// Roles are the user's, for APIs that ask for them (section 2.2.3.1).
	Roles []string
}

// accessClaims is an access token on the wire. A claim that is absent means
// what it meant before the claim existed, so that processes of two versions
// read each other's tokens.
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

// statusClaim says where the token's status is (draft-ietf-oauth-status-list-20
// section 6.2).
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

// Unix is the time as a NumericDate (RFC 7519 section 2); 0 for the zero time.
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

// audience is a string when there is one and an array otherwise (RFC 7519
// section 4.1.3): the form that every resource server reads.
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

// Keys signs and checks; *keys.Keyring does.
type Keys interface {
	Reload(ctx context.Context) error
	Sign(ring keys.Ring, typ string, claims []byte) (string, error)
	SignWith(ring keys.Ring, kid, typ string, claims []byte) (string, error)
	SignsNow(ring keys.Ring) (kid string, err error)
	CanSign(ring keys.Ring, kid string) bool
	Verify(ring keys.Ring, token, typ string) (keys.Verified, error)
	VerifyHint(token, typ string) (keys.Verified, error)
}

// Issuer makes and reads the tokens of one issuer.
type Issuer struct {
	url   string
	lists status.Base
	keys  Keys
	now   func() time.Time
	// reloads bounds how often strangers' tokens can make the keys be read.
	reloads *rate.Limiter
}

// NewIssuer returns the issuer with that identifier (RFC 8414 section 2), whose status
// lists are below lists.
func NewIssuer(url string, lists status.Base, k Keys, now func() time.Time) *Issuer {
	return &Issuer{url, lists, k, now, rate.NewLimiter(10, 10)}
}

// URL is the issuer identifier.
func (i *Issuer) URL() string { return i.url }

// MintAccess signs an access token that lives for ttl from now. It fills in
// ID, IssuedAt and ExpiresAt of what it is given.
func (i *Issuer) MintAccess(a *Access, ttl time.Duration) (string, error) {
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
	return i.keys.Sign(keys.Tokens, cmp.Or(a.Type, AccessType), claims)
}

// ReadAccess returns what an access token says, if this server signed it and
// it has not expired; otherwise ErrInvalid.
func (i *Issuer) ReadAccess(ctx context.Context, token string) (Access, error) {
	typ := AccessTypeOf(token)
	v, err := i.verify(ctx, func() (keys.Verified, error) { return i.keys.Verify(keys.Tokens, token, typ) })
	if errors.Is(err, keys.ErrInvalidToken) {
		return Access{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return Access{}, err
	}
	a, err := ParseAccess(v.Payload, i.url, i.lists)
	if err != nil {
		return Access{}, err
	}
	a.KeyID, a.Type = v.KID, typ
	// This server's own clock made the token, so no skew is allowed for.
	if !i.now().Before(a.ExpiresAt) {
		return Access{}, fmt.Errorf("%w: expired", ErrInvalid)
	}
	return a, nil
}

// verify runs a check of a token. If its key is unknown it may be so new that only the
// database knows it: a no is never a stale one, and where the database cannot
// be asked there is none.
func (i *Issuer) verify(ctx context.Context, check func() (keys.Verified, error)) (keys.Verified, error) {
	v, err := check()
	if errors.Is(err, keys.ErrUnknownKey) && i.reloads.Allow() {
		// A private key that cannot be opened does not matter here.
		if err := i.keys.Reload(ctx); err != nil && !errors.Is(err, keys.ErrMasterKey) {
			return keys.Verified{}, err
		}
		return check()
	}
	return v, err
}

// ParseAccess reads the verified payload of an access token of that issuer, whose
// status lists are below lists. It does not look at the clock. Returns ErrInvalid.
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
