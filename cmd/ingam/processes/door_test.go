package processes

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The tests in this file check how the server treats what browsers and libraries send, at
// each endpoint that it concerns.

func TestOnlyWhoCameWithBasicIsAskedForIt(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=1000")
	d.signInApp("mobile")
	d.user("minji")
	in := s.postJSON("/login", members{"id": "minji", "pw": goodPassword, "client_id": "mobile"}).pair(t)
	form := func(path, body string) func(fields ...string) answer {
		return func(fields ...string) answer { return s.raw(path, body, fields...) }
	}
	object := func(path string, m members) func(fields ...string) answer {
		return func(fields ...string) answer { return s.postJSON(path, m, fields...) }
	}
	listen := func(fields ...string) answer { return s.ask(http.MethodGet, "/oauth2/status/events", fields...) }
	for what, send := range map[string]func(fields ...string) answer{
		"token":       form("/oauth2/token", "grant_type=client_credentials"),
		"revoke":      form("/oauth2/revoke", "token=x"),
		"introspect":  form("/oauth2/introspect", "token=x"),
		"challenge":   form("/oauth2/authorize-challenge", "response_type=code"),
		"listen":      listen,
		"acknowledge": form("/oauth2/status/events/ack", "listener=x&id=1"),
		"sign in":     object("/login", members{"id": "minji", "pw": goodPassword}),
		"refresh":     object("/token/refresh", members{"refreshToken": in.Refresh}),
		"sign out":    object("/token/logout", members{"refreshToken": in.Refresh}),
	} {
		for _, scheme := range []string{"Basic", "basic"} {
			if a := send("Authorization", scheme+" bm9ib2R5Ong="); a.status != http.StatusUnauthorized || !a.basic {
				t.Errorf("%s with %s: %d %s", what, scheme, a.status, a.body)
			} else {
				wantChallenge(t, what+" with "+scheme, a)
			}
		}
		if what == "refresh" || what == "sign out" {
			continue // a public client needs to send nothing else
		}
		if a := send(); a.status != http.StatusUnauthorized {
			t.Errorf("%s with nothing: %d %s", what, a.status, a.body)
		} else {
			wantChallenge(t, what+" with nothing", a)
		}
	}
	for what, send := range map[string]func(fields ...string) answer{
		"a wrong secret in the body":   form("/oauth2/token", "grant_type=client_credentials&client_id=nobody&client_secret=x"),
		"a public client introspects":  form("/oauth2/introspect", "token=x&client_id=mobile"),
		"a stranger refreshes":         object("/token/refresh", members{"refreshToken": in.Refresh, "client_id": "nobody"}),
		"nothing is to be refreshed":   object("/token/refresh", members{}),
		"a wrong password":             object("/login", members{"id": "minji", "pw": "wrong", "client_id": "mobile"}),
		"a stranger's challenge":       form("/oauth2/authorize-challenge", "response_type=code&client_id=nobody"),
		"another scheme at the stream": func(...string) answer { return listen("Authorization", "Digest username=x") },
	} {
		if a := send(); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		} else {
			wantChallenge(t, what, a)
		}
	}
}

// TestScriptsMaySendHeadersThatMeanNothingHere: such headers come from tracing, from
// another protocol, or from a library.
func TestScriptsMaySendHeadersThatMeanNothingHere(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	all := d.start()
	one := d.startAt(freeAddress(t), "INGAM_HTTP_CORS_ORIGINS=https://app.test")
	d.signInApp("mobile")
	const headers = "authorization,mcp-protocol-version,traceparent,x-requested-with"
	get, post := []string{"GET"}, []string{"POST"}
	for path, methods := range map[string][]string{
		"/oauth2/token": post, "/oauth2/revoke": post, "/userinfo": {"GET", "POST"}, "/.well-known/jwks.json": get,
		"/.well-known/openid-configuration": get, "/.well-known/oauth-authorization-server": get, "/oauth2/status": get, "/oauth2/status/1": get,
	} {
		for _, method := range methods {
			for s, want := range map[*server]string{all: "*", one: "https://app.test"} {
				a := s.ask(http.MethodOptions, path, "Origin", "https://app.test", "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
				if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != want || a.header.Get("Access-Control-Allow-Headers") != headers ||
					a.header.Get("Access-Control-Allow-Methods") != method || a.header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s %s: %d %v", method, path, a.status, a.header)
				}
			}
			if a := one.ask(http.MethodOptions, path, "Origin", "https://evil.test", "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers); a.header.Get("Access-Control-Allow-Origin")+a.header.Get("Access-Control-Allow-Headers") != "" {
				t.Errorf("%s %s of another origin: %v", method, path, a.header)
			}
		}
		if methods[0] != "GET" {
			continue
		}
		for _, s := range []*server{all, one} {
			got, head := s.ask(http.MethodGet, path, "Origin", "https://app.test"), s.ask(http.MethodHead, path, "Origin", "https://app.test")
			for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Vary", "Content-Type", "Cache-Control"} {
				if head.header.Get(name) != got.header.Get(name) || name != "Cache-Control" && got.header.Get(name) == "" {
					t.Errorf("%s: %s is %q by HEAD and %q by GET", path, name, head.header.Get(name), got.header.Get(name))
				}
			}
			if head.status != got.status || head.body != "" {
				t.Errorf("%s: HEAD is %d, GET %d", path, head.status, got.status)
			}
			// A cache must not give a script an answer that was for a request without an
			// origin.
			if plain := s.ask(http.MethodGet, path); !strings.Contains(plain.header.Get("Vary"), "Origin") {
				t.Errorf("%s without an origin varies by %q", path, plain.header.Get("Vary"))
			}
		}
	}
	// Endpoints that use a cookie, and those that are not for scripts, do not allow such
	// headers.
	for _, path := range []string{"/token/refresh", "/token/logout", "/login", "/oauth2/introspect", "/account", "/logout"} {
		if a := all.ask(http.MethodOptions, path, "Origin", "https://app.test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", headers); a.header.Get("Access-Control-Allow-Headers")+a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
}

func TestNoCacheKeepsWhatIsForItsAskerAlone(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	secret := d.client("app")
	d.signInApp("mobile")
	a := d.webClient("web")
	d.user("minji")
	p := s.person()
	set := a.tokens(s, p, "minji")
	in := s.postJSON("/login", members{"id": "minji", "pw": goodPassword, "client_id": "mobile"})
	grant := url.Values{"grant_type": {"client_credentials"}}
	for what, got := range map[string]answer{
		"a token":           s.post("/oauth2/token", "app", secret, grant),
		"a refused token":   s.post("/oauth2/token", "app", "wrong", grant),
		"a refresh":         a.refresh(s, set.Refresh),
		"a refused refresh": a.refresh(s, "x"),
		"a bad request":     s.raw("/oauth2/token", "a;b"),
		"a sign-in":         in,
		"another refresh":   s.postJSON("/token/refresh", members{"refreshToken": in.pair(t).Refresh}),
		"no refresh":        s.postJSON("/token/refresh", members{}),
		"introspection":     s.post("/oauth2/introspect", "app", secret, url.Values{"token": {"x"}}),
		"userinfo":          s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access),
		"no userinfo":       s.ask(http.MethodGet, "/userinfo"),
		"a revocation":      s.post("/oauth2/revoke", "app", secret, url.Values{"token": {"x"}}),
		"a code":            p.get(a.request()).answer,
		"no code":           p.get(a.request("scope", "\"")).answer,
	} {
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" {
			t.Errorf("%s: %d %v", what, got.status, got.header)
		}
	}
}

func TestUserInfoReadsNoBodyButAForm(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app")
	d.user("minji")
	token := a.tokens(s, s.person(), "minji").Access
	for what, c := range map[string]struct {
		body, contentType string
		header            bool
		status            int
	}{
		"JSON":                     {`{"a":1}`, "application/json", true, 200},
		"broken JSON":              {`{`, "application/json; charset=utf-8", true, 200},
		"text":                     {"a;b 100%", "text/plain", true, 200},
		"a type that is none":      {"x", "///", true, 200},
		"no type":                  {"x", "", true, 200},
		"a part":                   {"--x--", "multipart/form-data; boundary=x", true, 200},
		"a form of something else": {"a=1", "application/x-www-form-urlencoded", true, 200},
		"an empty form":            {"", "application/x-www-form-urlencoded", true, 200},
		"the token in a form":      {"access_token=" + token, "application/x-www-form-urlencoded", false, 200},
		"the token in two ways":    {"access_token=" + token, "application/x-www-form-urlencoded", true, 400},
		"the token twice":          {"access_token=" + token + "&access_token=" + token, "application/x-www-form-urlencoded", false, 400},
		"a form that is none":      {"a;b", "application/x-www-form-urlencoded", true, 400},
		"JSON, and no token":       {`{"access_token":"` + token + `"}`, "application/json", false, 401},
		"text, and no token":       {"access_token=" + token, "text/plain", false, 401},
		"a form without one":       {"a=1", "application/x-www-form-urlencoded", false, 401},
	} {
		fields := []string{"Content-Type", c.contentType}
		if c.header {
			fields = append(fields, "Authorization", "Bearer "+token)
		}
		got := s.raw("/userinfo", c.body, fields...)
		if got.status != c.status || (c.status != 200) != strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: %d %s %v", what, got.status, got.body, got.header)
		}
	}
}

// TestAParameterWithoutAValueIsAbsent: a parameter without a value is treated as if it
// were absent (RFC 6749 sections 3.1 and 3.2). The same is true for the JSON of
// first-party apps.
func TestAParameterWithoutAValueIsAbsent(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=1000")
	secret := d.client("app")
	d.signInApp("mobile")
	backend := d.backend()
	a := d.webClient("web")
	other := d.webClient("other", "--redirect-uri", "https://app.test/other")
	d.user("minji")
	me, grant := []string{"Authorization", basic("app", secret)}, "grant_type=client_credentials"
	p := s.person()
	set := a.tokens(s, p, "minji")
	code := func() url.Values {
		t.Helper()
		response := p.get(a.request()).response()
		return url.Values{"grant_type": {"authorization_code"}, "code": {response.Get("code")}, "redirect_uri": {callback}, "code_verifier": {a.verifier}, "client_id": {"web"}}
	}
	with := func(form url.Values, name, value string) string {
		form.Set(name, value)
		return form.Encode()
	}
	object := func(m string) answer { return s.postJSON("/login", m) }
	const in = `"id":"minji","pw":"` + goodPassword + `"`
	for what, got := range map[string]answer{
		"a secret beside Basic":     s.raw("/oauth2/token", grant+"&client_secret=", me...),
		"a client id beside Basic":  s.raw("/oauth2/token", "client_id=&"+grant, me...),
		"a target":                  s.raw("/oauth2/token", grant+"&resource=&audience=&scope=&x=", me...),
		"one target of two":         s.raw("/oauth2/token", grant+"&resource=&resource=https://api.test", me...),
		"no sign of a value":        s.raw("/oauth2/token", grant+"&resource&client_secret", me...),
		"a public client's secret":  s.raw("/oauth2/token", with(code(), "client_secret", "")),
		"an assertion":              s.raw("/oauth2/token", with(code(), "client_assertion", "")+"&client_assertion_type="),
		"the scope of a refresh":    a.refresh(s, set.Refresh, "scope", "", "resource", "", "client_secret", ""),
		"a hint at introspection":   s.raw("/oauth2/introspect", "token=x&token_type_hint=&client_id=&client_secret=", me...),
		"a hint at revocation":      s.raw("/oauth2/revoke", "token=x&token_type_hint=&client_secret=", me...),
		"a token beside its header": s.raw("/userinfo", "access_token=", "Authorization", "Bearer "+set.Access),
		"members":                   object(`{` + in + `,"client_id":"mobile","username":"","password":"","scope":"","deviceToken":"","address":""}`),
		"a member beside Basic":     s.postJSON("/login", `{`+in+`,"client_id":""}`, "Authorization", backend),
		"a challenge":               s.raw("/oauth2/authorize-challenge", url.Values{"client_id": {"mobile"}, "username": {"minji"}, "password": {goodPassword}, "code_challenge": {a.challenge()}, "code_challenge_method": {"S256"}, "redirect_uri": {""}, "scope": {""}, "request": {""}, "client_secret": {""}}.Encode()),
	} {
		if got.status != http.StatusOK {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	// A required parameter without a value is missing.
	missing := map[string]answer{
		"grant_type":    s.raw("/oauth2/token", "grant_type=", me...),
		"code":          s.raw("/oauth2/token", with(code(), "code", "")),
		"code_verifier": s.raw("/oauth2/token", with(code(), "code_verifier", "")),
		"refresh_token": a.refresh(s, ""),
		"token":         s.raw("/oauth2/introspect", "token=", me...),
		"token ":        s.raw("/oauth2/revoke", "token=", me...),
	}
	for name, got := range missing {
		wantRefused(t, "no "+name, got, http.StatusBadRequest, "invalid_request")
		if !strings.Contains(got.body, strings.TrimSpace(name)+" is missing") {
			t.Errorf("no %s: %s", name, got.body)
		}
	}
	wantRefused(t, "no client", s.raw("/oauth2/token", grant+"&client_id="), http.StatusUnauthorized, "invalid_client")
	// A parameter that is given twice is refused, even if one of its values is empty:
	// nobody can know which value is meant.
	for what, got := range map[string]answer{
		"two secrets":           s.raw("/oauth2/token", with(code(), "client_secret", "")+"&client_secret="),
		"a secret and none":     s.raw("/oauth2/token", with(code(), "client_secret", "")+"&client_secret=x"),
		"a scope and none":      s.raw("/oauth2/token", grant+"&scope=&scope=read", me...),
		"a name and none":       s.raw("/oauth2/introspect", "token=x&client_id=&client_id=app", me...),
		"a client and none":     object(`{` + in + `,"client_id":"","client_id":"mobile"}`),
		"a verifier and none":   s.ask(http.MethodGet, "/oauth2/status/events?verifier=&verifier=x", me...),
		"an acknowledged twice": s.raw("/oauth2/status/events/ack", "id=&id=1&listener=x", me...),
	} {
		wantRefused(t, what, got, http.StatusBadRequest, "invalid_request")
	}

	empty := []string{"request", "request_uri", "registration", "resource", "audience", "response_mode", "prompt", "max_age", "id_token_hint", "login_hint", "ui_locales", "claims", "acr_values"}
	more := ""
	for _, name := range empty {
		more += "&" + name + "="
	}
	wantCode := func(what string, sc screen) {
		t.Helper()
		if response := sc.response(); response.Get("code") == "" || response.Get("state") != "s" {
			t.Errorf("%s: %d %s", what, sc.status, sc.to)
		}
	}
	wantCode("by GET", p.get(a.request()+more))
	wantCode("by POST", p.post(s.url+"/oauth2/authorize", mustQuery(t, a.request()+more)).follow())
	// The pages keep the request as it came.
	q := s.person()
	sc := q.get(other.request()+more).submit("username", "minji", "password", goodPassword).follow()
	wantCode("through the pages", sc.submit("decision", "allow"))
	request, err := url.Parse(a.request("redirect_uri", "") + "&redirect_uri=")
	if err != nil {
		t.Fatal(err)
	}
	wantCode("of one address none", p.get(request.String()))
	if sc := p.get(other.request("redirect_uri", "") + "&redirect_uri="); sc.status != http.StatusBadRequest || sc.to != "" || !strings.Contains(sc.body, "redirect_uri is missing") {
		t.Errorf("of two addresses none: %d %s", sc.status, sc.to)
	}
	if sc := p.get(a.request("redirect_uri", "") + "&redirect_uri=&redirect_uri=" + url.QueryEscape(callback)); sc.status != http.StatusBadRequest || sc.to != "" {
		t.Errorf("an address and none: %d %s", sc.status, sc.to)
	}
	if response := p.get(a.request("state", "") + "&state=").response(); response.Get("code") == "" || response.Has("state") {
		t.Errorf("no state: %v", response)
	}
	for what, request := range map[string]string{
		"response_type is missing": a.request("response_type", "") + "&response_type=",
		"scope is given more":      a.request() + "&scope=", "state is given more": a.request("state", "") + "&state=&state=x", "prompt is given more": a.request() + "&prompt=&prompt=none",
	} {
		if response := p.get(request).response(); response.Get("error") != "invalid_request" || !strings.Contains(response.Get("error_description"), what) || strings.HasPrefix(what, "state") == response.Has("state") {
			t.Errorf("%s: %v", what, response)
		}
	}
	if sc := p.get("/logout?id_token_hint=&client_id=&post_logout_redirect_uri=&state=&ui_locales="); sc.status != http.StatusOK || !strings.Contains(sc.body, `value="stay"`) {
		t.Errorf("to sign out: %d %s", sc.status, sc.body)
	} else if sc = sc.submit("decision", "out"); sc.status != http.StatusOK || p.get("/account").status != http.StatusSeeOther {
		t.Errorf("signed out: %d %s", sc.status, sc.body)
	}
	if sc := p.get("/logout?state=&state=x"); sc.status != http.StatusBadRequest {
		t.Errorf("to sign out twice: %d", sc.status)
	}
}

func TestARequestThatDoesNotParseIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("web", "--post-logout-redirect-uri", "https://app.test/bye")
	several := d.webClient("several", "--redirect-uri", "https://app.test/other")
	d.user("minji")
	p := s.person()
	p.signIn("minji", a.request())
	before := d.state()
	broken := []string{"a;b", "100%", "x=%zz", "%=1", "scope=read;write", "nonce=%f", "x=%ff", "x=%00", "%zz=1"}
	for _, part := range broken {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			send := func(query string) screen {
				t.Helper()
				path, query, _ := strings.Cut(query, "?")
				if method == http.MethodGet {
					return p.get(path + "?" + query)
				}
				return p.postText(s.url+path, query)
			}
			// The broken part is put in front of the request and behind it: its place
			// must not matter.
			for _, query := range []string{strings.Replace(a.request(), "?", "?"+part+"&", 1), a.request() + "&" + part} {
				sc := send(query)
				if r := sc.response(); !strings.HasPrefix(sc.to, callback+"?") || r.Get("error") != "invalid_request" || r.Get("state") != "s" || r.Get("iss") != d.issuer || r.Get("code") != "" {
					t.Errorf("%s with %s: %d %s", method, part, sc.status, sc.to)
				}
				if sc := send(query + "&response_mode=form_post"); sc.status != http.StatusOK || sc.post != callback || sc.form.Get("error") != "invalid_request" || sc.form.Get("state") != "s" || sc.form.Has("code") {
					t.Errorf("%s by form_post with %s: %d %s", method, part, sc.status, sc.body)
				}
			}
		}
	}
	for what, request := range map[string]string{
		"an address that does not parse":      a.request("redirect_uri", "") + "&redirect_uri=https://app.test/%zz",
		"an address with a semicolon":         a.request("redirect_uri", "") + "&redirect_uri=https://app.test/cb;x",
		"no address, as it seems":             a.request("redirect_uri", "") + "&a;b",
		"a client that does not parse":        a.request("client_id", "") + "&client_id=web%",
		"a client with a semicolon":           a.request("client_id", "") + "&client_id=web;",
		"a client that is no text":            a.request("client_id", "") + "&client_id=%ff",
		"a client with a NUL":                 a.request("client_id", "") + "&client_id=web%00",
		"an address that is not registered":   a.request("redirect_uri", "https://evil.test/") + "&a;b",
		"a stranger":                          a.request("client_id", "nobody") + "&a;b",
		"several addresses, and none is said": several.request("redirect_uri", "") + "&a;b",
	} {
		if sc := p.get(request); sc.to != "" || sc.status < 400 || sc.status > 499 || !strings.Contains(sc.body, sc.header.Get("X-Request-Id")) || leadsToEvil.MatchString(sc.body) {
			t.Errorf("%s: %d to %q\n%s", what, sc.status, sc.to, sc.body)
		}
	}
	if r := p.get(a.request("state", "") + "&state=x;y").response(); r.Get("error") != "invalid_request" || r.Has("state") {
		t.Errorf("a state that does not parse: %v", r)
	}
	// A refusal is sent in the same response mode as a code.
	for what, request := range map[string]string{
		"a parameter twice": a.request() + "&scope=read", "no response type": a.request("response_type", ""), "an unknown prompt": a.request("prompt", "dance"),
		"a request object": a.request("request", "e30.e30."), "nobody is signed in": a.request("prompt", "none", "max_age", "0"),
	} {
		sc := p.get(request + "&response_mode=form_post")
		if sc.status != http.StatusOK || sc.post != callback || sc.form.Get("error") == "" || sc.form.Get("state") != "s" || sc.form.Get("iss") != d.issuer {
			t.Errorf("%s: %d %s %s", what, sc.status, sc.to, sc.body)
		}
	}
	for what, request := range map[string]string{
		"two modes": a.request() + "&response_mode=form_post&response_mode=query", "an unknown mode": a.request("response_mode", "fragment"), "two equal modes": a.request() + "&response_mode=form_post&response_mode=form_post",
	} {
		if r := p.get(request).response(); r.Get("error") != "invalid_request" || r.Get("state") != "s" {
			t.Errorf("%s: %v", what, r)
		}
	}
	for _, query := range []string{"a;b", "post_logout_redirect_uri=https://app.test/bye;x&client_id=web", "client_id=web&100%", "ui_locales=%ff"} {
		if sc := p.get("/logout?" + query); sc.status != http.StatusBadRequest || sc.to != "" {
			t.Errorf("to sign out with %s: %d %s", query, sc.status, sc.to)
		}
		if sc := p.postText(s.url+"/logout", query); sc.status != http.StatusBadRequest || sc.to != "" {
			t.Errorf("to sign out by POST with %s: %d %s", query, sc.status, sc.to)
		}
		if sc := p.post(s.url+"/logout", url.Values{"request": {query}, "decision": {"out"}}); sc.status != http.StatusBadRequest || sc.to != "" {
			t.Errorf("to sign out from the page with %s: %d %s", query, sc.status, sc.to)
		}
	}
	// The request in the form of a page is checked like one that comes directly.
	for _, part := range broken {
		request := strings.TrimPrefix(a.request(), "/oauth2/authorize?") + "&" + part
		if r := p.post(s.url+"/consent", url.Values{"request": {request}, "decision": {"allow"}}).response(); r.Get("error") != "invalid_request" {
			t.Errorf("consent with %s: %v", part, r)
		}
		if r := p.post(s.url+"/login", url.Values{"then": {"/oauth2/authorize?" + request}, "username": {"minji"}, "password": {goodPassword}}).response(); r.Get("error") != "invalid_request" {
			t.Errorf("sign-in with %s: %v", part, r)
		}
	}
	wantRefused(t, "the stream", s.ask(http.MethodGet, "/oauth2/status/events?verifier=a;b"), http.StatusBadRequest, "invalid_request")
	if after := d.state(); after != before || p.get("/account").status != http.StatusOK {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	if log := s.log.String(); strings.Contains(log, "%zz") || strings.Contains(log, "a;b") {
		t.Error("the log holds a query")
	}
}

// TestTheLogSaysWhatARefusedAuthorizationRequestSent: the log has the client, the
// redirect URI and the known scopes, at each endpoint that takes the request, but no
// secrets.
func TestTheLogSaysWhatARefusedAuthorizationRequestSent(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	// The server reads the known scopes when it starts, and later ones with a delay. So
	// the client and its API are created before.
	a := d.webClient("web")
	s := d.start()
	p := s.person()
	type sent struct {
		ClientID    string `json:"client_id"`
		RedirectURI string `json:"redirect_uri"`
		Scope       string
		Unknown     int `json:"unknown_scopes"`
	}
	logged := func(id string) (found *sent) {
		t.Helper()
		eventually(t, "the request is logged", 10*time.Second, func() bool {
			for line := range strings.Lines(s.log.String()) {
				var rec struct {
					ID   string `json:"request_id"`
					Sent *sent
				}
				if json.Unmarshal([]byte(line), &rec) == nil && rec.ID == id {
					found = rec.Sent
					return true
				}
			}
			return false
		})
		return found
	}
	const pasted = "pasted-4711"
	for what, c := range map[string]struct {
		request string
		want    sent
	}{
		"an address that is not registered": {
			a.request("redirect_uri", "https://u:"+pasted+"@app.test:8443/cb?code="+pasted+"#"+pasted, "scope", "read openid "+pasted+" openid read "+pasted+"2"),
			sent{"web", "https://app.test:8443/cb", "read openid", 2},
		},
		"a client that there is not":   {a.request("client_id", "wep\n"), sent{`wep\n`, callback, "openid read", 0}},
		"no client and no address":     {a.request("client_id", "", "redirect_uri", "", "scope", ""), sent{}},
		"what is told to the client":   {a.request("response_type", "token", "state", pasted), sent{"web", callback, "openid read", 0}},
		"more than anybody would send": {a.request("client_id", strings.Repeat("c", 300), "scope", strings.Repeat(pasted+" ", 99)), sent{strings.Repeat("c", 100) + "…", callback, "", 50}},
	} {
		query := strings.TrimPrefix(c.request, "/oauth2/authorize?")
		for place, sc := range map[string]screen{
			"by GET": p.get(c.request), "by POST": p.postText(s.url+"/oauth2/authorize", query),
			"at the sign-in": p.post(s.url+"/login", url.Values{"then": {c.request}, "username": {"minji"}, "password": {goodPassword}}),
			"at the consent": p.post(s.url+"/consent", url.Values{"request": {query}, "decision": {"allow"}}),
		} {
			if got := logged(sc.header.Get("X-Request-Id")); got == nil || *got != c.want {
				t.Errorf("%s, %s: logged %+v, not %+v", what, place, got, c.want)
			}
		}
	}
	if sc := p.get(a.request()); sc.status != http.StatusOK || logged(sc.header.Get("X-Request-Id")) != nil {
		t.Errorf("of a request that is not refused it is logged: %d %s", sc.status, sc.body)
	}
	if strings.Contains(s.log.String(), pasted) {
		t.Error("the log holds what was pasted")
	}
}

func TestAnswersKeepTheQueryOfAnAddress(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	own := []string{"?b=2&a=1", "?flag", "?p=x;y", "?q=%7E+%20", "?a=1&a=2&", "?"}
	var args []string
	for _, query := range own {
		args = append(args, "--redirect-uri", callback+query, "--post-logout-redirect-uri", "https://app.test/bye"+query)
	}
	a := d.webClient("web", args...)
	d.user("minji")
	for _, query := range own {
		p := s.person()
		p.signIn("minji", a.request())
		next := "&"
		if query == "?" || strings.HasSuffix(query, "&") {
			next = ""
		}
		if sc := p.get(a.request("redirect_uri", callback+query)); !strings.HasPrefix(sc.to, callback+query+next+"code=") || !strings.HasSuffix(sc.to, "&state=s") {
			t.Errorf("a code at %s: %s", query, sc.to)
		}
		if sc := p.get(a.request("redirect_uri", callback+query, "prompt", "dance")); !strings.HasPrefix(sc.to, callback+query+next+"error=invalid_request&") || !strings.HasSuffix(sc.to, "&state=s") {
			t.Errorf("a refusal at %s: %s", query, sc.to)
		}
		if sc := p.get(a.request("redirect_uri", callback+query, "response_mode", "form_post")); sc.post != callback+query {
			t.Errorf("a form at %s: %s", query, sc.post)
		}
		to := "/logout?" + url.Values{"client_id": {"web"}, "post_logout_redirect_uri": {"https://app.test/bye" + query}}.Encode()
		if sc := p.get(to).submit("decision", "out"); sc.to != "https://app.test/bye"+query {
			t.Errorf("signed out to %s: %s", query, sc.to)
		}
		if sc := p.get(to + "&state=a+%26"); sc.to != "https://app.test/bye"+query+next+"state=a+%26" {
			t.Errorf("signed out to %s with a state: %s", query, sc.to)
		}
	}
}

// TestAForeignFormFindsTheSession: with a form of another site, browsers do not send a
// cookie that is SameSite=Lax. So the server makes them send the request once more.
func TestAForeignFormFindsTheSession(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/auth"} {
		t.Run("issuer with the path "+path, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t).oneAtATime()
			s := d.startBelow(path)
			a := d.webClient("app")
			d.user("minji")
			p := s.person()
			p.signIn("minji", path+a.request())
			ask := func(changed ...string) url.Values { return mustQuery(t, a.request(changed...)) }
			at := path + "/oauth2/authorize"
			wantCode := func(what string, sc screen) {
				t.Helper()
				if r := sc.response(); !strings.HasPrefix(sc.to, callback+"?") || r.Get("code") == "" || r.Get("state") != "s" {
					t.Errorf("%s: %d to %q", what, sc.status, sc.to)
				}
			}
			wantError := func(what, code string, sc screen) {
				t.Helper()
				if r := sc.response(); !strings.HasPrefix(sc.to, callback+"?") || r.Get("error") != code || r.Get("state") != "s" {
					t.Errorf("%s: %d to %q", what, sc.status, sc.to)
				}
			}
			// The answer redirects to the same request as GET, wherever the form comes
			// from.
			for what, fields := range map[string][]string{
				"from another site": nil, "from a frame": {"Sec-Fetch-Dest", "iframe"}, "from the same site": {"Sec-Fetch-Site", "same-site"},
				"without fetch metadata": {"Sec-Fetch-Site", "", "Origin", "https://app.test"}, "by a page without an origin": {"Sec-Fetch-Site", "", "Origin", "null"},
			} {
				for _, prompt := range []string{"", "none"} {
					sc := p.foreignPost(at, ask("prompt", prompt), fields...)
					if sc.status != http.StatusSeeOther || !strings.HasPrefix(sc.to, at+"?") {
						t.Fatalf("%s: %d to %q %s", what, sc.status, sc.to, sc.body)
					}
					if asked := mustQuery(t, sc.to); asked.Encode() != ask("prompt", prompt).Encode() {
						t.Errorf("%s: asked is %v", what, asked)
					}
					wantCode(what+" with prompt="+prompt, sc.follow())
				}
			}
			if sc := s.person().foreignPost(at, ask("prompt", "none")).follow(); sc.response().Get("error") != "login_required" {
				t.Errorf("of nobody: %d to %q", sc.status, sc.to)
			}
			// Both of two targets are kept.
			both := ask()
			both["resource"] = []string{"https://api.test", "https://api.test/"}
			if sc := p.foreignPost(at, both); len(mustQuery(t, sc.to)["resource"]) != 2 {
				t.Errorf("of two targets: %s", sc.to)
			}

			// If the address would be too long, a form of this server sends the request
			// once more, and only once.
			long := func(bytes int) url.Values {
				form := ask("prompt", "none")
				form["resource"] = []string{"https://api.test", "https://api.test/"}
				form.Set("login_hint", strings.Repeat("x", bytes-len(at+"?"+form.Encode())-len("&login_hint=")))
				return form
			}
			if sc := p.foreignPost(at, long(8000)); sc.status != http.StatusSeeOther || len(sc.to) != 8000 {
				t.Errorf("an address of 8000 bytes: %d with %d", sc.status, len(sc.to))
			}
			sc := p.foreignPost(at, long(8001))
			if sc.status != http.StatusOK || sc.post != at || strings.Count(sc.body, `name="resource"`) != 2 || !strings.Contains(sc.body, "data-passes-on") {
				t.Fatalf("an address of 8001 bytes: %d %q %s", sc.status, sc.post, sc.body)
			}
			wantCode("reposted", sc.submit())
			// This browser says of that form, too, that it is from another site.
			again := *sc.form
			wantError("reposted in vain", "login_required", p.foreignPost(at, again))
			again.Set("prompt", "login")
			if sc := p.foreignPost(at, again); sc.status != http.StatusOK || !strings.Contains(sc.body, `name="password"`) || strings.Contains(sc.body, "ingam_reposted") {
				t.Errorf("reposted in vain: %d %s", sc.status, sc.body)
			}
			for _, dest := range []string{"iframe", "frame", "fencedframe", "embed", "object"} {
				wantError("too long in a frame", "login_required", p.foreignPost(at, long(8001), "Sec-Fetch-Dest", dest))
			}
			// A form of this origin is answered at once.
			wantCode("from this origin", p.post(s.url+at, ask()))
			wantCode("from this origin, as long as it is", p.post(s.url+at, long(20_000)))
			// Signing in must not make the address too long either.
			q, form := s.person(), long(7990)
			form.Set("prompt", "login")
			signedIn := q.foreignPost(at, form).follow().submit("username", "minji", "password", goodPassword)
			if signedIn.status != http.StatusOK || signedIn.post != at || !strings.Contains(signedIn.body, "data-passes-on") {
				t.Fatalf("signed in on the way: %d %q %s", signedIn.status, signedIn.to, signedIn.body)
			}
			wantCode("signed in on the way", signedIn.submit())
			// Errors are sent at once: to the client if its redirect URI is known,
			// otherwise to the person.
			wantError("a bad request", "invalid_request", p.foreignPost(at, ask("prompt", "dance")))
			twice := ask()
			twice["scope"] = []string{"openid", "read"}
			wantError("a parameter twice", "invalid_request", p.foreignPost(at, twice))
			for what, form := range map[string]url.Values{"a stranger": ask("client_id", "nobody"), "an unknown address": ask("redirect_uri", "https://evil.test/")} {
				if sc := p.foreignPost(at, form); sc.to != "" || sc.status < 400 || sc.status > 499 {
					t.Errorf("%s: %d to %q", what, sc.status, sc.to)
				}
			}
		})
	}
}

// TestWhatNoPageCouldCarryIsRefusedBeforeAnyoneIsAsked: the form of a page contains the
// request encoded twice, which may be longer than a body may be. Then the request must be
// refused before the person types a password.
func TestWhatNoPageCouldCarryIsRefusedBeforeAnyoneIsAsked(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app")
	d.user("minji")
	p := s.person()
	ask := func(hint string, changed ...string) url.Values {
		form := mustQuery(t, a.request(changed...))
		form.Set("login_hint", hint)
		return form
	}
	const at = "/oauth2/authorize"
	fits, tooMuch := strings.Repeat("x", 45_000), map[string]string{"plain": strings.Repeat("x", 50_000), "of three bytes": strings.Repeat("한", 5_000), "of braces": strings.Repeat("{", 15_000)}
	refused := func(what string, sc screen) {
		t.Helper()
		if r := sc.response(); r.Get("error") != "invalid_request" || r.Get("state") != "s" || !strings.Contains(r.Get("error_description"), "too long") {
			t.Errorf("%s: %d to %q", what, sc.status, sc.to)
		}
	}
	for what, hint := range tooMuch {
		refused("sign-in, "+what, p.post(s.url+at, ask(hint)))
	}
	// There is still room for a long user name and a long password.
	login := p.post(s.url+at, ask(fits))
	if sc := login.submit("username", strings.Repeat("한", 256), "password", strings.Repeat("한", 256)); sc.status != http.StatusUnprocessableEntity {
		t.Fatalf("a wrong password: %d %s", sc.status, sc.body)
	}
	consent := login.submit("username", "minji", "password", goodPassword).submit()
	if !consent.asksConsent() {
		t.Fatalf("signed in: %d %s", consent.status, consent.body)
	}
	if r := consent.submit("decision", "allow").response(); r.Get("code") == "" {
		t.Errorf("allowed: %v", r)
	}
	for what, hint := range tooMuch {
		refused("consent, "+what, p.post(s.url+at, ask(hint, "prompt", "consent")))
		// If no page is shown, the request need not fit into one.
		if r := p.post(s.url+at, ask(hint)).response(); r.Get("code") == "" {
			t.Errorf("%s, silently: %v", what, r)
		}
	}
	// A long wrong value is repeated neither in the log nor in the answer.
	if r := p.post(s.url+at, ask("", "prompt", strings.Repeat("dance", 10_000))).response(); r.Get("error") != "invalid_request" || strings.Contains(r.Get("error_description"), "dance") {
		t.Errorf("a long prompt: %v", r)
	}
	if strings.Contains(s.log.String(), "dance") {
		t.Error("the log repeats a parameter")
	}
}

// TestASignOutOfAnotherSiteIsSentOnceMoreAndNotAgain, even if the browser says that the
// second request is from another site, too. Requests that come from another site sign
// nobody out.
func TestASignOutOfAnotherSiteIsSentOnceMoreAndNotAgain(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app", "--post-logout-redirect-uri", "https://app.test/bye")
	d.user("minji")
	p := s.person()
	hint := a.tokens(s, p, "minji").ID
	form := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://app.test/bye"}, "state": {"s"}}
	sc := p.foreignPost("/logout", form)
	if sc.status != http.StatusOK || sc.post != "/logout" || len(sc.header.Values("Set-Cookie")) != 0 {
		t.Fatalf("%d %s %v", sc.status, sc.post, sc.header)
	}
	again := p.foreignPost("/logout", *sc.form)
	if again.status != http.StatusForbidden || len(again.header.Values("Set-Cookie")) != 0 || p.get("/account").status != http.StatusOK {
		t.Errorf("sent a third time: %d %v", again.status, again.header)
	}
	if sc = sc.submit(); sc.to != "https://app.test/bye?state=s" || p.get("/account").status != http.StatusSeeOther {
		t.Errorf("%d to %q", sc.status, sc.to)
	}
}

// TestWhoeverReadsPagesGetsOne checks that browsers get errors as a page, and programs as
// JSON, also where no handler of a page runs.
func TestWhoeverReadsPagesGetsOne(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/auth"} {
		t.Run("issuer with the path "+path, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t).oneAtATime()
			s := d.startBelow(path)
			d.user("minji")
			p := s.person()
			if sc := p.get(path+"/login").submit("username", "minji", "password", goodPassword); sc.status != http.StatusSeeOther {
				t.Fatal(sc.status)
			}
			const html = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
			send := func(method, at, accept, language string) screen {
				t.Helper()
				r, err := http.NewRequest(method, s.url+at, nil)
				if err != nil {
					t.Fatal(err)
				}
				for name, value := range map[string]string{"Accept": accept, "Accept-Language": language} {
					if value != "" {
						r.Header.Set(name, value)
					}
				}
				if method == http.MethodPost {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					r.Header.Set("Sec-Fetch-Site", "cross-site")
				}
				return p.do(r)
			}
			logged := func(sc screen, want string) {
				t.Helper()
				id := `"request_id":"` + sc.header.Get("X-Request-Id") + `"`
				eventually(t, "the log says "+want, time.Minute, func() bool {
					for line := range strings.Lines(s.log.String()) {
						if strings.Contains(line, id) {
							if !strings.Contains(line, want) {
								t.Errorf("the log does not say %q: %s", want, line)
							}
							return true
						}
					}
					return false
				})
			}
			for _, c := range []struct {
				method, at string
				status     int
				en, ko     string
				cause      string
			}{
				{"GET", "/nothing", 404, "There is no page here", "페이지가 없습니다", "nothing at this address"},
				{"GET", "/account/nothing", 404, "There is no page here", "페이지가 없습니다", "nothing at this address"},
				{"POST", "/nothing", 404, "There is no page here", "페이지가 없습니다", "nothing at this address"},
				{"GET", "/oauth2/token", 405, "There is no page here", "페이지가 없습니다", "not for the method"},
				{"DELETE", "/account", 405, "There is no page here", "페이지가 없습니다", "not for the method"},
				{"POST", "/account/password", 403, "A page of another site", "다른 사이트의 페이지", "cross-origin request"},
				{"POST", "/account/sessions", 403, "A page of another site", "다른 사이트의 페이지", "cross-origin request"},
				{"POST", "/account/apps", 403, "A page of another site", "다른 사이트의 페이지", "cross-origin request"},
				{"POST", "/consent", 403, "A page of another site", "다른 사이트의 페이지", "cross-origin request"},
				{"POST", "/login", 403, "A page of another site", "다른 사이트의 페이지", "cross-origin request"},
			} {
				for language, text := range map[string]string{"en": c.en, "ko": c.ko, "": c.en, "ko-KR,ko;q=0.9": c.ko} {
					sc := send(c.method, path+c.at, html, language)
					if sc.status != c.status || sc.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(sc.body, text) || !strings.Contains(sc.body, sc.header.Get("X-Request-Id")) {
						t.Errorf("%s %s in %q: %d %s", c.method, c.at, language, sc.status, sc.body)
					}
					if (sc.status == http.StatusMethodNotAllowed) != (sc.header.Get("Allow") != "") {
						t.Errorf("%s %s: Allow is %q", c.method, c.at, sc.header.Get("Allow"))
					}
					logged(sc, c.cause)
				}
				for _, accept := range []string{"", "*/*", "application/json"} {
					sc := send(c.method, path+c.at, accept, "")
					wantRefused(t, c.method+" "+c.at+" by a program", sc.answer, c.status, "invalid_request")
					logged(sc, c.cause)
				}
			}
			for at, allow := range map[string]string{
				"/oauth2/token": "OPTIONS, POST", "/account": "GET, HEAD", "/oauth2/authorize": "GET, HEAD, POST", "/userinfo": "GET, HEAD, OPTIONS, POST", "/oauth2/introspect": "POST",
			} {
				if sc := send("DELETE", path+at, "", ""); sc.header.Get("Allow") != allow {
					t.Errorf("%s allows %q", at, sc.header.Get("Allow"))
				}
			}
			if p.get(path+"/account").status != http.StatusOK {
				t.Error("something was done")
			}
			// The first page says what this server is, to people who are signed in and to
			// others.
			for _, who := range []*person{p, s.person()} {
				sc := who.get(path + "/")
				if sc.status != http.StatusOK || !strings.Contains(sc.body, `href="`+path+`/account">Open your account</a>`) || !strings.Contains(sc.body, "signs people in") || len(sc.header.Values("Set-Cookie")) != 0 {
					t.Errorf("%d %s", sc.status, sc.body)
				}
			}
			if path != "" {
				if sc := p.get(path).follow(); sc.status != http.StatusOK || !strings.Contains(sc.body, "/account") {
					t.Errorf("without a slash: %d %s", sc.status, sc.body)
				}
				if sc := send("GET", "/", html, ""); sc.status != http.StatusNotFound || !strings.Contains(sc.body, `href="/auth/assets/seal.`) {
					t.Errorf("above the issuer: %d %s", sc.status, sc.body)
				}
			}
			icon := regexp.MustCompile(`rel="icon" href="([^"]+)"`).FindStringSubmatch(p.get(path + "/").body)[1]
			for _, at := range []string{icon, "/favicon.ico"} {
				a := s.get(at)
				if a.status != http.StatusOK || a.header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(a.body, "<svg ") || !strings.HasPrefix(a.header.Get("Cache-Control"), "public, max-age=") {
					t.Errorf("%s: %d %v", at, a.status, a.header)
				}
			}
		})
	}
}
