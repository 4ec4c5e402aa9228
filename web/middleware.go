package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
)

const headerRequestID = "X-Request-Id"

// record collects what is logged about one request.
type record struct {
	address string
	// from is what the audit log says of where the request comes from.
	from                           audit.Origin
	clientID, grantType, errorCode string
	// userID is the user of a refused sign-in, empty if unknown; reason is why it was
	// refused.
	userID string
	reason signin.Reason
	// leftOut is how many of the requested scopes were not granted. Their names are not
	// logged, because people paste secrets into the wrong field.
	leftOut int
	// asked is the authorization request that is being answered, and sent is the part
	// of it that is logged if it is refused.
	asked         url.Values
	sent          *authorization.Sent
	err           error
	status, bytes int

	// These are counted and not logged: the route, the grant type of an issued access
	// token, the outcome of a sign-in, and what was throttled. Each is empty if it does
	// not apply.
	route, issued, signIn, throttled string
	// endless is set for an answer that does not end by itself. How long it took means
	// nothing.
	endless bool
}

type recordKey struct{}

func recordOf(r *http.Request) *record { return r.Context().Value(recordKey{}).(*record) }

// refusedSignIn notes whose sign-in was refused, and why, if the error says so. This is
// for the log only: the answer must be the same whatever the reason.
func (rec *record) refusedSignIn(err error) {
	var tooMany *throttle.TooManyError
	var wrong *signin.WrongError
	var must *signin.MustChangeError
	switch {
	case errors.As(err, &tooMany):
		rec.errorCode, rec.userID, rec.reason = "too_many_attempts", tooMany.UserID, signin.ReasonThrottled
		rec.throttled = throttledPasswords
	case errors.As(err, &wrong):
		rec.errorCode, rec.userID, rec.reason = "wrong_password", wrong.UserID, wrong.Reason
	case errors.As(err, &must):
		rec.errorCode, rec.userID, rec.reason = "password_must_be_changed", must.User.ID, signin.ReasonMustChange
	case errors.Is(err, throttle.ErrCrowded):
		rec.errorCode = string(protocol.TemporarilyUnavailable)
		rec.throttled = throttledHashing
	default:
		return
	}
	rec.err = err
}

// maxLoggedPath limits how much a stranger can write into the log.
const (
	maxLoggedPath   = 200
	maxLoggedMethod = 20
)

// recorded gives each request an id, and logs and counts it when it is over.
func recorded(log *slog.Logger, observer Observer) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			rec := &record{}
			id := rand.Text()
			w.Header().Set(headerRequestID, id)
			defer func() { // also for an answer that breaks off
				took := time.Since(began)
				rec.log(log, r, id, took)
				rec.count(observer, r.Method, took)
			}()
			next.ServeHTTP(&counted{w, rec}, r.WithContext(audit.With(context.WithValue(r.Context(), recordKey{}, rec), &rec.from)))
		})
	}
}

func (rec *record) log(log *slog.Logger, r *http.Request, id string, took time.Duration) {
	attrs := make([]slog.Attr, 0, 15)
	attrs = append(attrs,
		slog.String("request_id", id),
		slog.String("method", r.Method[:min(len(r.Method), maxLoggedMethod)]),
		slog.String("path", r.URL.Path[:min(len(r.URL.Path), maxLoggedPath)]), // never the query, which may carry a token
		slog.Int("status", rec.status),
		slog.Int("bytes", rec.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("address", rec.address),
	)
	if rec.clientID != "" {
		attrs = append(attrs, slog.String("client_id", rec.clientID))
	}
	if rec.grantType != "" {
		attrs = append(attrs, slog.String("grant_type", rec.grantType))
	}
	if rec.userID != "" {
		attrs = append(attrs, slog.String("user_id", rec.userID))
	}
	if rec.reason != "" {
		attrs = append(attrs, slog.String("reason", string(rec.reason)))
	}
	if rec.leftOut > 0 {
		attrs = append(attrs, slog.Int("scopes_left_out", rec.leftOut))
	}
	if rec.sent != nil {
		attrs = append(attrs, slog.Group("sent", "client_id", rec.sent.ClientID, "redirect_uri", rec.sent.RedirectURI,
			"scope", rec.sent.Scopes, "unknown_scopes", rec.sent.UnknownScopes))
	}
	level := slog.LevelInfo
	if rec.err != nil {
		attrs = append(attrs, slog.String("error", rec.errorCode), slog.String("cause", rec.err.Error()))
		if rec.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
	}
	log.LogAttrs(r.Context(), level, "request", attrs...)
}

// counted is a ResponseWriter that notes the status of the answer.
type counted struct {
	http.ResponseWriter
	rec *record
}

func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counted) WriteHeader(status int) {
	if c.rec.status == 0 {
		c.rec.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(b []byte) (int, error) {
	if c.rec.status == 0 {
		c.rec.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(b)
	c.rec.bytes += n
	return n, err
}

// addressed finds the client's address.
func addressed(f forwarding) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := recordOf(r)
			if ip, ok := f.client(r); ok {
				r.RemoteAddr = ip.String()
				rec.from.Address = r.RemoteAddr
			}
			rec.address = r.RemoteAddr
			next.ServeHTTP(w, r)
		})
	}
}

// recovered answers a panic like any other failure, and keeps the process
// alive.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); {
			case p == nil:
			case p == http.ErrAbortHandler:
				panic(p)
			default:
				refuse(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// protection returns the headers that protect every answer in a browser: it must not be
// framed, sniffed for another type, or run. All answers share them.
func protection(https bool) http.Header {
	h := http.Header{
		"X-Content-Type-Options":  {"nosniff"},
		"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
		"Referrer-Policy":         {"no-referrer"},
	}
	if https {
		h["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
	return h
}

// secured sets the headers that protect every answer.
func secured(protection http.Header) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			maps.Copy(w.Header(), protection)
			next.ServeHTTP(w, r)
		})
	}
}
