package web

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/throttle"
)

func posted(contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

// wantCode checks that err is a refusal with this code; nil if code is empty.
func wantCode(t *testing.T, what string, err error, code protocol.Code) {
	t.Helper()
	var refused *protocol.Error
	if code == "" && err != nil || code != "" && (!errors.As(err, &refused) || refused.Code != code) {
		t.Errorf("%s: %v, and not %q", what, err, code)
	}
}

const urlencoded = "application/x-www-form-urlencoded"

func TestAFormIsReadOnceAndAsAWhole(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		contentType, body, want string
	}{
		"parameters":                     {urlencoded, "a=1&b=2", "a=1&b=2"},
		"with a charset":                 {urlencoded + "; charset=utf-8", "a=1", "a=1"},
		"a type in other case":           {"Application/X-WWW-Form-URLEncoded", "a=1", "a=1"},
		"one without a value":            {urlencoded, "a=&b=2&c", "b=2"},
		"one without a value, and twice": {urlencoded, "a=&a=1", ""},
		"one given twice":                {urlencoded, "a=1&a=1", ""},
		"several resources":              {urlencoded, "resource=x&resource=y", "resource=x&resource=y"},
		"broken encoding":                {urlencoded, "a=%zz", ""},
		"a semicolon":                    {urlencoded, "a=1;b=2", ""},
		"what is not text":               {urlencoded, "a=%ff", ""},
		"no type":                        {"", "a=1", ""},
		"another type":                   {"text/plain", "a=1", ""},
		"JSON":                           {"application/json", `{"a":"1"}`, ""},
		"two types":                      {urlencoded + ", text/plain", "a=1", ""},
	} {
		r := posted(c.contentType, c.body)
		err := parseForm(r)
		code := protocol.InvalidRequest
		if c.want != "" {
			code = ""
		}
		wantCode(t, what, err, code)
		if got := r.PostForm.Encode(); got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
	r := posted(urlencoded, "a=1")
	r.URL.RawQuery = "a=1"
	wantCode(t, "parameters in the URL", parseForm(r), protocol.InvalidRequest)
	wantCode(t, "an early end", parseForm(httptest.NewRequest(http.MethodPost, "/", broken{})), protocol.InvalidRequest)
}

// broken is a body whose connection ends early.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection is gone") }

func TestWhatIsWrongWithAFormIsSaidWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"scope=a&scope=b":           "The parameter scope is given more than once.",
		"hunter2%00=1&hunter2%00=2": "A parameter is given more than once.",
		"hunter2=%ff":               "A parameter is not UTF-8.",
		"hunter2=%zz":               "The parameters are not well-formed application/x-www-form-urlencoded: a ';' or a '%' in them is to be encoded.",
	} {
		var refused *protocol.Error
		if err := parseForm(posted(urlencoded, body)); !errors.As(err, &refused) || refused.Description != want || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestJSONIsOneObjectOfKnownTexts(t *testing.T) {
	t.Parallel()
	const utf8 = "application/json"
	for what, c := range map[string]struct {
		contentType, body string
		// want is nil if the body is refused.
		want map[string]string
	}{
		"texts":                    {utf8, `{"id":"a","pw":"b"}`, map[string]string{"id": "a", "pw": "b"}},
		"none":                     {utf8, `{}`, map[string]string{}},
		"an empty one":             {utf8, `{"id":"","pw":"b"}`, map[string]string{"pw": "b"}},
		"with a charset":           {utf8 + "; charset=UTF-8", `{"id":"a"}`, map[string]string{"id": "a"}},
		"another charset":          {utf8 + "; charset=latin1", `{"id":"a"}`, nil},
		"one given twice":          {utf8, `{"id":"a","id":"a"}`, nil},
		"one given twice, empty":   {utf8, `{"id":"","id":"a"}`, nil},
		"the same name, escaped":   {utf8, `{"id":"a","\u0069d":"b"}`, nil},
		"an unknown member":        {utf8, `{"id":"a","admin":"true"}`, nil},
		"a name in other case":     {utf8, `{"ID":"a"}`, nil},
		"a number":                 {utf8, `{"id":1}`, nil},
		"null":                     {utf8, `{"id":null}`, nil},
		"an object":                {utf8, `{"id":{"pw":"b"}}`, nil},
		"a list":                   {utf8, `["id","a"]`, nil},
		"two objects":              {utf8, `{"id":"a"}{"pw":"b"}`, nil},
		"something behind":         {utf8, `{"id":"a"} x`, nil},
		"half of one":              {utf8, `{"id":"a"`, nil},
		"nothing":                  {utf8, ``, nil},
		"what is not text":         {utf8, "{\"id\":\"\xff\"}", nil},
		"half of a pair":           {utf8, `{"id":"\ud800"}`, nil},
		"a form":                   {urlencoded, `{"id":"a"}`, nil},
		"no type":                  {"", `{"id":"a"}`, nil},
		"text, which a form sends": {"text/plain", `{"id":"a"}`, nil},
	} {
		got, err := readJSON(posted(c.contentType, c.body), "id", "pw")
		code := protocol.InvalidRequest
		if c.want != nil {
			code = ""
		}
		wantCode(t, what, err, code)
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v", what, got)
		}
	}
	r := posted(utf8, `{"id":"a"}`)
	r.URL.RawQuery = "pw=b"
	_, err := readJSON(r, "id", "pw")
	wantCode(t, "parameters in the URL", err, protocol.InvalidRequest)
}

func TestABodyIsNoLongerThanAllowed(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		body   body
		sent   string
		status int
	}{
		"a form as long as allowed":  {formBody, "a=" + strings.Repeat("x", 30), 200},
		"a longer form":              {formBody, "a=" + strings.Repeat("x", 31), 413},
		"JSON as long as allowed":    {jsonBody, `{"id":"` + strings.Repeat("x", 23) + `"}`, 200},
		"longer JSON":                {jsonBody, `{"id":"` + strings.Repeat("x", 24) + `"}`, 413},
		"JSON with spaces behind":    {jsonBody, `{"id":"x"}` + strings.Repeat(" ", 23), 413},
		"a form where there is none": {noBody, "a=1", 200},
	} {
		read := ""
		h := router{maxBody: 32}.limited(c.body, endpoint(func(w http.ResponseWriter, r *http.Request) error {
			if c.body == jsonBody {
				_, err := readJSON(r, "id")
				return err
			}
			var err error
			read, err = readForm(r)
			return err
		}))
		w, contentType := httptest.NewRecorder(), urlencoded
		if c.body == jsonBody {
			contentType = "application/json"
		}
		r := posted(contentType, c.sent)
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), recordKey{}, &record{})))
		if w.Code != c.status || c.body == noBody && read != "" {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
}

func TestAnErrorHasOneStatusAndSaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	tooMany := &throttle.TooManyError{RetryAfter: 1500 * time.Millisecond}
	app := protocol.Refuse(protocol.AccessDenied, "Too many.")
	app.Cause = tooMany
	for what, c := range map[string]struct {
		err    error
		status int
		// again is the Retry-After header.
		again string
	}{
		"what a client did wrong":      {protocol.Refuse(protocol.InvalidGrant, ""), 400, ""},
		"a wrong secret":               {protocol.Refuse(protocol.InvalidClient, ""), 401, ""},
		"a token that does not stand":  {protocol.Refuse(protocol.InvalidToken, ""), 401, ""},
		"a token for too little":       {protocol.Refuse(protocol.InsufficientScope, ""), 403, ""},
		"a client that failed often":   {fmt.Errorf("%w", clients.ErrThrottled), 429, ""},
		"too many guesses":             {tooMany, 429, "2"},
		"too many guesses in an app":   {app, 429, "2"},
		"a crowd":                      {fmt.Errorf("wait: %w", throttle.ErrCrowded), 503, "4"},
		"no such listener":             {fmt.Errorf("%w", listeners.ErrNotFound), 404, ""},
		"a storage that says nothing":  {context.DeadlineExceeded, 503, "1"},
		"what nobody knows":            {errors.New("a pipe broke"), 500, ""},
		"a status of its own":          {withStatus{protocol.Refuse(protocol.InvalidRequest, ""), 413}, 413, ""},
		"a status around other errors": {bearerError{error: withStatus{protocol.Refuse(protocol.InvalidToken, ""), 403}}, 403, ""},
	} {
		h := http.Header{}
		if got := head(h, c.err); got != c.status {
			t.Errorf("%s: %d", what, got)
		}
		if again := h.Get("Retry-After"); again != c.again {
			t.Errorf("%s: again after %q", what, again)
		}
	}
}

func TestARedirectIsAskedForWithGETAndKeptByNobody(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	redirect(w, "https://app.test/cb?code=c")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "https://app.test/cb?code=c" || w.Header().Get("Cache-Control") != "no-store" || w.Body.Len() != 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
