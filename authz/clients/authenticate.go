package clients

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"time"

	"github.com/ingam/ingam/authz/protocol"
)

// ErrThrottled: there were too many failed attempts to authenticate as this client from
// this address.
var ErrThrottled = errors.New("too many failures")

// Authenticator tells which client a request comes from (RFC 6749 section 2.3).
type Authenticator struct {
	registry *Registry
	failures *failures
	uses     uses
}

// NewAuthenticator returns an Authenticator. After limit failures within window, for one
// client from one address, its errors are ErrThrottled.
func NewAuthenticator(r *Registry, limit int, window time.Duration, now func() time.Time) *Authenticator {
	return &Authenticator{registry: r, failures: newFailures(limit, window, now)}
}

// Presented is what a request contains to prove which client it comes from. Package
// web reads it from the request, once; Authenticate decides what it means.
type Presented struct {
	// Headers is how many Authorization headers there are. A single Bearer token does
	// not count: some apps add it to every request, and it does not say which client
	// sends it.
	Headers int
	// Basic is whether the header has HTTP Basic credentials; User and Password are
	// these, not yet form-decoded.
	Basic          bool
	User, Password string
	// ID and Secret are the parameters client_id and client_secret.
	ID, Secret string
	// Assertion is whether there is a client assertion (RFC 7521 section 4.2).
	Assertion bool
	// From is the address of the caller: an IPv4 address, or the /64 of an IPv6
	// address, because one subscriber has all addresses of a /64. Failures are counted
	// by it.
	From netip.Prefix
}

// credentials are the client id and secret in a request. There is no secret in the
// request of a public client.
type credentials struct {
	id, secret string
	// literal is the password of HTTP Basic without form-decoding; empty for a secret
	// in the body.
	literal string
}

// Authenticate returns the client that a request comes from. If the request does not
// prove it, the error is a *protocol.Error.
func (a *Authenticator) Authenticate(ctx context.Context, presented Presented) (*Client, error) {
	offered, err := presented.credentials()
	if err != nil {
		return nil, err
	}
	c, err := a.registry.Client(ctx, offered.id)
	if err == nil && c.refuses(offered) != nil && !a.failures.tooMany(offered.id, presented.From) {
		// The copy in memory may be out of date: a secret may have been added, or
		// the client enabled, a moment ago. So before a client is refused, the
		// database is asked. (Not for callers that have failed too often already:
		// they must not be able to cause SQL.)
		c, err = a.registry.Stored(ctx, offered.id)
	}
	// The answer is the same for an unknown client, a disabled one, a wrong secret
	// and a missing one. Otherwise an attacker could find out which client ids
	// exist. The log has the reason.
	var cause error
	switch {
	case errors.Is(err, ErrNotFound):
		cause = protocol.Cause{Reason: protocol.ReasonUnknown, Text: "unknown client"}
	case err != nil:
		return nil, err
	default:
		if cause = c.refuses(offered); cause == nil {
			a.noteUse(c, offered)
			return c, nil
		}
	}
	// The secret is compared before failures are counted, and a right one is never
	// refused. Otherwise somebody behind the same address as the client (a NAT, a
	// badly configured proxy) could lock the client out by failing in its name. So
	// the count only limits the load and the log; guessing 256 bits needs no limit.
	refused := protocol.Refuse(protocol.InvalidClient, "Client authentication failed: unknown client, wrong or missing secret, or a secret of a client that has none.")
	refused.Cause = cause
	if c != nil {
		refused.ClientID = c.ID
	}
	if wait := a.failures.add(offered.id, presented.From); wait > 0 {
		refused.Description = "Too many failed attempts to authenticate as this client from this address."
		refused.RetryAfter = wait
		refused.Cause = fmt.Errorf("%w: %w", ErrThrottled, cause)
	}
	return nil, refused
}

// noteUse notes which secret was used, where there are two: of one it is known.
func (a *Authenticator) noteUse(c *Client, offered credentials) {
	if len(c.Secrets) == 0 {
		return
	}
	id := c.Secrets[0].ID
	if len(c.Secrets) > 1 {
		id = cmp.Or(c.secretOf(offered.secret), c.secretOf(offered.literal))
	}
	a.uses.note(SecretRef{c.ID, id}, a.registry.now())
}

// Failed counts a failed attempt to be somebody without a client's credentials, such as one
// with an access token that is not good. It returns for how long no more are heard from
// there, if there were too many.
func (a *Authenticator) Failed(from netip.Prefix) time.Duration { return a.failures.add("", from) }

// AuthenticateBy is Authenticate, and also returns the id of the secret that was shown;
// empty for a public client. What goes on long after the request needs it: the secret may
// be removed meanwhile.
func (a *Authenticator) AuthenticateBy(ctx context.Context, presented Presented) (c *Client, secretID string, err error) {
	c, err = a.Authenticate(ctx, presented)
	if err != nil {
		return nil, "", err
	}
	offered, err := presented.credentials()
	if err != nil {
		return nil, "", err
	}
	return c, cmp.Or(c.secretOf(offered.secret), c.secretOf(offered.literal)), nil
}

// refuses returns why these credentials do not authenticate the client; nil if they do.
func (c *Client) refuses(offered credentials) error {
	switch {
	case c.Auth == None && offered.secret != "":
		return protocol.Cause{Reason: protocol.ReasonMethod, Text: "the client has no secret and showed one"}
	case c.Auth != None && offered.secret == "":
		return protocol.Cause{Reason: protocol.ReasonMethod, Text: "the client has a secret and showed none"}
	case c.Auth != None && c.secretOf(offered.secret) == "" && c.secretOf(offered.literal) == "":
		return protocol.Cause{Reason: protocol.ReasonSecret, Text: "wrong secret"}
	case c.Disabled:
		return protocol.Cause{Reason: protocol.ReasonDisabled, Text: "disabled client"}
	}
	return nil
}

// HasSecret reports whether a secret is live. It compares in constant time.
func (c *Client) HasSecret(secret string) bool { return c.secretOf(secret) != "" }

// secretOf returns the id of the client's secret that this is; empty if it is none. It
// compares in constant time, with all of them.
func (c *Client) secretOf(secret string) (id string) {
	hash := sha256.Sum256([]byte(secret))
	none := len(c.Secrets)
	match := none
	for i, s := range c.Secrets {
		match = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(s.Hash[:], hash[:]), i, match)
	}
	if match == none {
		return ""
	}
	return c.Secrets[match].ID
}

// credentials returns the id and secret from the header or from the body (RFC 6749
// section 2.3.1). Both at once are refused: if they differed, a proxy that reads one and
// this server that reads the other would see two different clients.
func (p Presented) credentials() (credentials, error) {
	if p.Assertion {
		return credentials{}, protocol.Refuse(protocol.InvalidClient, "Client assertions are not supported.")
	}
	switch {
	case p.Headers == 0 && p.ID == "":
		return credentials{}, protocol.Refuse(protocol.InvalidClient, "The client did not authenticate.")
	case p.Headers == 0:
		return credentials{id: p.ID, secret: p.Secret}, nil
	case p.Headers > 1 || p.Secret != "":
		return credentials{}, protocol.Refuse(protocol.InvalidRequest, "The client used more than one way of authentication (RFC 6749 section 2.3).")
	case !p.Basic:
		return credentials{}, protocol.Refuse(protocol.InvalidClient, "The Authorization header does not hold HTTP Basic credentials.")
	}
	// RFC 6749 section 2.3.1 has both form-encoded before they are put into the
	// header. Many libraries do not, so the secret is compared decoded and as it
	// is; either proves that the client knows it. An id that cannot be decoded is
	// refused.
	id, err := url.QueryUnescape(p.User)
	if err != nil {
		return credentials{}, protocol.Refuse(protocol.InvalidClient, "The client_id in the Authorization header is not form-encoded (RFC 6749 section 2.3.1).")
	}
	secret, err := url.QueryUnescape(p.Password)
	if err != nil {
		secret = p.Password
	}
	if p.ID != "" && p.ID != id {
		// Code that reads the id from the body later would act for another
		// client than the one that authenticated.
		return credentials{}, protocol.Refuse(protocol.InvalidRequest, "The client_id in the body is not the one in the Authorization header.")
	}
	return credentials{id, secret, p.Password}, nil
}

// seconds rounds up, for Retry-After.
func seconds(d time.Duration) time.Duration {
	return time.Duration(math.Ceil(d.Seconds())) * time.Second
}
