package web

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ingam/ingam/authz/protocol"
)

// isJSON reports whether a request declares its body as JSON.
func isJSON(r *http.Request) bool { return mediaTypeOf(r) == typeJSON }

// readJSON parses a JSON body: one object whose values are strings. It refuses members
// that are not in names, and a member that occurs twice, because parsers differ in
// which one they use.
func readJSON(r *http.Request, names ...string) (map[string]string, error) {
	if !isJSON(r) {
		return nil, protocol.Refuse(protocol.InvalidRequest, "The Content-Type must be application/json.")
	}
	if _, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, protocol.Refuse(protocol.InvalidRequest, "JSON is in UTF-8 (RFC 8259 section 8.1).")
	}
	if r.URL.RawQuery != "" {
		return nil, protocol.Refuse(protocol.InvalidRequest, "Parameters must be in the body and not in the URL.")
	}
	d := json.NewDecoder(r.Body)
	malformed := func(err error) (map[string]string, error) {
		if refused := tooLarge(err); refused != nil {
			return nil, refused
		}
		return nil, protocol.Refuse(protocol.InvalidRequest, "The body is not one JSON object of texts, each given once.")
	}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return malformed(err)
	}
	texts, given := map[string]string{}, map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return malformed(err)
		}
		value, err := d.Token()
		text, isText := value.(string)
		// The decoder replaces invalid UTF-8 by this character, so two different
		// passwords would become equal.
		isText = isText && !strings.ContainsRune(text, utf8.RuneError)
		if err != nil || !isText || given[name.(string)] {
			return malformed(err)
		}
		given[name.(string)] = true
		if !slices.Contains(names, name.(string)) {
			return nil, protocol.Refuse(protocol.InvalidRequest, "The body has a member that is not known here; there are %s.", strings.Join(names, ", "))
		}
		if text != "" { // an empty one counts as absent, as in a form
			texts[name.(string)] = text
		}
	}
	if _, err := d.Token(); err != nil {
		return malformed(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed(err)
	}
	return texts, nil
}

// either returns the value of a member that may have one of two names.
func either(a, b, what string) (string, error) {
	if a != "" && b != "" {
		return "", protocol.Refuse(protocol.InvalidRequest, "The %s is given under two names.", what)
	}
	if a+b == "" {
		return "", protocol.Refuse(protocol.InvalidRequest, "The %s is missing.", what)
	}
	return a + b, nil
}

// public returns the form in which a client without a secret identifies itself; empty
// if there is no client id.
func public(clientID string) url.Values {
	form := url.Values{}
	if clientID != "" {
		form.Set("client_id", clientID)
	}
	return form
}
