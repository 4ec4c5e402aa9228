package protocol

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code is an error code of RFC 6749 section 5.2 or of an extension to it.
type Code string

// The codes. Sections without a document are of RFC 6749.
const (
	InvalidRequest            Code = "invalid_request"
	InvalidClient             Code = "invalid_client"
	InvalidGrant              Code = "invalid_grant"
	UnauthorizedClient        Code = "unauthorized_client"
	UnsupportedGrantType      Code = "unsupported_grant_type"
	InvalidScope              Code = "invalid_scope"
	InvalidTarget             Code = "invalid_target"             // RFC 8707 section 2
	AccessDenied              Code = "access_denied"              // section 4.1.2.1
	UnsupportedResponseType   Code = "unsupported_response_type"  // section 4.1.2.1
	LoginRequired             Code = "login_required"             // OpenID Connect Core 1.0 section 3.1.2.6
	ConsentRequired           Code = "consent_required"           // the same
	RequestNotSupported       Code = "request_not_supported"      // the same
	RequestURINotSupported    Code = "request_uri_not_supported"  // the same
	RegistrationNotSupported  Code = "registration_not_supported" // the same
	InvalidToken              Code = "invalid_token"              // RFC 6750 section 3.1
	InsufficientScope         Code = "insufficient_scope"         // RFC 6750 section 3.1
	InsufficientAuthorization Code = "insufficient_authorization" // the same
	RedirectToWeb             Code = "redirect_to_web"            // draft-ietf-oauth-first-party-apps section 5.2.2
	ServerError               Code = "server_error"               // as in section 4.1.2.1
	TemporarilyUnavailable    Code = "temporarily_unavailable"    // as in section 4.1.2.1
)

// Error is a refusal that a client may see.
type Error struct {
	Code Code
	// Description is for the developer who reads it (error_description). It
	// never echoes a secret or a token.
	Description string
	// Because, if not empty, says more exactly than Code, in one word for programs, what
	// is wrong (the member reason).
	Because string
	// Logged, if not empty, is logged instead of the description. It is for a
	// description that repeats a part of the request: people paste secrets into wrong
	// fields.
	Logged string
	// RetryAfter, if not zero, is after how long to try again.
	RetryAfter time.Duration
	// ClientID is the client that was refused, for the log. It is empty if there is no
	// such client: what was sent in its place may be a secret.
	ClientID string
	// Cause is logged and never shown.
	Cause error
}

func (e *Error) Error() string {
	said := e.Description
	if e.Logged != "" {
		said = e.Logged
	}
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, said, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, said)
}

func (e *Error) Unwrap() error { return e.Cause }

// retryFault is how long a client should wait when the server cannot answer:
// about what it takes to reconnect to a database.
const retryFault = time.Second

// Refuse returns an Error. With the code TemporarilyUnavailable it also sets RetryAfter.
func Refuse(code Code, format string, args ...any) *Error {
	e := &Error{Code: code, Description: fmt.Sprintf(format, args...)}
	if code == TemporarilyUnavailable {
		e.RetryAfter = retryFault
	}
	return e
}

// From returns what a client may be told about any error. An error that is not recognised
// becomes server_error, and its cause is for the log alone.
func From(err error) *Error {
	var refused *Error
	if errors.As(err, &refused) {
		return refused
	}
	// If the database cannot be reached, that says nothing about the token or grant
	// that was sent. Told that it is invalid, a client would throw it away.
	var fault interface{ Unavailable() bool }
	if errors.As(err, &fault) && fault.Unavailable() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		e := Refuse(TemporarilyUnavailable, "The server cannot answer now. Try again.")
		e.Cause = err
		return e
	}
	e := Refuse(ServerError, "The server failed. The request id tells its operator where to look.")
	e.Cause = err
	return e
}
