package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
)

const headerRequestID = "X-Request-Id"

// record gathers what is logged of one request.
type record struct {
	address                        string
	clientID, grantType, errorCode string
	// userID is whom a sign-in that was refused is about, empty unless that is
	// known; reason is why it was.
	userID string
	reason signin.Reason
	// leftOut is how many of the scopes that were asked for could not be had: not
	// which, for people paste secrets into the wrong field.
	leftOut int
	// asked is the authorization request that is to be answered, and sent what is
	// logged of it if it is refused.
	asked         url.Values
	sent          *authorization.Sent
	err           error
	status, bytes int

	// What follows is counted and not logged: the route, the grant type by which an
	// access token was issued, what came of an attempt to sign in, and what there was
	// too much of; each empty if it does not apply.
	route, issued, signIn, throttled string
	// endless is what does not end by itself: how long it took says nothing.
	endless bool
}

type recordKey struct{}

func recordOf(r *http.Request) *record { return r.Context().Value(recordKey{}).(*record) }

// refusedSignIn notes who was not signed in, and why, if that is what the error
// says. It is for the log: answers must be the same whatever the reason.
func (rec *record) refusedSignIn(err error) {
	var tooMany *throttle.TooManyError
	var wrong *signin.WrongError
	switch {
	case errors.As(err, &tooMany):
		rec.errorCode, rec.userID, rec.reason = "too_many_attempts", tooMany.UserID, signin.ReasonThrottled
		rec.throttled = throttledPasswords
	case errors.As(err, &wrong):
		rec.errorCode, rec.userID, rec.reason = "wrong_password", wrong.UserID, wrong.Reason
	case errors.Is(err, throttle.ErrCrowded):
		rec.errorCode = string(protocol.TemporarilyUnavailable)
		rec.throttled = throttledHashing
	default:
		return
	}
	rec.err = err
}

// maxLoggedPath bounds what a stranger can write into the log.
const (
	maxLoggedPath   = 200
	maxLoggedMethod = 20
)

// recorded gives each request an id, and logs one record of it when it is
// over, and counts it.
func recorded(log *slog.Logger, observer Observer) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			rec := &record{}
			id := rand.Text()
			w.Header().Set(headerRequestID, id)
			next.ServeHTTP(&counted{w, rec}, r.WithContext(context.WithValue(r.Context(), recordKey{}, rec)))
			took := time.Since(began)
			rec.log(log, r, id, took)
			rec.count(observer, r.Method, took)
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

// counted notes what is answered.
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
			if ip, ok := f.client(r); ok {
				r.RemoteAddr = ip.String()
			}
			recordOf(r).address = r.RemoteAddr
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

// secured sets what a browser should hold against any answer of this server:
// it is not to be framed, sniffed, or run.
func secured(https bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
			h.Set("Referrer-Policy", "no-referrer")
			if https {
				h.Set("Strict-Transport-Security", "max-age=31536000")
			}
			next.ServeHTTP(w, r)
		})
	}
}
