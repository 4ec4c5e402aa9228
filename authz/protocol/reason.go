package protocol

import (
	"context"
	"errors"
)

// Reason is why a request was refused, more closely than its code says it, in one
// of few words: for counting, not for the client.
type Reason string

// The reasons.
const (
	ReasonUnknown     Reason = "unknown"        // there is no such client, code or grant
	ReasonInvalid     Reason = "invalid"        // not a token of this server's, or not any more
	ReasonSecret      Reason = "wrong_secret"   // a client's
	ReasonMethod      Reason = "wrong_method"   // a secret of a client that has none, or none of one that has
	ReasonDisabled    Reason = "disabled"       // a client
	ReasonClient      Reason = "other_client"   // a code or a token that another one was given
	ReasonRedirectURI Reason = "other_redirect" // than the code was asked for with
	ReasonVerifier    Reason = "wrong_verifier" // RFC 7636 section 4.6
	ReasonUnprotected Reason = "unprotected"    // a code that was asked for without what its client must send
	ReasonReused      Reason = "reused"         // a code, or a refresh token after the grace
	ReasonExpired     Reason = "expired"
	ReasonRevoked     Reason = "revoked"   // the grant, or what it hangs on
	ReasonAhead       Reason = "ahead"     // a refresh token that is newer than its grant
	ReasonOvertaken   Reason = "overtaken" // by another request
	ReasonTimeout     Reason = "timeout"
	ReasonCanceled    Reason = "canceled"    // whoever asked went away
	ReasonUnavailable Reason = "unavailable" // the database, mostly
	ReasonOther       Reason = "other"
)

// Cause is a cause of an Error that is counted.
type Cause struct {
	Reason Reason
	// Text is for the log.
	Text string
}

func (c Cause) Error() string { return c.Text }

// ReasonOf returns why a request was refused.
func ReasonOf(err error) Reason {
	var cause Cause
	var fault interface{ Unavailable() bool }
	switch {
	case errors.As(err, &cause):
		return cause.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return ReasonTimeout
	case errors.Is(err, context.Canceled):
		return ReasonCanceled
	case errors.As(err, &fault) && fault.Unavailable():
		return ReasonUnavailable
	}
	return ReasonOther
}
