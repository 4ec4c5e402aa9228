package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestPeopleAreSentOnlyWhereTheClientIsRegistered(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := d.start()
	web := d.webClient("web", "--auth", "client_secret_basic")
	bye := d.webClient("bye", "--post-logout-redirect-uri", "https://app.test", "--post-logout-redirect-uri", "http://localhost:3000/bye?x=1")
	const scheme = "cursor://vendor.tool/oauth/callback"
	e := d.command("", nil, "client", "create", "--id", "editor", "--name", "Editor", "--grant", "authorization_code", "--redirect-uri", scheme,
		"--scope", "openid", "--auth", "none", "--skip-consent")
	if e.status != 0 || !strings.Contains(e.stderr, "any program on a device can claim the scheme cursor:") || strings.Contains(e.stdout, "claim") {
		t.Fatalf("%d %q %q", e.status, e.stdout, e.stderr)
	}
	const home = "http://nas.home.arpa:8123/cb"
	e = d.command("", nil, "client", "create", "--id", "nas", "--name", "NAS", "--grant", "authorization_code", "--redirect-uri", home, "--redirect-uri", "http://app.localhost/cb",
		"--scope", "openid", "--auth", "client_secret_basic", "--insecure-redirects")
	if e.status != 0 || !strings.Contains(e.stderr, "http://nas.home.arpa:8123 is not encrypted") {
		t.Fatalf("%d %q", e.status, e.stderr)
	}
	d.user("minji")
	p := s.person()
	p.signIn("minji", web.request())

	editor := app{id: "editor", verifier: web.verifier}
	for range 2 { // neither --skip-consent nor what was allowed before speaks for whoever claimed the scheme
		sc := p.get(editor.request("redirect_uri", scheme, "scope", "openid"))
		if !strings.Contains(sc.body, `name="decision"`) || !strings.Contains(sc.body, "<strong>cursor:</strong>") {
			t.Fatalf("not asked: %d to %q %s", sc.status, sc.to, sc.body)
		}
		if sc = sc.submit("decision", "allow"); !strings.HasPrefix(sc.to, scheme+"?") || sc.response().Get("code") == "" {
			t.Errorf("%d to %q", sc.status, sc.to)
		}
	}
	if r := p.get(editor.request("redirect_uri", scheme, "scope", "openid", "prompt", "none")).response(); r.Get("error") != "consent_required" || !strings.Contains(r.Get("error_description"), "claim") {
		t.Errorf("silently: %v", r)
	}
	if r := p.get(editor.request("redirect_uri", scheme, "scope", "openid", "response_mode", "form_post")).response(); r.Get("error") != "invalid_request" {
		t.Errorf("posted: %v", r)
	}
	nas := app{id: "nas", verifier: web.verifier}
	for _, address := range []string{home, "http://app.localhost/cb", "http://app.localhost:5000/cb"} {
		sc := p.get(nas.request("redirect_uri", address, "scope", "openid"))
		if strings.Contains(sc.body, `name="decision"`) {
			sc = sc.submit("decision", "allow")
		}
		if !strings.HasPrefix(sc.to, address+"?") || sc.response().Get("code") == "" {
			t.Errorf("%s: %d to %q", address, sc.status, sc.to)
		}
	}
	for _, address := range []string{"http://nas.home.arpa:8124/cb", "http://nas.home.arpa/cb", "http://app.localhost:65536/cb", "http://other.localhost/cb"} {
		if sc := p.get(nas.request("redirect_uri", address, "scope", "openid")); sc.to != "" || sc.status != http.StatusBadRequest {
			t.Errorf("%s: %d to %q", address, sc.status, sc.to)
		}
	}

	for _, c := range []struct{ client, asked, to string }{
		{bye.id, "https://app.test", "https://app.test?state=s"},
		{bye.id, "https://app.test/", "https://app.test?state=s"},
		{bye.id, "http://localhost:4000/bye?x=1", "http://localhost:4000/bye?x=1&state=s"},
		{web.id, callback, callback + "?state=s"},
		{bye.id, callback, ""},
		{bye.id, "http://localhost:65536/bye?x=1", ""},
		{bye.id, "http://127.0.0.1:3000/bye?x=1", ""},
		{web.id, callback + "/", ""},
		{web.id, "https://evil.test/cb", ""},
	} {
		q := s.person()
		q.get("/login").submit("username", "minji", "password", goodPassword)
		sc := q.get("/logout?" + url.Values{"client_id": {c.client}, "post_logout_redirect_uri": {c.asked}, "state": {"s"}}.Encode())
		if sc.form != nil {
			sc = sc.submit("decision", "out")
		}
		if sc.to != c.to {
			t.Errorf("%s at %s leads to %q, not %q", c.client, c.asked, sc.to, c.to)
		}
	}
}

func TestTheAudienceIsWhatIsRegisteredHoweverItIsSpelt(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := d.start()
	d.must("api", "create", "--audience", "https://slash.test/", "--name", "Slash", "--scope", "read")
	// Named in the other spelling, and registered as the API is.
	a := d.webClient("app", "--auth", "client_secret_basic", "--audience", "https://slash.test", "--grant", "client_credentials")
	var shown clientJSON
	if d.mustJSON(&shown, "client", "show", "app"); !slices.Equal(shown.Audiences, []string{"https://api.test", "https://slash.test/"}) {
		t.Errorf("%q", shown.Audiences)
	}
	for audience, spelling := range map[string]string{"https://api.test": "https://api.test/", "https://slash.test/": "https://slash.test"} {
		if e := d.command("", nil, "api", "create", "--audience", spelling, "--name", "N", "--scope", "read"); e.status != 1 || !strings.Contains(e.stderr, audience) {
			t.Errorf("%s beside %s: %d %s", spelling, audience, e.status, e.stderr)
		}
	}
	if e := d.command("", nil, "client", "create", "--id", "x", "--name", "X", "--auth", "client_secret_basic", "--audience", "https://api.test", "--audience", "https://api.test/"); e.status != 1 {
		t.Errorf("an audience in two spellings: %d", e.status)
	}
	d.user("minji")
	p := s.person()
	for _, name := range []string{"resource", "audience"} {
		for audience, spellings := range map[string][]string{"https://api.test": {"https://api.test", "https://api.test/"}, "https://slash.test/": {"https://slash.test/", "https://slash.test"}} {
			for _, spelling := range spellings {
				set := a.tokens(s, p, "minji", name, spelling)
				for what, token := range map[string]string{
					"authorize":          set.Access,
					"code":               a.redeem(s, p.signIn("minji", a.request(name, audience)).Get("code"), name, spelling).tokens(t).Access,
					"refresh":            a.refresh(s, set.Refresh, name, spelling).tokens(t).Access,
					"client_credentials": s.token(a.id, a.secret, name, spelling),
				} {
					if got := part(t, token, 1)["aud"]; got != audience {
						t.Errorf("%s with %s=%s is for %v", what, name, spelling, got)
					}
					if !s.active(a.id, a.secret, token) {
						t.Errorf("%s with %s=%s is not active", what, name, spelling)
					}
				}
			}
		}
	}
	wantRefused(t, "an address below", a.post(s, url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.test/x"}}), 400, "invalid_target")
	wantRefused(t, "another query", a.post(s, url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.test/?x"}}), 400, "invalid_target")
	both := a.post(s, url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.test", "https://api.test/"}}).tokens(t)
	if got := part(t, both.Access, 1)["aud"]; got != "https://api.test" {
		t.Errorf("asked for in two spellings: %v", got)
	}
}
