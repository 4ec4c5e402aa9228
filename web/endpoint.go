package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
)

// endpoint is a handler that may fail.
type endpoint func(w http.ResponseWriter, r *http.Request) error

func (e endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := e(w, r); err != nil {
		refuse(w, r, err)
	}
}

const bearerChallenge = `Bearer realm="ingam"`

// authorizationHeader returns the scheme of a request's Authorization header, in lower
// case, and what follows it.
func authorizationHeader(r *http.Request) (scheme, credentials string) {
	scheme, credentials, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.ToLower(scheme), credentials
}

// bearerError asks for a bearer token instead of a client's credentials.
type bearerError struct {
	error
	// absent is whether there was no token; then there is no error to name (RFC
	// 6750 section 3).
	absent bool
}

func (e bearerError) Unwrap() error { return e.error }

// refuse writes an error as RFC 6749 section 5.2 has it.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := protocol.From(err)
	rec := recordOf(r)
	rec.err = err
	if rec.errorCode == "" { // else the handler named it more closely
		rec.errorCode = string(e.Code)
	}
	if e.ClientID != "" {
		rec.clientID = e.ClientID
	}
	h := w.Header()
	code := head(h, err)
	if errors.Is(err, clients.ErrThrottled) {
		rec.throttled = throttledClients
	}
	var token bearerError
	scheme, _ := authorizationHeader(r)
	switch {
	case errors.As(err, &token):
		challenge := bearerChallenge
		if !token.absent {
			challenge += fmt.Sprintf(`, error="%s", error_description="%s"`, e.Code, visible(e.Description))
		}
		h.Set("WWW-Authenticate", challenge)
	case code != http.StatusUnauthorized:
	case scheme == "basic":
		// RFC 6749 section 5.2 has whoever came with it answered in kind. Nobody
		// else is: a browser would ask the person in front of it for a password,
		// over the page whose script called.
		h.Set("WWW-Authenticate", `Basic realm="ingam", charset="UTF-8"`)
	default:
		// A 401 has a challenge (RFC 9110 section 15.5.2).
		h.Set("WWW-Authenticate", bearerChallenge)
	}
	writeJSON(w, code, struct {
		Error       protocol.Code `json:"error"`
		Description string        `json:"error_description,omitempty"`
	}{e.Code, visible(e.Description)})
}

// visible keeps to the characters that error_description may hold (RFC 6749
// section 5.2).
func visible(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"', c == '\\':
			return '\''
		case c < ' ' || c > '~':
			return '?'
		}
		return c
	}, s)
}

// unkept says that an answer is for its asker alone and must not be kept (RFC
// 6749 section 5.1 demands both).
func unkept(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}

// writeJSON writes an answer that must not be kept.
func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		// Only a type that cannot be written fails, and none here is.
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	unkept(h)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}
