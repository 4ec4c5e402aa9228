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

// Observer counts what happens, for the metrics. Every argument comes from a small
// fixed set of words, whatever clients send.
type Observer interface {
	// RequestServed counts a request by the pattern of its route ("other" if it had
	// none), its method and the HTTP status of the answer.
	RequestServed(route, method string, status int)
	// RequestTook records how long the answer took.
	RequestTook(route string, took time.Duration)
	// TokenIssued counts an access token by the grant type that it was issued for.
	TokenIssued(grantType string)
	// Refused counts an error by its code in the log, and by its reason.
	Refused(code, reason string)
	// SignInTried counts an attempt to sign in by its outcome, one of SignInOutcomes.
	SignInTried(outcome string)
	// Throttled counts a request that was refused because it came too often, or
	// together with too many others. kind is one of Throttles.
	Throttled(kind string)
	// CutAcknowledged records how long it took until a verifier had applied a cut,
	// which is a revocation.
	CutAcknowledged(took time.Duration)
	// ListServed counts a status list that was served without a log record.
	ListServed()
}

// What is throttled.
const (
	throttledPasswords = "password"              // wrong passwords, for an account or from an address
	throttledHashing   = "password_hashing"      // passwords that wait to be checked
	throttledClients   = "client_authentication" // failed client authentications from an address
	throttledListeners = "listeners"             // connections to the stream
)

// Throttles are the kinds of what is throttled.
var Throttles = []string{throttledPasswords, throttledHashing, throttledClients, throttledListeners}

// The outcomes of an attempt to sign in, apart from the reasons that package signin
// names.
const (
	signedIn      = "signed_in"
	signInCrowded = "crowded"
	signInFailed  = "failed" // by a fault of the server
)

// SignInOutcomes are all outcomes of an attempt to sign in.
var SignInOutcomes = []string{
	signedIn, string(signin.ReasonUnknown), string(signin.ReasonWrong), string(signin.ReasonDisabled),
	string(signin.ReasonThrottled), string(signin.ReasonCut), string(signin.ReasonMustChange), signInCrowded, signInFailed,
}

// triedSignIn notes the outcome of an attempt to sign in.
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

// otherRoute stands for requests that match no route.
const otherRoute = "other"

// routed notes the route of a request: the pattern in the table, and not the path that
// a stranger chose.
func routed(at string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { recordOf(r).route = routeOf(r.Pattern, at) }() // deferred, to know the route after a panic too
			next.ServeHTTP(w, r)
		})
	}
}

// routeOf returns the path of a pattern, below the issuer's. Every pattern names a
// method, except the one of everything and those of redirects that the mux itself
// makes.
func routeOf(pattern, at string) string {
	_, path, named := strings.Cut(pattern, " ")
	if !named || strings.HasPrefix(pattern, "/") {
		return otherRoute
	}
	return strings.TrimPrefix(path, at)
}

// count passes to the observer what was also logged.
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
