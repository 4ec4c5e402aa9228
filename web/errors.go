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
	"github.com/ingam/ingam/web/pages"
)

// withStatus is an error that is not answered with the HTTP status that is usual
// for its code.
type withStatus struct {
	error
	status int
}

func (e withStatus) Unwrap() error { return e.error }

// statusOf returns the HTTP status with which an error is answered: this is the one
// table from what an error says to a status.
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

// waitOf returns after how long whoever got an error may come again; zero if it does
// not say.
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

// head writes to the header what an error has there, and returns the status to
// answer it with.
func head(h http.Header, err error) (code int) {
	if wait := waitOf(err); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(wholeSecondsUp(wait))) // RFC 9110 section 10.2.3
	}
	return statusOf(err)
}

func wholeSecondsUp(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// unheard says to a person why nobody looked at their password; empty if that is not
// what the error says.
func unheard(err error) pages.TextName {
	var tooMany *throttle.TooManyError
	switch {
	case errors.As(err, &tooMany):
		return "too many"
	case errors.Is(err, throttle.ErrCrowded):
		return "crowded"
	}
	return ""
}
