package strangers

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// person is the provider's user with a browser: it keeps cookies and sends them as
// browsers do, follows redirects, and sends forms as pages have them. It runs no script.
type person struct {
	t        testing.TB
	provider *provider
	client   *http.Client
	jar      *cookiejar.Jar
	// sameSite is that of each cookie, by host and name.
	sameSite map[string]http.SameSite
}

func newPerson(t testing.TB, p *provider) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *p.httpClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &person{t, p, &client, jar, map[string]http.SameSite{}}
}

// page is what the person sees in the end.
type page struct {
	p      *person
	at     *url.URL
	status int
	body   string
	forms  []form
}

// form is one of a page, with the values that it has.
type form struct {
	method string
	to     *url.URL
	values url.Values
	// buttons are those of its buttons that send something.
	buttons url.Values
}

// open goes to an address and on, as the person would who wants to sign in: it follows
// redirects, fills in the provider's sign-in page, allows on its consent page, and ends
// at a page of the application.
func (p *person) open(address string) *page {
	p.t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.walk(nil, http.MethodGet, to, nil)
}

// submit sends the page's form whose address contains to, with some fields filled in,
// in pairs, and goes on as open does.
func (pg *page) submit(to string, fields ...string) *page {
	pg.p.t.Helper()
	for _, f := range pg.forms {
		if strings.Contains(f.to.String(), to) {
			return pg.p.send(pg.at, f, fields...)
		}
	}
	pg.p.t.Fatalf("no form of %s goes to %s:\n%s", pg.at, to, pg.text())
	return nil
}

func (p *person) send(from *url.URL, f form, fields ...string) *page {
	p.t.Helper()
	values := url.Values{}
	for name, v := range f.values {
		values[name] = v
	}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	if f.method == http.MethodPost {
		return p.walk(from, http.MethodPost, f.to, values)
	}
	to := *f.to
	to.RawQuery = values.Encode()
	return p.walk(from, http.MethodGet, &to, nil)
}

// walk loads an address and goes on until a page of the application.
func (p *person) walk(from *url.URL, method string, to *url.URL, values url.Values) *page {
	p.t.Helper()
	type request struct {
		from   *url.URL
		method string
		to     *url.URL
		values url.Values
	}
	now := request{from, method, to, values}
	// asked is the last authorization request; an error that is heeded leads back to it.
	var asked request
	const hops = 30
	for range hops {
		if now.to.Path == "/oauth2/authorize" && p.atProvider(now.to) {
			asked = now
		}
		pg, next, keep := p.load(now.from, now.method, now.to, now.values)
		if next != nil {
			if p.atProvider(now.to) && !p.atProvider(next) && p.provider.heed(p.t, next.Query()) {
				now = asked
				continue
			}
			if now.to = next; !keep {
				now.method, now.values = http.MethodGet, nil
			}
			continue
		}
		if !p.atProvider(pg.at) {
			return pg
		}
		if len(pg.forms) == 0 {
			p.t.Fatalf("ended at the provider: %d %s", pg.status, pg.text())
		}
		f := pg.forms[len(pg.forms)-1]
		switch {
		case f.values.Has("password"):
			if now.method == http.MethodPost && pg.at.Path == "/login" {
				p.t.Fatalf("signing in failed: %s", pg.text())
			}
			f.values.Set("username", personUsername)
			f.values.Set("password", personPassword)
		case f.buttons.Has("decision"):
			f.values.Set("decision", "allow")
		case p.atProvider(f.to):
			p.t.Fatalf("ended at the provider: %d %s", pg.status, pg.text())
		case p.provider.heed(p.t, f.values):
			now = asked
			continue
		}
		now = request{pg.at, http.MethodPost, f.to, f.values}
	}
	p.t.Fatalf("sent on %d times, last to %s", hops, now.to)
	return nil
}

// load sends one request. It returns a page, or where to go next and whether with the
// same method and body.
func (p *person) load(from *url.URL, method string, to *url.URL, values url.Values) (_ *page, next *url.URL, keep bool) {
	p.t.Helper()
	if host := to.Hostname(); host != "localhost" && host != "127.0.0.1" {
		p.t.Fatalf("sent away from this machine, to %s", to)
	}
	r, err := http.NewRequest(method, to.String(), strings.NewReader(values.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("User-Agent", "Mozilla/5.0 (stranger)")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	crossSite := false
	switch {
	case from == nil:
		r.Header.Set("Sec-Fetch-Site", "none")
	case from.Host == to.Host && from.Scheme == to.Scheme:
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	case from.Hostname() == to.Hostname():
		r.Header.Set("Sec-Fetch-Site", "same-site")
	default:
		crossSite = true
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", from.Scheme+"://"+from.Host)
	}
	for _, c := range p.jar.Cookies(secure(to)) {
		same := p.sameSite[to.Hostname()+" "+c.Name]
		if crossSite && (same == http.SameSiteStrictMode || same == http.SameSiteLaxMode && method == http.MethodPost) {
			continue
		}
		r.AddCookie(c)
	}
	resp, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.jar.SetCookies(secure(to), resp.Cookies())
	for _, c := range resp.Cookies() {
		p.sameSite[to.Hostname()+" "+c.Name] = c.SameSite
	}
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode/100 == 3 {
		if next, err = to.Parse(location); err != nil {
			p.t.Fatalf("%s sends to %q: %v", to, location, err)
		}
		return nil, next, resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
	}
	pg := &page{p: p, at: to, status: resp.StatusCode, body: string(body)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		pg.read()
	}
	return pg, nil, false
}

// secure is u as the jar should see it: browsers send Secure cookies to loopback
// addresses without TLS too.
func secure(u *url.URL) *url.URL {
	s := *u
	s.Scheme = "https"
	return &s
}

func (p *person) atProvider(u *url.URL) bool {
	return strings.HasPrefix(u.String(), p.provider.issuer+"/")
}

// read finds the page's forms.
func (pg *page) read() {
	pg.p.t.Helper()
	doc, err := html.Parse(strings.NewReader(pg.body))
	if err != nil {
		pg.p.t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "form" {
			to, err := pg.at.Parse(attribute(n, "action"))
			if err != nil {
				pg.p.t.Fatal(err)
			}
			f := form{strings.ToUpper(attribute(n, "method")), to, url.Values{}, url.Values{}}
			pg.forms = append(pg.forms, f)
		}
		name := attribute(n, "name")
		if len(pg.forms) == 0 || name == "" {
			continue
		}
		switch f := pg.forms[len(pg.forms)-1]; n.Data {
		case "input":
			f.values.Add(name, attribute(n, "value"))
		case "button":
			f.buttons.Add(name, attribute(n, "value"))
		}
	}
}

// text is what the page says, without markup.
func (pg *page) text() string {
	doc, err := html.Parse(strings.NewReader(pg.body))
	if err != nil {
		return pg.body
	}
	var words []string
	for n := range doc.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			words = append(words, strings.Fields(n.Data)...)
		}
	}
	return strings.Join(words, " ")
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
