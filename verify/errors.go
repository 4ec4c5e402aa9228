package verify

import (
	"errors"
	"fmt"
)

// The errors of Verify, for errors.Is. The text of each says why, may be shown to the
// client, and repeats nothing of the token.
var (
	// ErrInvalid: not an access token for this API. 401 invalid_token.
	ErrInvalid = errors.New("not a valid access token")
	// ErrExpired is an ErrInvalid: the token has expired.
	ErrExpired = fmt.Errorf("%w: it has expired", ErrInvalid)
	// ErrRevoked is an ErrInvalid: the issuer has revoked the token.
	ErrRevoked = fmt.Errorf("%w: it was revoked", ErrInvalid)
	// ErrInsufficientScope: the token is good, but lacks a scope. 403.
	ErrInsufficientScope = errors.New("the access token lacks a scope")
	// ErrUnavailable: the keys or the status list that the check needs are missing
	// or too old. 503. It says nothing about the token: an API that treats it as a
	// refusal signs people out because a network failed.
	ErrUnavailable = errors.New("access tokens cannot be checked now")
)

// reason is why a token or request was refused, for the counters of State.
type reason int

const (
	byForm reason = iota
	byHeader
	byEncryption
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

// names are the names of the reasons in State.Refused.
var names = [reasons]string{
	"form", "header", "encryption", "unknown_key", "signature", "claims", "issuer", "audience",
	"expired", "not_yet_valid", "status", "revoked", "scope", "request", "unavailable",
}

// refusal is one of the errors above, with the reason for it.
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
