package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
)

// isForm reports whether a request declares its body as a form.
func isForm(r *http.Request) bool { return mediaTypeOf(r) == "application/x-www-form-urlencoded" }

// mediaTypeOf returns the media type of a request's body in lower case; empty if it is
// missing or malformed.
func mediaTypeOf(r *http.Request) string {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return mediaType
}

// parseForm reads the body of a POST into r.PostForm and r.Form.
func parseForm(r *http.Request) error {
	text, err := readForm(r)
	if err != nil {
		return err
	}
	form, err := parameters(text)
	if err != nil {
		return err
	}
	r.PostForm, r.Form = form, form
	return nil
}

// readForm returns the body of a POST; the router has limited its length. Parameters
// must come in the body, urlencoded (RFC 6749 section 3.2).
func readForm(r *http.Request) (string, error) {
	if !isForm(r) {
		return "", protocol.Refuse(protocol.InvalidRequest, "The Content-Type must be application/x-www-form-urlencoded.")
	}
	if r.URL.RawQuery != "" {
		// A secret or a token in a URL ends up in logs and histories. So it is refused,
		// which teaches clients not to do it, and it is not logged here.
		return "", protocol.Refuse(protocol.InvalidRequest, "Parameters must be in the body and not in the URL (RFC 6749 section 2.3.1).")
	}
	body, err := io.ReadAll(r.Body)
	if refused := tooLarge(err); refused != nil {
		return "", refused
	}
	if err != nil {
		return "", protocol.Refuse(protocol.InvalidRequest, "The body ended early.")
	}
	return string(body), nil
}

// tooLarge returns the error for a body that exceeded the router's limit; nil if
// reading failed for another reason.
func tooLarge(err error) error {
	var over *http.MaxBytesError
	if !errors.As(err, &over) {
		return nil
	}
	return withStatus{protocol.Refuse(protocol.InvalidRequest, "The body is larger than %d bytes.", over.Limit), http.StatusRequestEntityTooLarge}
}

// parameters parses a query or a form. It must be well-formed UTF-8, and each parameter
// may occur once, except those that RFC 8707 section 2 and RFC 8693 section 2.1 allow
// several times. One without a value is left out, as if it had not been sent (RFC 6749
// sections 3.1 and 3.2). In case of an error the result has what could be read; use it
// only to find out whom to tell.
func parameters(text string) (url.Values, error) {
	var fault error
	wrong := func(cause error, format string, args ...any) {
		if fault == nil {
			e := protocol.Refuse(protocol.InvalidRequest, format, args...)
			e.Cause = cause
			fault = e
		}
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		// A part that cannot be parsed is left out below. Its names and values could be
		// anything, so they are not repeated in the log.
		wrong(authorization.ErrMalformed, "The parameters are not well-formed application/x-www-form-urlencoded: a ';' or a '%%' in them is to be encoded.")
	}
	var twice []string
	for name, all := range values {
		if slices.ContainsFunc(all, func(v string) bool { return !utf8.ValidString(v) }) {
			wrong(nil, "A parameter is not UTF-8.")
		}
		if len(all) > 1 && !slices.Contains(grants.TargetParameters, name) {
			twice = append(twice, name)
			continue
		}
		if values[name] = slices.DeleteFunc(all, func(v string) bool { return v == "" }); len(values[name]) == 0 {
			delete(values, name)
		}
	}
	// Two programs may each believe another one of two values; request smuggling relies
	// on that.
	switch {
	case len(twice) > 0 && parameterName.MatchString(slices.Min(twice)):
		wrong(nil, "The parameter %s is given more than once.", slices.Min(twice))
	case len(twice) > 0:
		wrong(nil, "A parameter is given more than once.")
	}
	return values, fault
}

// parameterName matches plausible names of parameters. Others are not repeated to
// anyone, because they may contain anything, of any length.
var parameterName = regexp.MustCompile(`^[a-z_]{1,40}$`)
