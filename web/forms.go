package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/ingam/ingam/authz/protocol"
)

// forms parses request bodies.
type forms struct{ maxBody int64 }

// repeatable are the parameters that may be given more than once (RFC 8707
// section 2, RFC 8693 section 2.1).
var repeatable = map[string]bool{"resource": true, "audience": true}

// isForm reports whether a request's body is said to be a form.
func isForm(r *http.Request) bool { return mediaTypeOf(r) == "application/x-www-form-urlencoded" }

// mediaTypeOf returns the type of a request's body in lower case; empty if it does
// not say, or not well.
func mediaTypeOf(r *http.Request) string {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return mediaType
}

// parse reads the body of a POST into r.PostForm and r.Form. Parameters come
// in the body or not at all, urlencoded, each once (RFC 6749 section 3.2).
func (f forms) parse(w http.ResponseWriter, r *http.Request) error {
	if !isForm(r) {
		return protocol.Refuse(protocol.InvalidRequest, "The Content-Type must be application/x-www-form-urlencoded.")
	}
	if r.URL.RawQuery != "" {
		// A secret or a token in a URL ends up in logs and histories. It is
		// refused, so that nobody gets used to it, and not logged here.
		return protocol.Refuse(protocol.InvalidRequest, "Parameters must be in the body and not in the URL (RFC 6749 section 2.3.1).")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, f.maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		e := protocol.Refuse(protocol.InvalidRequest, "The body is larger than %d bytes.", tooLarge.Limit)
		e.Status = http.StatusRequestEntityTooLarge
		return e
	}
	if err != nil {
		return protocol.Refuse(protocol.InvalidRequest, "The body ended early.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return protocol.Refuse(protocol.InvalidRequest, "The body is not well-formed application/x-www-form-urlencoded.")
	}
	for key, values := range form {
		if len(values) > 1 && !repeatable[key] {
			// Which of the two counts is what a request smuggler lives on.
			return protocol.Refuse(protocol.InvalidRequest, "A parameter is given more than once.")
		}
		for _, v := range values {
			if !utf8.ValidString(v) {
				return protocol.Refuse(protocol.InvalidRequest, "A parameter is not UTF-8.")
			}
		}
	}
	r.PostForm, r.Form = form, form
	return nil
}
