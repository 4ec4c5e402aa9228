package processes

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ask sends a request without a body, with header fields in pairs.
func (s *server) ask(method, path string, fields ...string) answer {
	s.d.t.Helper()
	r, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.d.t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return s.do(r)
}

func TestMetadataAnnouncesWhatExistsAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/auth", "/a/b"} {
		t.Run("issuer with the path "+path, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			s := d.startBelow(path)
			openid := s.get(path + "/.well-known/openid-configuration")
			if oauth := s.get("/.well-known/oauth-authorization-server" + path); openid.status != http.StatusOK || oauth.body != openid.body {
				t.Fatalf("%d %s\n%d %s", openid.status, openid.body, oauth.status, oauth.body)
			}
			metadata := openid.json(t)
			if metadata["issuer"] != d.issuer {
				t.Errorf("the issuer is %v and not %s", metadata["issuer"], d.issuer)
			}
			endpoints := 0
			for name, value := range metadata {
				at, is := value.(string)
				if !is || !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
					continue
				}
				endpoints++
				local, below := strings.CutPrefix(at, d.issuer)
				if !below {
					t.Errorf("%s is at %s", name, at)
				}
				if a := s.ask(http.MethodGet, path+local); a.status == http.StatusNotFound {
					t.Errorf("%s, %s, is not there", name, at)
				}
				if a := s.ask(http.MethodGet, local); path != "" && a.status != http.StatusNotFound {
					t.Errorf("%s is at %s, too", name, local)
				}
			}
			if endpoints < 4 {
				t.Errorf("%d endpoints in %s", endpoints, openid.body)
			}
			secret := d.client("app")
			for _, grant := range metadata["grant_types_supported"].([]any) {
				a := s.post(path+"/oauth2/token", "app", secret, url.Values{"grant_type": {grant.(string)}})
				if a.status != http.StatusOK && a.json(t)["error"] == "unsupported_grant_type" {
					t.Errorf("the grant type %s is announced and not there", grant)
				}
			}
			if path == "" {
				return
			}
			token := s.post(path+"/oauth2/token", "app", secret, url.Values{"grant_type": {"client_credentials"}}).json(t)["access_token"].(string)
			e := d.command(token, nil, "token", "verify", "--issuer", d.issuer)
			if e.status != 0 {
				t.Errorf("its tokens cannot be verified by its metadata: %s", e.stderr)
			}
		})
	}
}

// startBelow starts a server whose issuer has a path.
func (d *deployment) startBelow(path string) *server {
	d.t.Helper()
	address := strings.TrimPrefix(d.issuer, "http://")
	d.issuer += path
	s := d.launch(address)
	base := s.url
	s.url += path // for readiness
	s.awaitReady()
	s.url = base
	return s
}

func TestAnIssuerWithAPathIsFoundBehindAProxy(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.settings = append(d.settings, "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1", "INGAM_HTTP_FORWARDED_HEADER=forwarded")
	s := d.startBelow("/a/b")
	metadata := s.get("/a/b/.well-known/openid-configuration")
	if metadata.status != http.StatusOK || metadata.json(t)["issuer"] != d.issuer {
		t.Fatalf("%d %s", metadata.status, metadata.body)
	}
	// RFC 8414 sections 3.1 and 5.
	for _, path := range []string{"/.well-known/oauth-authorization-server/a/b", "/.well-known/openid-configuration/a/b"} {
		if a := s.ask(http.MethodGet, path, "Origin", "https://app.test"); a.body != metadata.body || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	// Nothing says that the root of the host is an issuer.
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/openid-configuration/a"} {
		if a := s.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	for _, path := range []string{"/health/live", "/health/ready", "/a/b/health/live", "/a/b/health/ready"} {
		if a := s.get(path); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}

	own := strings.TrimSuffix(d.issuer, "/a/b")
	for origin, allowed := range map[string]bool{
		own: true, "": true,
		strings.Replace(own, "http:", "https:", 1): false, own + "0": false, own + ".evil.test": false, own + "/a/b": false, "https://evil.test": false, "null": false,
	} {
		r, err := http.NewRequest(http.MethodPost, s.url+"/a/b/login", strings.NewReader("username=minji&password=wrong"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "backend.test:8080"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Forwarded", `for="[2001:db8::1]:4711"`)
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if a := s.do(r); allowed == (a.status == http.StatusForbidden) {
			t.Errorf("a form of %q is answered with %d", origin, a.status)
		}
	}
	eventually(t, "the address in the header that counts is logged", time.Minute, func() bool {
		return strings.Contains(s.log.String(), `"address":"2001:db8::1"`)
	})
	if strings.Contains(s.log.String(), "198.51.100.1") {
		t.Error("the other header counted")
	}
}

func TestKeySetsAreCachedAsLongAsTheyMayBe(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start("INGAM_KEYS_JWKS_MAX_AGE=77s")
	const path = "/.well-known/jwks.json"
	a := s.get(path)
	etag := a.header.Get("ETag")
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "public, max-age=77" || etag == "" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", a.status, a.header)
	}
	for match, want := range map[string]int{
		etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200, etag + "x": 200, "": 200,
	} {
		b := s.ask(http.MethodGet, path, "If-None-Match", match)
		if b.status != want || b.header.Get("ETag") != etag || b.header.Get("Cache-Control") == "" || want == 304 && b.body != "" || want == 200 && b.body != a.body {
			t.Errorf("If-None-Match %s: %d %s", match, b.status, b.body)
		}
	}
	if head := s.ask(http.MethodHead, path); head.status != http.StatusOK || head.header.Get("ETag") != etag || head.body != "" {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	d.must("key", "rotate", "--now", "--force")
	eventually(t, "the tag changes with the keys", time.Minute, func() bool { return s.get(path).header.Get("ETag") != etag })
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(s.get(path).body), &set); err != nil || len(set.Keys) != 3 {
		t.Fatal(err, set)
	}
	for _, k := range set.Keys {
		if len(k) != 6 || k["kty"] != "RSA" || k["use"] != "sig" || k["alg"] != "RS256" || k["kid"] == "" || k["n"] == "" || k["e"] != "AQAB" {
			t.Errorf("%v", k)
		}
	}
}

func TestScriptsOfOtherOriginsReachWhatTheyMay(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	all := d.start()
	one := d.startAt(freeAddress(t), "INGAM_HTTP_CORS_ORIGINS=https://app.test")
	secret := d.client("app")
	const allow, origin, other = "Access-Control-Allow-Origin", "https://app.test", "https://evil.test"
	token := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"}
	get := []string{"Access-Control-Request-Method", "GET"}
	for _, c := range []struct {
		path string
		ask  []string
		open bool
	}{
		{"/oauth2/token", token, true}, {"/oauth2/revoke", token, true}, {"/oauth2/introspect", token, false},
		{"/.well-known/jwks.json", get, true}, {"/.well-known/openid-configuration", get, true}, {"/.well-known/oauth-authorization-server", get, true},
		{"/health/ready", get, false},
	} {
		for _, from := range []string{origin, other} {
			if a := all.ask(http.MethodOptions, c.path, append([]string{"Origin", from}, c.ask...)...); (a.header.Get(allow) == "*") != c.open || a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s asked from %s: %d %v", c.path, from, a.status, a.header)
			}
			want := ""
			if c.open && from == origin {
				want = origin
			}
			if a := one.ask(http.MethodOptions, c.path, append([]string{"Origin", from}, c.ask...)...); a.header.Get(allow) != want || a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s of one origin asked from %s: %d %v", c.path, from, a.status, a.header)
			}
		}
	}
	a := one.raw("/oauth2/token", "grant_type=client_credentials", "Authorization", basic("app", secret), "Origin", origin)
	if a.status != http.StatusOK || a.header.Get(allow) != origin || !strings.Contains(a.header.Get("Vary"), "Origin") {
		t.Errorf("%d %v", a.status, a.header)
	}
	// Errors must be readable by the script, too.
	a = all.raw("/oauth2/token", "grant_type=x", "Authorization", basic("app", secret), "Origin", origin)
	if a.status != http.StatusBadRequest || a.header.Get(allow) != "*" {
		t.Errorf("%d %v", a.status, a.header)
	}
	none := d.startAt(freeAddress(t), "INGAM_HTTP_CORS_ORIGINS=")
	if a := none.ask(http.MethodOptions, "/oauth2/token", append([]string{"Origin", origin}, token...)...); a.header.Get(allow) != "" {
		t.Errorf("no origin may, and one does: %v", a.header)
	}
	// A method that no script may use is not granted.
	if a := all.ask(http.MethodOptions, "/oauth2/token", "Origin", origin, "Access-Control-Request-Method", "DELETE"); a.header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("DELETE: %v", a.header)
	}
}

func TestEveryAnswerTellsBrowsersToKeepOut(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start()
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 200}, {"GET", "/nothing", 404}, {"GET", "/favicon.ico", 200}, {"GET", "/oauth2/token", 405}, {"DELETE", "/oauth2/token", 405}, {"POST", "/.well-known/jwks.json", 405},
		{"GET", "/oauth2/authorize", 400}, {"GET", "/.well-known/jwks.json", 200}, {"GET", "/health/live", 200}, {"GET", "/health/ready", 200},
		{"POST", "/oauth2/token", 400}, {"GET", "/oauth2/../oauth2/token", 307}, {"TRACE", "/oauth2/token", 405},
	} {
		a := s.ask(c.method, c.path)
		if c.status != 307 && a.status != c.status || c.status == 405 && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: %d %v", c.method, c.path, a.status, a.header)
		}
		for field, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; ", "Referrer-Policy": "",
		} {
			if got := a.header.Get(field); !strings.HasPrefix(got, want) {
				t.Errorf("%s %s: %s is %q", c.method, c.path, field, got)
			}
		}
		if policy := a.header.Get("Referrer-Policy"); policy != "no-referrer" && policy != "same-origin" {
			t.Errorf("%s %s tells others where one comes from: %s", c.method, c.path, policy)
		}
		if !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s %s can be framed", c.method, c.path)
		}
		id := a.header.Get("X-Request-Id")
		eventually(t, "the request is logged by its id", time.Minute, func() bool { return id != "" && strings.Contains(s.log.String(), `"request_id":"`+id+`"`) })
	}
}

// TestABrowserHoldsCookiesToWhatTheyAre: by their names (RFC 6265bis section
// 4.1.3), where there is TLS.
func TestABrowserHoldsCookiesToWhatTheyAre(t *testing.T) {
	t.Parallel()
	for issuer, c := range map[string]struct{ prefix, path string }{
		"https://auth.test":    {"__Host-", "/"},
		"https://test/auth/x":  {"__Secure-", "/auth/x/"},
		"http://127.0.0.1/sso": {"", "/sso/"},
	} {
		u, err := url.Parse(issuer)
		if err != nil {
			t.Fatal(err)
		}
		d := newDeployment(t)
		d.must("migrate", "up")
		s := d.launch(freeAddress(t), "INGAM_ISSUER="+issuer)
		s.url += u.Path
		s.awaitReady()
		d.user("minji")
		got := s.person().post(s.url+"/login", url.Values{"username": {"minji"}, "password": {goodPassword}})
		cookies := (&http.Response{Header: got.header}).Cookies()
		if got.status != http.StatusSeeOther || len(cookies) != 2 {
			t.Fatalf("%s: %d %v", issuer, got.status, got.header)
		}
		for _, cookie := range cookies {
			secure := u.Scheme == "https"
			if !strings.HasPrefix(cookie.Name, c.prefix+"ingam_") || cookie.Path != c.path || cookie.Secure != secure || !cookie.HttpOnly || cookie.Domain != "" {
				t.Errorf("%s: %v", issuer, cookie)
			}
			if got.header.Get("Strict-Transport-Security") != "" != secure {
				t.Errorf("%s: %v", issuer, got.header)
			}
		}
	}
}
