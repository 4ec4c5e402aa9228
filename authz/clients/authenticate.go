package clients

import (
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

// ErrThrottled: whoever asks has failed too often to authenticate as this client.
var ErrThrottled = errors.New("too many failures")

// Authenticator tells which client a request comes from (RFC 6749 section 2.3).
type Authenticator struct {
	registry *Registry
	failures *failures
}

// NewAuthenticator returns one that refuses with ErrThrottled more than limit failures
// within window from one address as one client.
func NewAuthenticator(r *Registry, limit int, window time.Duration, now func() time.Time) *Authenticator {
	return &Authenticator{registry: r, failures: newFailures(limit, window, now)}
}

// Presented is what a request shows to prove which client it comes from. Whoever
// takes requests reads it there, once; what it means is judged here.
type Presented struct {
	// Headers is how many Authorization headers there are. A Bearer token that stands
	// alone does not count: apps have something put it on all that they send, and it
	// says nothing of the client.
	Headers int
	// User and Password are those of HTTP Basic, as they stand in the header; Basic is
	// whether it holds such.
	Basic          bool
	User, Password string
	// ID and Secret are the parameters client_id and client_secret.
	ID, Secret string
	// Assertion is whether there is a client assertion (RFC 7521 section 4.2).
	Assertion bool
	// From is where the request comes from, as far as that is one subscriber's: an
	// IPv4 address, or the /64 of an IPv6 one. Failures are counted by it.
	From netip.Prefix
}

// credentials are what of a request says which client it comes from. Without a
// secret it only says so, which is all that a public client can do.
type credentials struct {
	id, secret string
	// literal is the password of HTTP Basic as it stands in the header; empty for a
	// secret in the body.
	literal string
}

// Authenticate returns the client that a request comes from, or a
// *protocol.Error.
func (a *Authenticator) Authenticate(ctx context.Context, presented Presented) (*Client, error) {
	offered, err := presented.credentials()
	if err != nil {
		return nil, err
	}
	c, err := a.registry.Client(ctx, offered.id)
	if err == nil && c.refuses(offered) != nil && !a.failures.tooMany(offered.id, presented.From) {
		// The copy in memory may not know yet of a secret that was added, or
		// of a client that was enabled, a moment ago: a no is never a stale
		// one. (Whoever has failed too often already waits for the copy, and
		// costs no SQL.)
		c, err = a.registry.Stored(ctx, offered.id)
	}
	// One answer for unknown, disabled, wrong secret and none: which client ids
	// exist is nobody's business. The reason is logged.
	var cause error
	switch {
	case errors.Is(err, ErrNotFound):
		cause = protocol.Cause{Reason: protocol.ReasonUnknown, Text: "unknown client"}
	case err != nil:
		return nil, err
	default:
		if cause = c.refuses(offered); cause == nil {
			return c, nil
		}
	}
	// The secret was compared before the failures are counted, and a right one
	// is never refused: otherwise whoever shares the client's address (a NAT,
	// a careless proxy) could lock it out by failing in its name. What the
	// count then bounds is the noise; guessing 256 bits needs no bound.
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

// refuses says why the client is not who offers these credentials; nil if it is.
func (c *Client) refuses(offered credentials) error {
	switch {
	case c.Auth == None && offered.secret != "":
		return protocol.Cause{Reason: protocol.ReasonMethod, Text: "the client has no secret and showed one"}
	case c.Auth != None && offered.secret == "":
		return protocol.Cause{Reason: protocol.ReasonMethod, Text: "the client has a secret and showed none"}
	case c.Auth != None && !c.hasSecret(offered.secret) && !c.hasSecret(offered.literal):
		return protocol.Cause{Reason: protocol.ReasonSecret, Text: "wrong secret"}
	case c.Disabled:
		return protocol.Cause{Reason: protocol.ReasonDisabled, Text: "disabled client"}
	}
	return nil
}

// hasSecret compares in constant time, with every live secret.
func (c *Client) hasSecret(secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	match := 0
	for _, s := range c.Secrets {
		match |= subtle.ConstantTimeCompare(s.Hash[:], hash[:])
	}
	return match == 1
}

// credentials reads the secret from the header or from the body, whichever the
// client's library uses (RFC 6749 section 2.3.1). Both at once are refused: of two
// that differ, who looks at one and who looks at the other would see two clients.
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
	// Both are form-encoded before they go into the header (RFC 6749 section
	// 2.3.1). Many libraries leave that out, so a secret may stand there as it is:
	// whoever knows it shows it, in one way or the other. An id that does not decode
	// is nobody's.
	id, err := url.QueryUnescape(p.User)
	if err != nil {
		return credentials{}, protocol.Refuse(protocol.InvalidClient, "The client_id in the Authorization header is not form-encoded (RFC 6749 section 2.3.1).")
	}
	secret, err := url.QueryUnescape(p.Password)
	if err != nil {
		secret = p.Password
	}
	if p.ID != "" && p.ID != id {
		// Otherwise one client could act in the name of another wherever the
		// body is read later.
		return credentials{}, protocol.Refuse(protocol.InvalidRequest, "The client_id in the body is not the one in the Authorization header.")
	}
	return credentials{id, secret, p.Password}, nil
}

// seconds rounds up, for Retry-After.
func seconds(d time.Duration) time.Duration {
	return time.Duration(math.Ceil(d.Seconds())) * time.Second
}
