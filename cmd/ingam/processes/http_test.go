package processes

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ask sends a request without a body. Header fields are given as names and values in turn.
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
			d := newDeployment(t).oneAtATime()
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
	d := newDeployment(t).oneAtATime()
	d.settings = append(d.settings, "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1", "INGAM_HTTP_FORWARDED_HEADER=forwarded", "INGAM_HTTP_CORS_ORIGINS=https://app.test")
	s := d.startBelow("/a/b")
	metadata := s.get("/a/b/.well-known/openid-configuration")
	if metadata.status != http.StatusOK || metadata.json(t)["issuer"] != d.issuer {
		t.Fatalf("%d %s", metadata.status, metadata.body)
	}
	// RFC 8414 sections 3.1 and 5.
	for _, path := range []string{"/.well-known/oauth-authorization-server/a/b", "/.well-known/openid-configuration/a/b"} {
		if a := s.ask(http.MethodGet, path, "Origin", "https://app.test"); a.body != metadata.body || a.header.Get("Access-Control-Allow-Origin") != "https://app.test" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if a := s.ask(http.MethodGet, path, "Origin", "https://evil.test"); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s for another origin: %v", path, a.header)
		}
	}
	// The root of the host is not an issuer, so it has no metadata.
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
	d := newDeployment(t).oneAtATime()
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
