package processes

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestAPersonChoosesTheLanguage checks that a person can change the language during an
// authorization request, that the request stays as it is, and that later pages have the
// language too.
func TestAPersonChoosesTheLanguage(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/auth"} {
		t.Run("issuer with the path "+path, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t).oneAtATime()
			s := d.startBelow(path)
			a := d.webClient("app")
			d.user("minji")
			p := s.person()
			request := path + a.request("prompt", "login", "ui_locales", "en", "login_hint", "minji")
			sc := p.get(request)
			if sc.header.Get("Content-Language") != "en" || !strings.Contains(sc.body, `lang="ko" hreflang="ko" rel="nofollow">한국어</a>`) {
				t.Fatalf("%d %s", sc.status, sc.body)
			}
			sc = p.get(languageLink(t, sc))
			if sc.status != http.StatusSeeOther || sc.to == "" {
				t.Fatalf("%d to %q", sc.status, sc.to)
			}
			if cookie := sc.header.Get("Set-Cookie"); cookie != "ingam_language=ko; Path="+path+"/; Max-Age=31536000; HttpOnly; SameSite=Lax" {
				t.Errorf("it is remembered by %q", cookie)
			}
			if sc = sc.follow(); sc.header.Get("Content-Language") != "ko" || !strings.Contains(sc.body, `value="minji"`) {
				t.Fatalf("the request is another: %d %s", sc.status, sc.body)
			}
			if asked, was := sc.at.Query(), mustQuery(t, request); asked.Encode() != was.Encode() {
				t.Errorf("the request is %v, and was %v", asked, was)
			}
			// A page that answers a form also has a link to the other
			// language.
			sc = sc.submit("password", "wrong")
			if sc.status != http.StatusUnprocessableEntity || sc.header.Get("Content-Language") != "ko" {
				t.Fatalf("%d %s", sc.status, sc.body)
			}
			sc = p.get(languageLink(t, sc)).follow()
			sc = sc.submit("username", "minji", "password", goodPassword).follow()
			if sc.header.Get("Content-Language") != "en" || !strings.Contains(sc.body, "App app wants") && !strings.Contains(sc.body, "</bdi> wants to use your account") {
				t.Fatalf("%d %s", sc.status, sc.body)
			}
			sc = p.get(languageLink(t, sc)).follow()
			if response := sc.submit("decision", "allow").response(); response.Get("code") == "" || response.Get("state") != "s" {
				t.Errorf("%v", response)
			}
			for _, at := range []string{"/account", "/logout", "/", "/oauth2/authorize?client_id=nobody"} {
				if sc := p.get(path + at); sc.header.Get("Content-Language") != "ko" {
					t.Errorf("%s is in %q", at, sc.header.Get("Content-Language"))
				}
			}

			// The link leads to no other site, and there are no other
			// languages.
			for then, want := range map[string]string{
				"/account": "/account", "/account?x=1&y=%0d%0aSet-Cookie:+a=b": "/account?x=1&y=%0d%0aSet-Cookie:+a=b", "/%0d%0ax": "/%0d%0ax",
				"": "/", "//evil.test": "/", "///evil.test": "/", "/%2f/evil.test": "/", "/%2fevil.test": "/", `/\evil.test`: "/", `\\evil.test`: "/", "/%5cevil.test": "/",
				"https://evil.test/": "/", "javascript:alert(1)": "/", "evil.test": "/", "@evil.test": "/", "/\t/evil.test": "/", "/\r\nx": "/", "http:/evil.test": "/",
				"/a//evil.test": "/a//evil.test", "/account#x": "/account",
				"https:evil.test": "/", "HTTPS://evil.test": "/", "//user@evil.test:80/": "/", "//[::1]/": "/", "%2f%2fevil.test": "/", "\x00//evil.test": "/", " //evil.test": "/", "?": "/", "/%zz": "/",
				"/./%2fevil.test": "/./%2fevil.test", "/%09/evil.test": "/%09/evil.test", // these stay within the path
				"//" + strings.Repeat("e", 9000): "/", "/" + strings.Repeat("e", 9000): "/" + strings.Repeat("e", 9000),
				// These addresses are not below the issuer's path. On the
				// same host there may be another site.
				"/..": "/", "/..//evil.test": "/", "/../~stranger/": "/", "/%2e%2e/~stranger/": "/", "/account/.%2E/../~stranger/": "/", "/account/..x": "/account/..x",
			} {
				sc := p.get(path + "/language?" + url.Values{"to": {"en"}, "then": {then}}.Encode())
				if sc.status != http.StatusSeeOther || sc.to != path+want {
					t.Errorf("%q: %d to %q", then, sc.status, sc.to)
				}
			}
			for _, to := range []string{"", "fr", "en;x", "en\r\nx", "<b>"} {
				sc := p.get(path + "/language?" + url.Values{"to": {to}, "then": {"/account"}}.Encode())
				if sc.status != http.StatusBadRequest || len(sc.header.Values("Set-Cookie")) > 0 || strings.Contains(sc.body, "The application made a mistake") {
					t.Errorf("%q: %d %v", to, sc.status, sc.header)
				}
			}
			// If the link would be longer than proxies accept, the page has
			// none.
			if sc := s.person().get(path + a.request("login_hint", strings.Repeat("x", 6000))); !strings.Contains(sc.body, "hreflang") {
				t.Error("no other language within a request of 6000 bytes")
			}
			if sc := s.person().get(path + a.request("login_hint", strings.Repeat("é", 2500))); sc.status != http.StatusOK || strings.Contains(sc.body, "hreflang") {
				t.Errorf("a link of too many bytes: %d", sc.status)
			}
		})
	}
}

var languageHref = regexp.MustCompile(`href="([^"]*/language\?[^"]*)"`)

// languageLink returns a page's link to itself in the other language.
func languageLink(t *testing.T, sc screen) string {
	t.Helper()
	m := languageHref.FindStringSubmatch(sc.body)
	if m == nil {
		t.Fatalf("there is no other language: %d %s", sc.status, sc.body)
	}
	return html.UnescapeString(m[1])
}

// TestAPersonFindsTheWayBack checks that an error page links to the page that the person
// came from, if that is a page of this server or of a registered application, and to no
// other site.
func TestAPersonFindsTheWayBack(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.webClient("app", "--redirect-uri", "https://shop.test:8443/cb", "--post-logout-redirect-uri", "https://bye.test/")
	d.webClient("gone", "--redirect-uri", "https://gone.test/cb")
	d.webClient("native", "--redirect-uri", "com.example.app:/cb")
	d.must("client", "disable", "gone")
	d.signInApp("own", "--origin", "http://127.0.0.1:9")
	for _, at := range []string{"/nothing", "/oauth2/authorize?client_id=nobody"} {
		for from, want := range map[string]string{
			"https://app.test/": "https://app.test/", "https://shop.test:8443/cart?x=1": "https://shop.test:8443/cart?x=1", "https://bye.test/": "https://bye.test/", "http://127.0.0.1:9/x": "http://127.0.0.1:9/x",
			s.url + "/account": s.url + "/account", s.url + at: "", s.url + "/consent": "",
			"https://stranger.test/": "", "https://app.test.stranger.test/": "", "https://app.test@stranger.test/": "", "https://minji:secret@app.test/": "",
			"http://app.test/": "", "https://shop.test/": "", "https://gone.test/": "", "javascript:alert(1)//app.test/": "", "com.example.app:/": "", "about:blank": "", "": "",
			"https://app.test/" + strings.Repeat("x", 2000): "",
		} {
			r, err := http.NewRequest(http.MethodGet, s.url+at, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Referer", from)
			r.Header.Set("Accept", "text/html")
			sc := s.person().do(r)
			back := ""
			if m := regexp.MustCompile(`<a class="button full" href="([^"]+)"`).FindStringSubmatch(sc.body); m != nil {
				back = html.UnescapeString(m[1])
			}
			if want == "" {
				want = "/account"
			}
			if sc.status < 400 || back != want || strings.Contains(sc.body, "secret") {
				t.Errorf("%s from %.60s: %d back to %.60q, not %.60q", at, from, sc.status, back, want)
			}
		}
	}
}

// TestThePageBeforeIsOneOfThisServers checks that an error page links only to pages below
// the issuer: not to another site on the same host, and not to an address with another
// scheme.
func TestThePageBeforeIsOneOfThisServers(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.startBelow("/auth")
	for from, back := range map[string]bool{
		s.url + "/auth/account": true, s.url + "/auth/": true,
		s.url + "/auth": false, s.url + "/authors/": false, s.url + "/~stranger/": false, s.url + "/": false,
		strings.Replace(s.url, "http:", "https:", 1) + "/auth/account": false,
	} {
		a := s.ask(http.MethodGet, "/auth/nothing", "Referer", from, "Accept", "text/html")
		if said := strings.Contains(a.body, "the page before"); a.status != http.StatusNotFound || said != back || strings.Contains(a.body, `href="`+from+`"`) != back {
			t.Errorf("from %s: %d %s", from, a.status, a.body)
		}
	}
}

// TestALinkToAnotherLanguageHoldsNothingThatWasPosted checks that no link to another
// language contains posted data, such as an ID token, or leads to another page than the
// current one.
func TestALinkToAnotherLanguageHoldsNothingThatWasPosted(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app")
	d.user("minji")
	p := s.person()
	consent := p.get(a.request()).submit("username", "minji", "password", goodPassword).follow()
	hint := url.Values{"id_token_hint": {"x.y.z"}, "ui_locales": {"en"}}
	for what, c := range map[string]struct {
		shown    screen
		says     string
		switches bool
	}{
		"sign out, by an address": {p.get("/logout?" + hint.Encode()), "Do you want to sign out?", true},
		"sign out, by a form":     {p.post(s.url+"/logout", hint), "Do you want to sign out?", false},
		"consent":                 {consent, "wants to use your account", true},
		// A link to the request's address would lead to the consent page of the
		// user who is signed in.
		"sign in as somebody else": {consent.submit("decision", "switch"), "to continue to", false},
	} {
		if sc := c.shown; sc.status != http.StatusOK || !strings.Contains(sc.body, c.says) || languageHref.MatchString(sc.body) != c.switches {
			t.Errorf("%s: %d %s", what, sc.status, sc.body)
		}
	}
}

// TestAnErrorPageSaysWhoseFaultItIsAndWhatToDo checks also that the page says whom to
// tell, and shows the request id that is in the log.
func TestAnErrorPageSaysWhoseFaultItIsAndWhatToDo(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	d.must("migrate", "up")
	s, asked := d.startHere("INGAM_PAGES_NAME=Acme Accounts", "INGAM_PAGES_HELP_URL=https://acme.test/help?a=1&b=2")
	a := d.webClient("app")
	d.user("minji")
	says := func(sc screen, status int, parts ...string) {
		t.Helper()
		id := sc.header.Get("X-Request-Id")
		for _, part := range append(parts, "<code>"+id+"</code>", `<a href="https://acme.test/help?a=1&amp;b=2">`, " · Acme Accounts</title>") {
			if !strings.Contains(sc.body, part) {
				t.Errorf("%s does not say %q: %d\n%s", sc.at, part, sc.status, sc.body)
			}
		}
		if sc.status != status || id == "" {
			t.Errorf("%s: %d", sc.at, sc.status)
		}
		eventually(t, "the log has the request", time.Minute, func() bool { return strings.Contains(s.log.String(), `"request_id":"`+id+`"`) })
	}
	says(s.person().get("/oauth2/authorize?client_id=nobody"), http.StatusBadRequest, "The application made a mistake")

	// A person who was signed out meanwhile can continue with the same request.
	p := s.person()
	consent := p.get(a.request()).submit("username", "minji", "password", goodPassword).follow()
	d.must("session", "end", "--user", "minji")
	ended := consent.submit("decision", "allow")
	says(ended, http.StatusForbidden, "You were signed out meanwhile", ">Start again</a>")
	again := regexp.MustCompile(`<a class="button main full" href="([^"]+)"`).FindStringSubmatch(ended.body)
	if again == nil {
		t.Fatal("there is no way to start again")
	}
	sc := p.get(html.UnescapeString(again[1])).submit("username", "minji", "password", goodPassword).follow()
	if r := sc.submit("decision", "allow").response(); r.Get("code") == "" || r.Get("state") != "s" {
		t.Errorf("%v", r)
	}

	// If a page fails because of a fault of the server, it has a link to try again,
	// unless a form was posted. It does not say what the fault is.
	asked.FailWith(func(string) error { return errors.New("broken for a test") })
	sc = p.get("/account")
	says(sc, http.StatusServiceUnavailable, "We cannot answer now", `<a class="button main full" href="/account">Try again</a>`)
	if sc.header.Get("Retry-After") == "" || strings.Contains(sc.body, "broken") {
		t.Errorf("%v %s", sc.header, sc.body)
	}
	sc = p.post(s.url+"/account/sessions", url.Values{"others": {"1"}})
	says(sc, http.StatusServiceUnavailable, "We cannot answer now")
	if strings.Contains(sc.body, "Try again<") {
		t.Errorf("a form can be tried again: %s", sc.body)
	}
	asked.FailWith(nil)
	if sc := p.get("/account"); sc.status != http.StatusOK {
		t.Errorf("%d", sc.status)
	}
}

// TestPagesAreThoseOfTheHouse checks that pages have the operator's name, logo, colour and
// links.
func TestPagesAreThoseOfTheHouse(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	logo := filepath.Join(d.dir, "logo.svg")
	drawing := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><script>alert(1)</script><path d="M0 0h40v20z"/></svg>`
	if err := os.WriteFile(logo, []byte(drawing), 0o600); err != nil {
		t.Fatal(err)
	}
	s := d.start("INGAM_PAGES_NAME=Acme & <Söhne>", "INGAM_PAGES_LOGO_FILE="+logo, "INGAM_PAGES_ACCENT=#2a7a4b", "INGAM_PAGES_PRIVACY_URL=https://acme.test/privacy",
		"INGAM_PAGES_TERMS_URL=mailto:terms@acme.test")
	sc := s.person().get("/login")
	for _, want := range []string{
		"<title>Sign in · Acme &amp; &lt;Söhne&gt;</title>", ">Acme &amp; &lt;Söhne&gt;</", `width="72" height="36" alt="">`,
		`<a href="https://acme.test/privacy">Privacy</a>`, `<a href="mailto:terms@acme.test">Terms</a>`,
	} {
		if !strings.Contains(sc.body, want) {
			t.Errorf("the page does not have %q:\n%s", want, sc.body)
		}
	}
	if strings.Contains(sc.body, ">Help<") || strings.Contains(sc.body, "alert(1)") {
		t.Errorf("the page has a link that is not set, or the script of the logo:\n%s", sc.body)
	}
	asset := func(pattern string) answer {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(sc.body)
		if m == nil {
			t.Fatalf("no %s:\n%s", pattern, sc.body)
		}
		a := s.get(m[1])
		if a.status != http.StatusOK || a.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", m[1], a.status, a.header)
		}
		return a
	}
	if a := asset(`<img src="([^"]+)"`); a.body != drawing || a.header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") || !strings.HasSuffix(a.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("the logo: %v", a.header)
	}
	if a := asset(`rel="stylesheet" href="([^"]+)"`); !strings.Contains(a.body, "--action: #2a7a4b") || a.header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("the style sheet: %v", a.header)
	}
	if a := asset(`<script src="([^"]+)"`); a.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("the script: %v", a.header)
	}
	if icon := s.get("/favicon.ico"); icon.body != drawing || strings.Contains(icon.header.Get("Cache-Control"), "immutable") {
		t.Errorf("the icon: %v", icon.header)
	}
	// If no name is set, pages show the server's address.
	other := emptyDeployment(t, "").oneAtATime()
	if sc := other.start().person().get("/login"); !strings.Contains(sc.body, "<title>Sign in · "+strings.TrimPrefix(other.issuer, "http://")+"</title>") {
		t.Errorf("%s", sc.body)
	}
}
