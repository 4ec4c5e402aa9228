package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/clients"
)

// table returns all routes. Their handlers are empty and do not work.
func table() []route {
	return append(handlers{}.routes(new(authz.Endpoints)), documents(document{})...)
}

// at returns a path that matches a route.
func (r route) at(base string) string {
	path := strings.NewReplacer("{$}", "", "{list}", "1").Replace(r.paths(base)[0])
	if strings.HasSuffix(path, "/assets/") {
		path += "style.css"
	}
	return path
}

func (r route) String() string {
	return strings.TrimSpace(fmt.Sprint(r.method, " ", r.path, " ", r.body))
}

// issuers maps two issuers to their paths: one at the root of its host, and one below it.
var issuers = map[string]string{"https://auth.acme.test": "", "https://acme.test/auth": "/auth"}

const (
	html   = "text/html"
	evil   = "https://evil.test"
	noone  = "https://nobody.acme.test"
	shop   = "https://shop.acme.test"
	shopID = "shop"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// withApp registers the first-party app of a browser, and a user.
func (s *server) withApp() {
	s.t.Helper()
	s.user("minji")
	s.client(clients.Client{ID: shopID, Auth: clients.None, Grants: []string{clients.SignIn}, Hold: clients.HoldCookie, Origins: []string{shop}, FirstParty: true, Scopes: []string{"openid"}})
}

func TestAnAddressHasTheMethodsOfTheTableAndNoOthers(t *testing.T) {
	t.Parallel()
	for issuer, base := range issuers {
		s := newServer(t, issuer)
		allowed := map[string][]string{}
		for _, r := range table() {
			methods := []string{r.method}
			if r.method == http.MethodGet && !r.endless {
				methods = append(methods, http.MethodHead)
			}
			if r.scripts != noScripts {
				methods = append(methods, http.MethodOptions)
			}
			for _, path := range r.paths(base) {
				path = strings.NewReplacer("{$}", "", "{list}", "1").Replace(path)
				allowed[path] = append(allowed[path], methods...)
			}
			if r.path == pathAdministration { // which is also what is below it
				allowed[base+pathAuditExport] = append(allowed[base+pathAuditExport], r.method)
			}
		}
		for path, methods := range allowed {
			slices.Sort(methods)
			want := strings.Join(slices.Compact(methods), ", ")
			for _, method := range []string{http.MethodDelete, http.MethodPut, http.MethodTrace, "QUERY"} {
				if slices.Contains(methods, method) {
					continue
				}
				if a := s.ask(method, path, ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != want {
					t.Errorf("%s %s: %d, allowed are %q and not %q", method, path, a.status, a.header.Get("Allow"), want)
				}
			}
			if a := s.ask(http.MethodHead, path, ""); slices.Contains(methods, http.MethodHead) == (a.status == http.StatusMethodNotAllowed) {
				t.Errorf("HEAD %s: %d", path, a.status)
			}
			if a := s.ask(http.MethodOptions, path, ""); slices.Contains(methods, http.MethodOptions) != (a.status == http.StatusNoContent) {
				t.Errorf("OPTIONS %s: %d", path, a.status)
			}
		}
		for _, path := range []string{base + "/nothing", base + "/oauth2", base + "/oauth2/token/x", base + "/.well-known/nothing", "/x", "/" + strings.Repeat("x", 300)} {
			if a := s.ask(http.MethodGet, path, ""); a.status != http.StatusNotFound || !strings.HasPrefix(a.body, `{"error":"invalid_request"`) {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
			if a := s.ask(http.MethodGet, path, "", "Accept", html); a.status != http.StatusNotFound || !strings.HasPrefix(a.header.Get("Content-Type"), html) {
				t.Errorf("%s, to a person: %d %s", path, a.status, a.body)
			}
		}
		if base == "" {
			continue
		}
		// Only the routes that belong at the root of the host are there.
		for _, r := range table() {
			if !slices.Contains(r.paths(base), r.path) {
				if a := s.ask(r.method, strings.NewReplacer("{$}", "", "{list}", "1").Replace(r.path), ""); a.status != http.StatusNotFound {
					t.Errorf("%s at the root of the host: %d", r, a.status)
				}
			}
		}
	}
}

func TestAddressesAnnouncedAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	for issuer, base := range issuers {
		s := newServer(t, issuer)
		a := s.ask(http.MethodGet, base+pathOpenID, "")
		var metadata map[string]any
		if err := json.Unmarshal([]byte(a.body), &metadata); err != nil || metadata["issuer"] != issuer {
			t.Fatal(err, a.body)
		}
		for _, path := range []string{pathOpenID + base, pathOAuth + base} {
			if other := s.ask(http.MethodGet, path, ""); other.body != a.body {
				t.Errorf("%s: %d %s", path, other.status, other.body)
			}
		}
		var e authz.Endpoints
		routes := map[string]bool{}
		for _, r := range (handlers{}).routes(&e) {
			if r.announced != nil {
				routes[issuer+r.path] = true
			}
		}
		for name, value := range metadata {
			if address, is := value.(string); is && name != "issuer" {
				if !routes[address] {
					t.Errorf("%s is %s, of which no route says that it is announced", name, address)
				}
				delete(routes, address)
			}
		}
		if len(routes) > 0 {
			t.Errorf("not announced: %v", routes)
		}
	}
}

// TestABodyIsWhatTheTableSays: a body that is larger than the table allows, or of another
// type, is refused.
func TestABodyIsWhatTheTableSays(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://auth.acme.test")
	s.withApp()
	cookie := s.signIn("", "minji")
	for _, r := range table() {
		if r.body == noBody || r.body == operationBody { // which is not read before the token
			continue
		}
		long, contentType := "x="+strings.Repeat("a", 4095), urlencoded
		if r.body == jsonBody {
			long, contentType = `{"id":"`+strings.Repeat("a", 4090)+`"}`, "application/json"
		}
		a := s.ask(r.method, r.at(""), long, "Content-Type", contentType, "Cookie", cookie)
		if a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: a body that is too long: %d %s", r, a.status, a.body)
		}
		// A user info request may have a body of any type. It is read only if it is
		// a form.
		if r.path == pathUserInfo {
			continue
		}
		if a := s.ask(r.method, r.at(""), "x", "Content-Type", "text/plain", "Cookie", cookie); a.status != http.StatusBadRequest {
			t.Errorf("%s: a body of another type: %d %s", r, a.status, a.body)
		}
		if a := s.ask(r.method, r.at("")+"?x=1", "{}", "Content-Type", contentType, "Cookie", cookie); a.status != http.StatusBadRequest {
			t.Errorf("%s: parameters in the URL: %d %s", r, a.status, a.body)
		}
	}
}

// TestWhatAnotherSiteSendsDoesNothing checks for each route that it refuses the senders
// that the table excludes.
func TestWhatAnotherSiteSendsDoesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://auth.acme.test")
	s.withApp()
	cookie := s.signIn("", "minji")
	for _, r := range table() {
		for what, fields := range map[string][]string{
			"another site":            {"Sec-Fetch-Site", "cross-site", "Origin", evil},
			"a neighbour":             {"Sec-Fetch-Site", "same-site", "Origin", noone},
			"another, in an old one":  {"Origin", evil},
			"one that hides its name": {"Origin", "null"},
		} {
			if r.sender == ownPages || r.sender == ownForms {
				fields = append(fields, "Cookie", cookie)
			}
			switch r.sender {
			case ownPages:
				if a := s.ask(r.method, r.at(""), "x=1", fields...); a.status != http.StatusForbidden {
					t.Errorf("%s from %s: %d %s", r, what, a.status, a.body)
				}
				if a := s.ask(http.MethodGet, pathAccount, "", "Cookie", cookie); a.status != http.StatusOK {
					t.Errorf("%s from %s: signed in no more: %d", r, what, a.status)
				}
			case ownForms:
				a := s.ask(r.method, r.at(""), "client_id=nobody", fields...)
				if a.status < 400 && !strings.Contains(a.body, reposted) {
					t.Errorf("%s from %s: %d %s", r, what, a.status, a.body)
				}
				if a := s.ask(http.MethodGet, pathAccount, "", "Cookie", cookie); a.status != http.StatusOK {
					t.Errorf("%s from %s: signed in no more: %d", r, what, a.status)
				}
			case appsPages:
				body := url.Values{"client_id": {shopID}, "username": {"minji"}, "password": {goodPassword}, "response_type": {"code"}}.Encode()
				if r.body == jsonBody {
					fields = append(fields, "Content-Type", "application/json")
					body = fmt.Sprintf(`{"client_id":%q,"id":"minji","pw":%q}`, shopID, goodPassword)
				}
				if r.path == pathTokenRefresh || r.path == pathTokenLogout {
					fields, body = append(fields, "Cookie", refreshCookieOf(shopID)+"=x"), "{}"
				}
				if a := s.ask(r.method, r.at(""), body, fields...); a.status != http.StatusForbidden || len(a.cookies()) > 0 {
					t.Errorf("%s from %s: %d %s", r, what, a.status, a.body)
				}
			}
		}
	}
}

func TestPagesOfAnAccountAreForWhoeverIsSignedIn(t *testing.T) {
	t.Parallel()
	for issuer, base := range issuers {
		s := newServer(t, issuer)
		s.user("minji")
		cookie := s.signIn(base, "minji")
		for _, r := range table() {
			if _, is := r.handler.(owned); !is {
				continue
			}
			for _, nobody := range []string{"", strings.ReplaceAll(cookie, "=", "=x")} {
				if a := s.ask(r.method, r.at(base), "", "Cookie", nobody); a.status != http.StatusSeeOther || a.header.Get("Location") != base+pathLogin {
					t.Errorf("%s of nobody: %d %v", r, a.status, a.header)
				}
			}
			if r.method == http.MethodGet {
				if a := s.ask(r.method, r.at(base), "", "Cookie", cookie); a.status != http.StatusOK || !strings.Contains(a.body, "minji") {
					t.Errorf("%s: %d %s", r, a.status, a.body)
				}
			}
		}
	}
}

// TestScriptsReadWhatTheTableSays: scripts of a configured origin can read some routes.
// Those of a first-party app can read others, with cookies. No script can read the rest.
func TestScriptsReadWhatTheTableSays(t *testing.T) {
	t.Parallel()
	all := newServer(t, "https://auth.acme.test")
	one := newServer(t, "https://auth.acme.test", func(s *Settings) { s.CORSOrigins = []string{noone} })
	none := newServer(t, "https://auth.acme.test", func(s *Settings) { s.CORSOrigins = nil })
	for _, s := range []*server{all, one, none} {
		s.withApp()
	}
	const allow, withCookies = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"
	opened := map[string]scripts{}
	asks := map[scripts]string{anyScripts: "authorization,content-type", appScripts: "content-type"}
	for _, r := range table() {
		if r.scripts != noScripts {
			opened[r.path] = r.scripts
		}
	}
	for _, r := range table() {
		if r.endless {
			continue // its response does not end
		}
		for _, origin := range []string{shop, noone, evil, "null"} {
			for s, configured := range map[*server]string{all: "*", one: noone, none: ""} {
				want := map[scripts]string{appScripts: shop}[r.scripts]
				if r.scripts == anyScripts {
					want = configured
				}
				if want != "*" && want != origin {
					want = ""
				}
				fields := []string{"Origin", origin}
				if r.body == jsonBody {
					fields = append(fields, "Content-Type", "application/json")
				}
				a := s.ask(r.method, r.at(""), "", fields...)
				if a.header.Get(allow) != want || (a.header.Get(withCookies) != "") != (r.scripts == appScripts && want != "") {
					t.Errorf("%s from %s, configured %q: %d %v", r, origin, configured, a.status, a.header)
				}
				if r.scripts != noScripts && want != "*" && s != none && !slices.Contains(a.header.Values("Vary"), "Origin") {
					t.Errorf("%s from %s: a cache gives the answer to other origins: %v", r, origin, a.header)
				}
				if opened[r.path] != r.scripts {
					continue // a preflight asks for another route with this path
				}
				p := s.ask(http.MethodOptions, r.at(""), "", "Origin", origin, "Access-Control-Request-Method", r.method, "Access-Control-Request-Headers", asks[r.scripts])
				if p.header.Get(allow) != want || (p.header.Get("Access-Control-Allow-Methods") != "") != (want != "") {
					t.Errorf("%s asked from %s, configured %q: %d %v", r, origin, configured, p.status, p.header)
				}
			}
		}
	}
	// A preflight of a path that no script may call is not answered, also where the path
	// of another route would match it.
	for _, r := range table() {
		if opened[r.path] != noScripts {
			continue
		}
		p := all.ask(http.MethodOptions, r.at(""), "", "Origin", evil, "Access-Control-Request-Method", r.method)
		if p.status != http.StatusMethodNotAllowed || p.header.Get(allow) != "" || strings.Contains(p.header.Get("Allow"), http.MethodOptions) {
			t.Errorf("%s: %d %v", r, p.status, p.header)
		}
	}
	// A successful response has the header too.
	secret := one.client(clients.Client{ID: "job", Grants: []string{clients.ClientCredentials}})
	a := one.ask(http.MethodPost, PathToken, "grant_type=client_credentials", "Authorization", basic("job", secret), "Origin", noone)
	if a.status != http.StatusOK || a.header.Get(allow) != noone || !slices.Contains(a.header.Values("Vary"), "Origin") {
		t.Errorf("%d %v", a.status, a.header)
	}
	// A method that no script may use is not granted.
	if a := all.ask(http.MethodOptions, PathToken, "", "Origin", evil, "Access-Control-Request-Method", "DELETE"); a.header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("DELETE: %v", a.header)
	}
}

func TestARefusedSignInSaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://auth.acme.test")
	s.withApp()
	s.user("jun")
	s.client(clients.Client{ID: "phone", Auth: clients.None, Grants: []string{clients.SignIn}, Hold: clients.HoldMemory, FirstParty: true, Scopes: []string{"openid"}})
	secret := s.client(clients.Client{ID: "job", Grants: []string{clients.ClientCredentials}})
	form := url.Values{"username": {"minji"}, "password": {"wrong"}}.Encode()
	for range 3 {
		if a := s.ask(http.MethodPost, pathLogin, form); a.status != http.StatusUnprocessableEntity || a.header.Get("Retry-After") != "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for what, a := range map[string]answer{
		"the page":       s.ask(http.MethodPost, pathLogin, form),
		"an app":         s.ask(http.MethodPost, pathLogin, `{"client_id":"phone","id":"minji","pw":"wrong"}`, "Content-Type", "application/json"),
		"a challenge":    s.ask(http.MethodPost, pathChallenge, form+"&client_id=phone&scope=openid&code_challenge_method=S256&code_challenge="+strings.Repeat("a", 43)),
		"the right word": s.ask(http.MethodPost, pathLogin, url.Values{"username": {"minji"}, "password": {goodPassword}}.Encode()),
	} {
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || len(a.cookies()) > 0 {
			t.Errorf("%s: %d %v %s", what, a.status, a.header, a.body)
		}
	}
	for range 3 {
		if a := s.ask(http.MethodPost, PathToken, "grant_type=client_credentials", "Authorization", basic("job", "wrong")); a.status != http.StatusUnauthorized || a.header.Get("Retry-After") != "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := s.ask(http.MethodPost, PathToken, "grant_type=client_credentials", "Authorization", basic("job", "wrong")); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("a client: %d %v %s", a.status, a.header, a.body)
	}
	if a := s.ask(http.MethodPost, PathToken, "grant_type=client_credentials", "Authorization", basic("job", secret)); a.status != http.StatusOK || a.header.Get("Retry-After") != "" {
		t.Errorf("the right secret: %d %v %s", a.status, a.header, a.body)
	}
}

// TestARedirectLeadsNowhereElse: a redirect leads to a path of this server, whatever the
// request says. Otherwise the server would be an open redirector.
func TestARedirectLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	for issuer, base := range issuers {
		s := newServer(t, issuer)
		s.user("minji")
		for then, want := range map[string]string{
			"/account": "/account", "/login?x=1": "/login?x=1", "": "/", "https://evil.test/": "/", "//evil.test": "/", "/\\evil.test": "/", "javascript:x": "/",
			"/../admin": "/", "/a/../../admin": "/", "/..": "/", "evil.test": "/", "/%2e%2e/x": "/", "/x#y": "/x", "https:/evil.test": "/", "//user@evil.test": "/",
		} {
			a := s.ask(http.MethodGet, base+pathLanguage+"?"+url.Values{"to": {"ko"}, "then": {then}}.Encode(), "")
			if a.status != http.StatusSeeOther || a.header.Get("Location") != base+want || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%q: %d %v", then, a.status, a.header)
			}
			a = s.ask(http.MethodPost, base+pathLogin, url.Values{"username": {"minji"}, "password": {goodPassword}, "then": {then}}.Encode())
			if a.status != http.StatusSeeOther || a.header.Get("Location") != base+pathAccount {
				t.Errorf("signed in, then %q: %d %v", then, a.status, a.header)
			}
		}
	}
}

// TestABrowserHoldsCookiesToWhatTheyAre: with TLS, the names of cookies have a prefix that
// makes the browser enforce their attributes (RFC 6265bis section 4.1.3).
func TestABrowserHoldsCookiesToWhatTheyAre(t *testing.T) {
	t.Parallel()
	for issuer, c := range map[string]struct{ prefix, base string }{
		"https://auth.test":    {"__Host-", ""},
		"https://test/auth/x":  {"__Secure-", "/auth/x"},
		"http://127.0.0.1/sso": {"", "/sso"},
	} {
		s := newServer(t, issuer)
		s.user("minji")
		got := s.ask(http.MethodPost, c.base+pathLogin, url.Values{"username": {"minji"}, "password": {goodPassword}}.Encode())
		if got.status != http.StatusSeeOther || len(got.cookies()) != 2 {
			t.Fatalf("%s: %d %v", issuer, got.status, got.header)
		}
		for _, cookie := range got.cookies() {
			secure := strings.HasPrefix(issuer, "https:")
			if !strings.HasPrefix(cookie.Name, c.prefix+"ingam_") || cookie.Path != c.base+"/" || cookie.Secure != secure || !cookie.HttpOnly || cookie.Domain != "" {
				t.Errorf("%s: %v", issuer, cookie)
			}
			if got.header.Get("Strict-Transport-Security") != "" != secure {
				t.Errorf("%s: %v", issuer, got.header)
			}
		}
	}
}

func TestEveryAnswerTellsBrowsersToKeepOut(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://auth.acme.test")
	asked := map[string]int{}
	for _, r := range table() {
		if !r.endless {
			asked[r.method+" "+r.at("")] = 0
		}
	}
	for what, status := range map[string]int{
		"GET /": 200, "GET /nothing": 404, "GET /favicon.ico": 200, "GET /oauth2/token": 405, "DELETE /oauth2/token": 405, "POST /.well-known/jwks.json": 405,
		"GET /oauth2/authorize": 400, "GET /.well-known/jwks.json": 200, "GET /health/live": 200, "GET /health/ready": 200,
		"POST /oauth2/token": 400, "GET /oauth2/../oauth2/token": 307, "TRACE /oauth2/token": 405,
	} {
		asked[what] = status
	}
	for what, status := range asked {
		method, path, _ := strings.Cut(what, " ")
		a := s.ask(method, path, "")
		if status != 0 && a.status != status || a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
			t.Errorf("%s: %d %v", what, a.status, a.header)
		}
		policy, referrer := a.header.Get("Content-Security-Policy"), a.header.Get("Referrer-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || a.header.Get("X-Content-Type-Options") != "nosniff" ||
			referrer != "no-referrer" && referrer != "same-origin" {
			t.Errorf("%s: %d %v", what, a.status, a.header)
		}
		if id := a.header.Get("X-Request-Id"); id == "" || strings.Count(s.log.String(), `"request_id":"`+id+`"`) != 1 {
			t.Errorf("%s: not one record in the log of %q", what, id)
		}
	}
}

func TestAHandlerThatPanicsIsAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	h := chain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug of ours") }), recovered)
	w, rec := httptest.NewRecorder(), &record{}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), recordKey{}, rec)))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "a bug of ours") || rec.err == nil {
		t.Errorf("%d %s %v", w.Code, w.Body, rec.err)
	}
}

// TestUserInfoReadsOneAuthorizationHeader: of two, a proxy might check the one and the
// server obey the other.
func TestUserInfoReadsOneAuthorizationHeader(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://auth.acme.test")
	s.user("minji")
	s.client(clients.Client{ID: "phone", Auth: clients.None, Grants: []string{clients.SignIn}, Hold: clients.HoldMemory, FirstParty: true, Scopes: []string{"openid"}})
	var token struct {
		AccessToken string `json:"accessToken"`
	}
	a := s.ask(http.MethodPost, pathLogin, fmt.Sprintf(`{"client_id":"phone","id":"minji","pw":%q}`, goodPassword), "Content-Type", "application/json")
	if err := json.Unmarshal([]byte(a.body), &token); err != nil || token.AccessToken == "" {
		t.Fatalf("%v in %s", err, a.body)
	}
	good, form := "Bearer "+token.AccessToken, url.Values{"access_token": {token.AccessToken}}.Encode()
	for what, c := range map[string]struct {
		form   string
		fields []string
		status int
	}{
		"one":                 {"", []string{good}, http.StatusOK},
		"the form":            {form, nil, http.StatusOK},
		"two":                 {"", []string{good, "Bearer other"}, http.StatusBadRequest},
		"the same twice":      {"", []string{good, good}, http.StatusBadRequest},
		"another scheme too":  {"", []string{basic("phone", "x"), good}, http.StatusBadRequest},
		"two beside the form": {form, []string{basic("phone", "x"), basic("phone", "y")}, http.StatusBadRequest},
	} {
		var fields []string
		for _, field := range c.fields {
			fields = append(fields, "Authorization", field)
		}
		methods := []string{http.MethodPost}
		if c.form == "" {
			methods = append(methods, http.MethodGet)
		}
		for _, method := range methods {
			a := s.ask(method, pathUserInfo, c.form, fields...)
			refused := strings.Contains(a.body, `"error":"invalid_request"`) && strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_request"`)
			if a.status != c.status || refused != (c.status == http.StatusBadRequest) {
				t.Errorf("%s by %s: %d %v %s", what, method, a.status, a.header, a.body)
			}
		}
	}
}

// TestOptionsDoesNothing: an OPTIONS request has no effect, whatever it contains.
func TestOptionsDoesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://auth.acme.test")
	me := basic("job", s.client(clients.Client{ID: "job", Grants: []string{clients.ClientCredentials}}))
	var token struct {
		AccessToken string `json:"access_token"`
	}
	a := s.ask(http.MethodPost, PathToken, "grant_type=client_credentials", "Authorization", me)
	if err := json.Unmarshal([]byte(a.body), &token); err != nil || token.AccessToken == "" {
		t.Fatalf("%v in %s", err, a.body)
	}
	sent := url.Values{"token": {token.AccessToken}}.Encode()
	for _, method := range []string{http.MethodOptions, http.MethodPost} {
		a := s.ask(method, pathRevoke, sent, "Authorization", me, "Content-Type", urlencoded)
		active := strings.Contains(s.ask(http.MethodPost, pathIntrospect, sent, "Authorization", me).body, `"active":true`)
		if a.body != "" || active != (method == http.MethodOptions) || active && a.status != http.StatusNoContent {
			t.Errorf("%s: %d %s, and active is %t", method, a.status, a.body, active)
		}
	}
}
