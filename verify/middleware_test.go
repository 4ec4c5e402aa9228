package verify_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/verify"
)

func TestRequestsAreChallengedAsRFC6750HasIt(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	uri, l := f.addList(1)
	f.revoke(l, 3)
	v := f.verifier(patient)
	good := f.listed(uri, 1)
	const (
		realm = `Bearer realm="https://api.example.com"`
		about = `, resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`
		scope = `, scope="read"`
	)
	for name, c := range map[string]struct {
		headers   []string
		query     string
		scopes    []string
		status    int
		challenge string
	}{
		"no token":            {nil, "", []string{"read"}, 401, realm + scope + about},
		"no token, no scope":  {nil, "", nil, 401, realm + about},
		"another scheme":      {[]string{"Basic YTpi"}, "", []string{"read"}, 401, realm + scope + about},
		"good":                {[]string{"Bearer " + good}, "", []string{"read", "write"}, 200, ""},
		"good, lower case":    {[]string{"bearer " + good}, "", nil, 200, ""},
		"good, other query":   {[]string{"Bearer " + good}, "?a=b;c&access=token", nil, 200, ""},
		"two headers":         {[]string{"Bearer " + good, "Bearer " + good}, "", nil, 400, realm + `, error="invalid_request", error_description="The access token must be sent once, in the Authorization header."` + about},
		"two in one":          {[]string{"Bearer " + good + ", Bearer " + good}, "", nil, 400, realm + `, error="invalid_request", error_description="The access token must be sent once, in the Authorization header."` + about},
		"empty":               {[]string{"Bearer "}, "", nil, 400, realm + `, error="invalid_request", error_description="The access token must be sent once, in the Authorization header."` + about},
		"in the query":        {nil, "?access_token=" + good, nil, 400, realm + `, error="invalid_request", error_description="The access token must be sent once, in the Authorization header."` + about},
		"in the query, coded": {nil, "?access%5ftoken=" + good, nil, 400, realm + `, error="invalid_request", error_description="The access token must be sent once, in the Authorization header."` + about},
		"in both":             {[]string{"Bearer " + good}, "?access_token=x", nil, 400, realm + `, error="invalid_request", error_description="The access token must be sent once, in the Authorization header."` + about},
		"in a broken query":   {[]string{"Bearer " + good}, "?%zz&access_token=x", nil, 400, realm + `, error="invalid_request", error_description="The access token must be sent once, in the Authorization header."` + about},
		"no token at all":     {[]string{"Bearer abc"}, "", []string{"read"}, 401, realm + `, error="invalid_token", error_description="The access token is not valid here: it does not have three parts."` + scope + about},
		"expired":             {[]string{"Bearer " + f.token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})}, "", nil, 401, realm + `, error="invalid_token", error_description="The access token has expired."` + about},
		"revoked":             {[]string{"Bearer " + f.listed(uri, 3)}, "", nil, 401, realm + `, error="invalid_token", error_description="The access token was revoked."` + about},
		"lacks a scope":       {[]string{"Bearer " + good}, "", []string{"read", "admin"}, 403, realm + `, error="insufficient_scope", error_description="The access token lacks a scope.", scope="read admin"` + about},
		"cannot tell":         {[]string{"Bearer " + f.listed(strings.Replace(uri, "status/1", "status/9", 1), 1)}, "", nil, 503, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var seen *verify.Token
			h := v.Require(c.scopes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen, _ = verify.FromContext(r.Context())
			}))
			r := httptest.NewRequest("GET", "/orders"+c.query, nil)
			r.Header["Authorization"] = c.headers
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got := w.Result()
			body, _ := io.ReadAll(got.Body)
			if got.StatusCode != c.status || got.Header.Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%d\n%s\nwant %d\n%s", got.StatusCode, got.Header.Get("WWW-Authenticate"), c.status, c.challenge)
			}
			if (c.status == 200) != (seen != nil && seen.Subject == "minji") {
				t.Errorf("the handler saw %+v", seen)
			}
			if c.status == 200 {
				return
			}
			if (got.Header.Get("Retry-After") != "") != (c.status == 503) || got.Header.Get("Cache-Control") != "no-store" || !json.Valid(body) {
				t.Errorf("answered with %v %s", got.Header, body)
			}
			if strings.Contains(string(body), "eyJ") || strings.Contains(string(body), "127.0.0.1") {
				t.Errorf("the answer tells more than it should: %s", body)
			}
		})
	}
	if n := v.State().Refused; n["request"] != 10 || n["scope"] != 1 || n["revoked"] != 1 {
		t.Errorf("counted %v", n)
	}
	if _, ok := verify.FromContext(t.Context()); ok {
		t.Error("a context without a token has one")
	}
}

func TestNeedNamesTheScopes(t *testing.T) {
	t.Parallel()
	token := &verify.Token{Scopes: []string{"read"}}
	if err := token.Need("read"); err != nil {
		t.Error(err)
	}
	if err := token.Need("read", "Read"); !errors.Is(err, verify.ErrInsufficientScope) || errors.Is(err, verify.ErrInvalid) {
		t.Error(err)
	}
}

func TestTheAPIDescribesItself(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	for name, c := range map[string]struct {
		audience   string
		resource   verify.Resource
		path, body string
	}{
		"by its audience": {"https://api.example.com", verify.Resource{Name: "Orders", Scopes: []string{"read"}}, "/.well-known/oauth-protected-resource",
			`{"resource":"https://api.example.com","authorization_servers":["http://127.0.0.1:8080/realm"],"scopes_supported":["read"],"bearer_methods_supported":["header"],"resource_name":"Orders"}`},
		"with a path": {"orders", verify.Resource{ID: "https://api.example.com/orders"}, "/.well-known/oauth-protected-resource/orders",
			`{"resource":"https://api.example.com/orders","authorization_servers":["http://127.0.0.1:8080/realm"],"bearer_methods_supported":["header"]}`},
		"not": {"orders", verify.Resource{}, "/.well-known/oauth-protected-resource", ""},
	} {
		v := f.verifier(func(c2 *verify.Config) { c2.Audience, c2.Resource = c.audience, c.resource })
		path, h := v.Metadata()
		get := func(method string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			return w
		}
		w := get("GET")
		if path != c.path || c.body != "" && w.Body.String() != c.body || (w.Code == 200) != (c.body != "") {
			t.Errorf("%s: %s %d %s", name, path, w.Code, w.Body)
		}
		if c.body != "" && (w.Header().Get("Content-Type") != "application/json" || get("POST").Code != http.StatusMethodNotAllowed) {
			t.Errorf("%s: %v", name, w.Header())
		}
		challenged := httptest.NewRecorder()
		v.Require()(nil).ServeHTTP(challenged, httptest.NewRequest("GET", "/", nil))
		if got := challenged.Header().Get("WWW-Authenticate"); strings.Contains(got, "resource_metadata") != (c.body != "") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
