package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/ingam/ingam/authz/protocol"
)

// endpoint is a handler that may fail.
type endpoint func(w http.ResponseWriter, r *http.Request) error

func (e endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := e(w, r); err != nil {
		refuse(w, r, err)
	}
}

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
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	var token bearerError
	switch {
	case errors.As(err, &token):
		// RFC 6750 section 3: without a token there is no error to name.
		challenge := `Bearer realm="ingam"`
		if h.Get("WWW-Authenticate") == "" {
			challenge += fmt.Sprintf(`, error="%s", error_description="%s"`, e.Code, visible(e.Description))
		}
		h.Set("WWW-Authenticate", challenge)
	case e.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "":
		h.Set("WWW-Authenticate", `Basic realm="ingam", charset="UTF-8"`)
	}
	writeJSON(w, e.Status, struct {
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

// writeJSON writes an answer that is for its asker alone and must not be kept
// (RFC 6749 section 5.1).
func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		// Only a type that cannot be written fails, and none here is.
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}
