package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// What browsers and libraries do at the door, at each endpoint that it concerns.

func TestOnlyWhoCameWithBasicIsAskedForIt(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
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
			continue // a public client needs to say no more
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

// TestScriptsMaySendHeadersThatMeanNothingHere: of tracing, of a protocol that is
// none of this server's, of a library.
func TestScriptsMaySendHeadersThatMeanNothingHere(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
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
			// A cache must not answer a script with what was for a server.
			if plain := s.ask(http.MethodGet, path); !strings.Contains(plain.header.Get("Vary"), "Origin") {
				t.Errorf("%s without an origin varies by %q", path, plain.header.Get("Vary"))
			}
		}
	}
	// Where a cookie counts, and where no script has any business, nothing changes.
	for _, path := range []string{"/token/refresh", "/token/logout", "/login", "/oauth2/introspect", "/account", "/logout"} {
		if a := all.ask(http.MethodOptions, path, "Origin", "https://app.test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", headers); a.header.Get("Access-Control-Allow-Headers")+a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
}

func TestNoCacheKeepsWhatIsForItsAskerAlone(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
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
	d := newDeployment(t, "")
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
