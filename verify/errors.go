package verify

import (
	"errors"
	"fmt"
)

// What Verify says, for errors.Is. Each error says why, in words that may be
// shown, and repeats nothing of the token.
var (
	// ErrInvalid: not an access token for this API. 401 invalid_token.
	ErrInvalid = errors.New("not a valid access token")
	// ErrExpired is an ErrInvalid: the token has had its time.
	ErrExpired = fmt.Errorf("%w: it has expired", ErrInvalid)
	// ErrRevoked is an ErrInvalid: the issuer has taken the token back.
	ErrRevoked = fmt.Errorf("%w: it was revoked", ErrInvalid)
	// ErrInsufficientScope: a good token that does not allow this. 403.
	ErrInsufficientScope = errors.New("the access token lacks a scope")
	// ErrUnavailable: what is needed to tell is not there now. 503. It is no
	// verdict on the token: whoever takes it for one signs people out because
	// a network failed.
	ErrUnavailable = errors.New("access tokens cannot be checked now")
)

// reason is why something was refused, for the counters.
type reason int

const (
	byForm reason = iota
	byHeader
	byKey
	bySignature
	byClaims
	byIssuer
	byAudience
	byExpiry
	byTime
	byStatus
	byRevocation
	byScope
	byRequest
	byUnavailability
	reasons
)

// names are the reasons in State.Refused.
var names = [reasons]string{
	"form", "header", "unknown_key", "signature", "claims", "issuer", "audience",
	"expired", "not_yet_valid", "status", "revoked", "scope", "request", "unavailable",
}

// refusal is one of the errors above, and why.
type refusal struct {
	kind error
	by   reason
	why  string
}

func (r *refusal) Error() string { return r.kind.Error() + ": " + r.why }
func (r *refusal) Unwrap() error { return r.kind }

func invalid(by reason, why string) error      { return &refusal{ErrInvalid, by, why} }
func unavailable(why string) error             { return &refusal{ErrUnavailable, byUnavailability, why} }
func unavailableFor(why string, e error) error { return unavailable(why + ": " + e.Error()) }

var (
	expired = &refusal{ErrExpired, byExpiry, "get a new one"}
	revoked = &refusal{ErrRevoked, byRevocation, "get a new one"}
)
