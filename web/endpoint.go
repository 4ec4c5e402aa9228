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

// endpoint is a handler that may return an error, which the client is told as JSON.
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

// bearerError is an error of a request that needs a bearer token, and not a client's
// credentials.
type bearerError struct {
	error
	// absent is set if there was no token; the answer then names no error (RFC 6750
	// section 3).
	absent bool
}

func (e bearerError) Unwrap() error { return e.error }

// refuse writes an error in the format of RFC 6749 section 5.2.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := protocol.From(err)
	rec := recordOf(r)
	rec.err = err
	if rec.errorCode == "" { // otherwise the handler has set a more exact one
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
		// RFC 6749 section 5.2 asks for this challenge if the client used Basic. Nobody
		// else gets it: a browser would ask the person for a password, over a page
		// whose script made the call.
		h.Set("WWW-Authenticate", `Basic realm="ingam", charset="UTF-8"`)
	default:
		// A 401 has a challenge (RFC 9110 section 15.5.2).
		h.Set("WWW-Authenticate", bearerChallenge)
	}
	writeJSON(w, code, struct {
		Error       protocol.Code `json:"error"`
		Description string        `json:"error_description,omitempty"`
		Because     string        `json:"reason,omitempty"`
	}{e.Code, visible(e.Description), e.Because})
}

// visible removes the characters that error_description must not contain (RFC 6749
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

// unkept forbids caches to store an answer (RFC 6749 section 5.1).
func unkept(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}

// writeJSON writes a JSON answer that caches must not store.
func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		// Only a type that JSON cannot represent fails, and no such type is used here.
		panic(err)
	}
	writeUnkept(w, status, typeJSON, b)
}

const typeJSON = "application/json"

// writeUnkept writes an answer that nobody may keep.
func writeUnkept(w http.ResponseWriter, status int, mediaType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	unkept(h)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}
