package protocol

import (
	"context"
	"errors"
)

// Reason is why a request was refused, more exactly than its Code says. It is one of a
// few words, for the server's metrics, and is not told to the client.
type Reason string

// The reasons.
const (
	ReasonUnknown     Reason = "unknown"        // there is no such client, code or grant
	ReasonInvalid     Reason = "invalid"        // the text is no token of this server, or the token is no longer valid
	ReasonSecret      Reason = "wrong_secret"   // the client's secret is wrong
	ReasonMethod      Reason = "wrong_method"   // a secret for a client that has none, or no secret for one that has
	ReasonDisabled    Reason = "disabled"       // the client is disabled
	ReasonClient      Reason = "other_client"   // the code or token was issued to another client
	ReasonRedirectURI Reason = "other_redirect" // the redirect URI is not the one that the code was requested with
	ReasonVerifier    Reason = "wrong_verifier" // the PKCE verifier is wrong (RFC 7636 section 4.6)
	ReasonUnprotected Reason = "unprotected"    // the code was requested without the PKCE challenge or nonce that its client must send
	ReasonReused      Reason = "reused"         // the code, or the refresh token after its grace, was used again
	ReasonExpired     Reason = "expired"
	ReasonRevoked     Reason = "revoked"   // the grant was revoked, or its user, client or session was
	ReasonAhead       Reason = "ahead"     // the refresh token is newer than its grant's row
	ReasonOvertaken   Reason = "overtaken" // another request was faster
	ReasonTimeout     Reason = "timeout"
	ReasonCanceled    Reason = "canceled"    // the client closed the connection
	ReasonUnavailable Reason = "unavailable" // most often the database
	ReasonOther       Reason = "other"
)

// Cause is a cause of an Error that has a Reason of its own.
type Cause struct {
	Reason Reason
	// Text is for the log alone.
	Text string
}

func (c Cause) Error() string { return c.Text }

// ReasonOf returns the reason for which a request was refused; ReasonOther if err has none.
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
