package web

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/web/pages/texts"
)

// withStatus is an error with another HTTP status than the usual one of its code.
type withStatus struct {
	error
	status int
}

func (e withStatus) Unwrap() error { return e.error }

// statusOf returns the HTTP status for an error. It is the only place that maps errors
// to statuses.
func statusOf(err error) int {
	var unusual withStatus
	var tooMany *throttle.TooManyError
	switch {
	case errors.As(err, &unusual):
		return unusual.status
	case errors.As(err, &tooMany), errors.Is(err, clients.ErrThrottled):
		return http.StatusTooManyRequests
	case errors.Is(err, throttle.ErrCrowded):
		return http.StatusServiceUnavailable
	case errors.Is(err, listeners.ErrNotFound):
		return http.StatusNotFound
	}
	switch protocol.From(err).Code {
	case protocol.InvalidClient, protocol.InvalidToken:
		return http.StatusUnauthorized
	case protocol.InsufficientScope:
		return http.StatusForbidden
	case protocol.ServerError:
		return http.StatusInternalServerError
	case protocol.TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// waitOf returns how long a client that got an error should wait before it tries again;
// zero if the error does not say.
func waitOf(err error) time.Duration {
	var tooMany *throttle.TooManyError
	switch {
	case errors.As(err, &tooMany):
		return tooMany.RetryAfter
	case errors.Is(err, throttle.ErrCrowded):
		return throttle.CrowdedFor
	}
	return protocol.From(err).RetryAfter
}

// head sets the headers that belong to an error, and returns the HTTP status for it.
func head(h http.Header, err error) (code int) {
	if wait := waitOf(err); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(wholeSecondsUp(wait))) // RFC 9110 section 10.2.3
	}
	return statusOf(err)
}

func wholeSecondsUp(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// unheard returns the text that tells a person why their password was not checked, such
// as too many attempts; empty for other errors.
func unheard(err error) texts.Name {
	var tooMany *throttle.TooManyError
	switch {
	case errors.As(err, &tooMany):
		return "too many"
	case errors.Is(err, throttle.ErrCrowded):
		return "crowded"
	}
	return ""
}
