package verify

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	// A fork of encoding/json that compares names exactly and refuses a name that
	// occurs twice, so that there is only one way to read a token. The standard
	// library would read "SUB" as sub, and of two equal names take the last.
	"github.com/go-jose/go-jose/v4/json"
)

// Token is an access token (RFC 9068) that Verify has accepted. All handlers of a
// request share it: do not change it.
type Token struct {
	// ID is the `jti`.
	ID string
	// Subject is whom the token stands for: a user or, if it equals ClientID, the
	// client itself (RFC 9068 section 2.2).
	Subject  string
	ClientID string
	Issuer   string
	Audience []string
	Scopes   []string

	IssuedAt, ExpiresAt time.Time

	// The fields below are empty if no user took part.

	// GrantID is the id of the grant under which the token was issued.
	GrantID string
	// AuthenticatedAt is when the user signed in (`auth_time`); ContextClass is the
	// strength of that sign-in (`acr`).
	AuthenticatedAt time.Time
	ContextClass    string
	// Roles are the roles that the user has at this API.
	Roles []string

	payload []byte
	status  *reference
}

// Need returns ErrInsufficientScope unless the token has all of those scopes.
func (t *Token) Need(scopes ...string) error {
	for _, scope := range scopes {
		if !slices.Contains(t.Scopes, scope) {
			return &refusal{ErrInsufficientScope, byScope, "it needs " + strings.Join(scopes, " ")}
		}
	}
	return nil
}

// Decode reads the token's claims into a struct or map. It is for claims that have no
// field in Token. Names are compared exactly.
func (t *Token) Decode(into any) error {
	if err := json.Unmarshal(t.payload, into); err != nil {
		return fmt.Errorf("verify: read the claims: %w", err)
	}
	return nil
}

// claims are the claims of an access token, as JSON.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	ExpiresAt *date    `json:"exp"`
	IssuedAt  *date    `json:"iat"`
	NotBefore *date    `json:"nbf"`
	ID        string   `json:"jti"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope"`
	GrantID   string   `json:"gid"`
	AuthTime  *date    `json:"auth_time"`
	ACR       string   `json:"acr"`
	Roles     []string `json:"roles"`
	// Confirm says that only whoever has a certain key may use the token (RFC 7800).
	Confirm json.RawMessage `json:"cnf"`
	Status  *struct {
		List *reference `json:"status_list"`
	} `json:"status"`
}

// reference names the status list that has a token's status, and the index in it
// (draft-ietf-oauth-status-list section 6.1).
type reference struct {
	Index *uint64 `json:"idx"`
	URI   string  `json:"uri"`
}

// read checks the claims of a payload whose signature is good (RFC 9068 section 4), and
// makes a Token of it.
func (c *Config) read(payload []byte, now time.Time) (*Token, error) {
	var cl claims
	if err := json.Unmarshal(payload, &cl); err != nil {
		return nil, invalid(byClaims, "its claims cannot be read")
	}
	switch {
	case cl.Issuer != c.Issuer:
		return nil, invalid(byIssuer, "it is another issuer's")
	case !slices.Contains(cl.Audience, c.Audience):
		return nil, invalid(byAudience, "it is for another API")
	case cl.ExpiresAt == nil || cl.IssuedAt == nil || cl.Subject == "" || cl.ClientID == "" || cl.ID == "":
		return nil, invalid(byClaims, "a claim is missing that an access token has")
	case cl.Confirm != nil:
		// The token is bound to a key, so that a thief cannot use it. Accepted as a
		// bearer token, a thief could (RFC 9449 section 7.2).
		return nil, invalid(byClaims, "it is bound to a key, which is not checked here")
	case !now.Before(cl.ExpiresAt.Add(c.Skew)):
		return nil, expired
	case cl.IssuedAt.After(now.Add(c.Skew)):
		return nil, invalid(byTime, "it was issued in the future")
	case cl.NotBefore != nil && cl.NotBefore.After(now.Add(c.Skew)):
		return nil, invalid(byTime, "it is not valid yet")
	}
	t := &Token{
		ID: cl.ID, Subject: cl.Subject, ClientID: cl.ClientID, Issuer: cl.Issuer, Audience: cl.Audience,
		Scopes: strings.Fields(cl.Scope), IssuedAt: cl.IssuedAt.Time, ExpiresAt: cl.ExpiresAt.Time,
		GrantID: cl.GrantID, ContextClass: cl.ACR, Roles: cl.Roles,
		payload: payload,
	}
	if cl.AuthTime != nil {
		t.AuthenticatedAt = cl.AuthTime.Time
	}
	if cl.Status != nil {
		t.status = cl.Status.List
	}
	return t, nil
}

// audience is the `aud` of a token: a string or an array of strings (RFC 7519 section
// 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = audience{""}
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// date is a NumericDate: seconds, perhaps with a fraction (RFC 7519 section 2).
type date struct{ time.Time }

func (d *date) UnmarshalJSON(b []byte) error {
	seconds, err := strconv.ParseFloat(string(b), 64)
	// Beyond this range arithmetic on times overflows, and a date far in the future
	// could turn into one in the past.
	if err != nil || !(seconds >= 0 && seconds < 1<<40) {
		return fmt.Errorf("not a date")
	}
	whole, fraction := math.Modf(seconds)
	d.Time = time.Unix(int64(whole), int64(fraction*1e9))
	return nil
}
