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

// readForm returns the body of a POST, of which the router lets no more through than
// is allowed. Parameters come in the body or not at all,
// urlencoded (RFC 6749 section 3.2).
func readForm(r *http.Request) (string, error) {
	if !isForm(r) {
		return "", protocol.Refuse(protocol.InvalidRequest, "The Content-Type must be application/x-www-form-urlencoded.")
	}
	if r.URL.RawQuery != "" {
		// A secret or a token in a URL ends up in logs and histories. It is
		// refused, so that nobody gets used to it, and not logged here.
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

// tooLarge refuses a body of which the router let no more through; nil if that is not
// what the error of reading it says.
func tooLarge(err error) error {
	var over *http.MaxBytesError
	if !errors.As(err, &over) {
		return nil
	}
	return withStatus{protocol.Refuse(protocol.InvalidRequest, "The body is larger than %d bytes.", over.Limit), http.StatusRequestEntityTooLarge}
}

// parameters reads a query or a form: well-formed, in UTF-8, and each parameter
// once, but those of which RFC 8707 section 2 and RFC 8693 section 2.1 allow
// several. One without a value is left out: it counts as one that was not sent
// (RFC 6749 sections 3.1 and 3.2). What is wrong comes as an error beside all that
// could be read, which is good for nothing but finding out whom to tell.
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
		// What does not parse is missing below; its names and values could be
		// anything, and are not repeated in the log.
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
	// Which of two counts is what a request smuggler lives on.
	switch {
	case len(twice) > 0 && parameterName.MatchString(slices.Min(twice)):
		wrong(nil, "The parameter %s is given more than once.", slices.Min(twice))
	case len(twice) > 0:
		wrong(nil, "A parameter is given more than once.")
	}
	return values, fault
}

// parameterName is what names of parameters look like. Others are not repeated to
// anyone: they may be anything, of any length.
var parameterName = regexp.MustCompile(`^[a-z_]{1,40}$`)
