package processes

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// person is someone with a browser. The browser keeps cookies, and sends forms as the
// pages have them.
type person struct {
	t      testing.TB
	s      *server
	client *http.Client
}

func (s *server) person() *person {
	s.d.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.d.t.Fatal(err)
	}
	return &person{s.d.t, s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// screen is what a person's browser gets: a page or a redirect.
type screen struct {
	answer
	p    *person
	at   *url.URL
	to   string // the Location of a redirect
	form *url.Values
	post string // where the form goes
}

func (p *person) do(r *http.Request) screen {
	p.t.Helper()
	resp, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	sc := screen{answer: answer{status: resp.StatusCode, header: resp.Header, body: string(b)}, p: p, at: r.URL, to: resp.Header.Get("Location")}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		sc.read()
	}
	return sc
}

// read finds the last form of the page that has fields.
func (sc *screen) read() {
	doc, err := html.Parse(strings.NewReader(sc.body))
	if err != nil {
		sc.p.t.Fatal(err)
	}
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		attr := func(name string) string {
			for _, a := range n.Attr {
				if a.Key == name {
					return a.Val
				}
			}
			return ""
		}
		if n.Type == html.ElementNode {
			switch n.Data {
			case "form":
				sc.form, sc.post = &url.Values{}, attr("action")
			case "input":
				if sc.form != nil && attr("name") != "" {
					sc.form.Add(attr("name"), attr("value"))
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
}

func (p *person) get(target string) screen {
	p.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = p.s.url + target
	}
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(r)
}

// submit sends the form of a page. Fields to fill in are given as names and values in
// turn.
func (sc screen) submit(fields ...string) screen {
	sc.p.t.Helper()
	if sc.form == nil {
		sc.p.t.Fatalf("there is no form: %d %s", sc.status, sc.body)
	}
	form := url.Values{}
	for k, v := range *sc.form {
		form[k] = v
	}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	to, err := sc.at.Parse(sc.post)
	if err != nil {
		sc.p.t.Fatal(err)
	}
	return sc.p.post(to.String(), form)
}

func (p *person) post(target string, form url.Values) screen {
	p.t.Helper()
	return p.postText(target, form.Encode())
}

// postText posts a form body unchanged.
func (p *person) postText(target, form string) screen {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodPost, target, strings.NewReader(form))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return p.do(r)
}

// follow follows redirects within this server, including forms that a page submits by
// itself.
func (sc screen) follow() screen {
	sc.p.t.Helper()
	for sc.to != "" || sc.form != nil && sc.form.Has("ingam_reposted") {
		if sc.to == "" {
			sc = sc.submit()
			continue
		}
		to, err := sc.at.Parse(sc.to)
		if err != nil {
			sc.p.t.Fatal(err)
		}
		if to.Scheme+"://"+to.Host != sc.p.s.url {
			break
		}
		sc = sc.p.get(to.String())
	}
	return sc
}

// response reads the authorization response from the redirect.
func (sc screen) response() url.Values {
	sc.p.t.Helper()
	to, err := url.Parse(sc.to)
	if err != nil || sc.to == "" {
		sc.p.t.Fatalf("not sent anywhere: %d %s", sc.status, sc.body)
	}
	return to.Query()
}

const callback = "https://app.test/cb"

// app is a client that signs people in with the code flow.
type app struct {
	id, secret string
	verifier   string
	// form is set if the secret is sent in the form.
	form bool
}

// webClient registers an app with all grants and scopes that it could need.
func (d *deployment) webClient(id string, extra ...string) app {
	d.t.Helper()
	e := d.command("", nil, "api", "create", "--audience", "https://api.test", "--name", "Test API", "--scope", "read write")
	if e.status != 0 && !strings.Contains(e.stderr, "exists") {
		d.t.Fatal(e.stderr)
	}
	args := []string{
		"client", "create", "--id", id, "--name", "App " + id, "--grant", "authorization_code,refresh_token", "--redirect-uri", callback,
		"--scope", "openid profile email offline_access read write", "--audience", "https://api.test",
	}
	if !strings.Contains(strings.Join(extra, " "), "--auth") {
		args = append(args, "--auth", "none")
	}
	var created clientJSON
	d.mustJSON(&created, append(args, extra...)...)
	return app{id: id, secret: created.ClientSecret, verifier: rand.Text() + rand.Text()}
}

const goodPassword = "correct horse battery staple"

func (d *deployment) user(name string, extra ...string) userJSON {
	d.t.Helper()
	e := d.command(goodPassword+"\n", nil, append([]string{"user", "create", "--username", name, "--email", name + "@test.example", "--password-stdin", "--json"}, extra...)...)
	if e.status != 0 {
		d.t.Fatal(e.stderr)
	}
	var u userJSON
	mustUnmarshal(d.t, e.stdout, &u)
	return u
}

func (a app) challenge() string {
	sum := sha256.Sum256([]byte(a.verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// request returns the address of an authorization request. Changed parameters are given as
// names and values in turn; an empty value removes one.
func (a app) request(changed ...string) string {
	q := url.Values{
		"client_id": {a.id}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid read"},
		"state": {"s"}, "nonce": {"n"}, "code_challenge": {a.challenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(changed); i += 2 {
		if q.Set(changed[i], changed[i+1]); changed[i+1] == "" {
			q.Del(changed[i])
		}
	}
	return "/oauth2/authorize?" + q.Encode()
}

// signIn goes through the pages like a person, and returns the authorization response.
func (p *person) signIn(user, request string) url.Values {
	p.t.Helper()
	sc := p.get(request)
	if strings.Contains(sc.body, `name="password"`) {
		sc = sc.submit("username", user, "password", goodPassword).follow()
	}
	if strings.Contains(sc.body, `name="decision"`) {
		sc = sc.submit("decision", "allow")
	}
	return sc.response()
}

// tokenSet is a successful answer of the token endpoint.
type tokenSet struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
}

func (a app) post(s *server, form url.Values) answer {
	if a.secret == "" || a.form {
		form.Set("client_id", a.id)
		if a.form {
			form.Set("client_secret", a.secret)
		}
		return s.post("/oauth2/token", "", "", form)
	}
	return s.post("/oauth2/token", a.id, a.secret, form)
}

func (a app) redeem(s *server, code string, changed ...string) answer {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {a.verifier}}
	for i := 0; i+1 < len(changed); i += 2 {
		if form.Set(changed[i], changed[i+1]); changed[i+1] == "" {
			form.Del(changed[i])
		}
	}
	return a.post(s, form)
}

func (a app) refresh(s *server, token string, more ...string) answer {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return a.post(s, form)
}

func (a answer) tokens(t testing.TB) tokenSet {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var set tokenSet
	mustUnmarshal(t, a.body, &set)
	return set
}

// tokens signs a person in and redeems the code.
func (a app) tokens(s *server, p *person, user string, changed ...string) tokenSet {
	s.d.t.Helper()
	return a.redeem(s, p.signIn(user, a.request(changed...)).Get("code")).tokens(s.d.t)
}

// leadsToEvil finds an address of evil.test on a page, whether or not it is a link. (It
// does not find one that is escaped inside an address of this server, which is harmless.)
var leadsToEvil = regexp.MustCompile(`//[^"'<> ]*evil\.test`)
