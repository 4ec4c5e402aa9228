package web

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
)

// Observer is told what happens, in words of which there are few, whatever is sent.
type Observer interface {
	// RequestServed is told of each request the pattern of its route ("other" if it
	// had none), its method and how it was answered.
	RequestServed(route, method string, status int)
	// RequestTook is told how long it took to be answered.
	RequestTook(route string, took time.Duration)
	// TokenIssued is told by which grant type an access token was issued.
	TokenIssued(grantType string)
	// Refused is told what a client was told (error), and why.
	Refused(code, reason string)
	// SignInTried is told what came of an attempt to sign in: one of SignInOutcomes.
	SignInTried(outcome string)
	// Throttled is told that somebody was turned away who came too often, or with
	// too many others: one of Throttles.
	Throttled(kind string)
	// CutAcknowledged is told when a verifier has applied a cut.
	CutAcknowledged(took time.Duration)
	// ListServed is told when a status list was served without a record in the
	// log.
	ListServed()
}

// What there can be too much of.
const (
	throttledPasswords = "password"              // wrong ones, for an account or from an address
	throttledHashing   = "password_hashing"      // passwords that wait to be looked at
	throttledClients   = "client_authentication" // failures as a client from an address
	throttledListeners = "listeners"             // connections to the stream
)

// Throttles are the kinds of what there can be too much of.
var Throttles = []string{throttledPasswords, throttledHashing, throttledClients, throttledListeners}

// What can come of an attempt to sign in, beside the reasons of accounts.
const (
	signedIn      = "signed_in"
	signInCrowded = "crowded"
	signInFailed  = "failed" // by a fault of the server's
)

// SignInOutcomes are what can come of an attempt to sign in.
var SignInOutcomes = []string{
	signedIn, string(signin.ReasonUnknown), string(signin.ReasonWrong), string(signin.ReasonDisabled),
	string(signin.ReasonThrottled), string(signin.ReasonCut), signInCrowded, signInFailed,
}

// triedSignIn notes what came of an attempt to sign in.
func (rec *record) triedSignIn(err error) {
	rec.refusedSignIn(err)
	switch {
	case err == nil:
		rec.signIn = signedIn
	case rec.reason != "":
		rec.signIn = string(rec.reason)
	case errors.Is(err, throttle.ErrCrowded):
		rec.signIn = signInCrowded
	default:
		rec.signIn = signInFailed
	}
}

// otherRoute is that of requests that no route is for.
const otherRoute = "other"

// routed notes the route of a request: what stands in the table, and not what a
// stranger made of it.
func routed(at string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { recordOf(r).route = routeOf(r.Pattern, at) }() // a panic has a route as well
			next.ServeHTTP(w, r)
		})
	}
}

// routeOf is the path of a pattern, below the issuer's. All but that of everything
// name a method: what does not is the path of a request that is sent elsewhere.
func routeOf(pattern, at string) string {
	_, path, named := strings.Cut(pattern, " ")
	if !named || strings.HasPrefix(pattern, "/") {
		return otherRoute
	}
	return strings.TrimPrefix(path, at)
}

// count counts what is logged.
func (rec *record) count(observer Observer, method string, took time.Duration) {
	route, status := cmp.Or(rec.route, otherRoute), cmp.Or(rec.status, http.StatusOK)
	observer.RequestServed(route, method, status)
	if !rec.endless {
		observer.RequestTook(route, took)
	}
	if rec.issued != "" {
		observer.TokenIssued(rec.issued)
	}
	if rec.signIn != "" {
		observer.SignInTried(rec.signIn)
	}
	if rec.throttled != "" {
		observer.Throttled(rec.throttled)
	}
	if rec.errorCode != "" {
		observer.Refused(rec.errorCode, cmp.Or(string(rec.reason), string(protocol.ReasonOf(rec.err))))
	}
}
