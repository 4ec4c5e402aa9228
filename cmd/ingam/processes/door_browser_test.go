package processes

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// journey is a browser tab, with the addresses that it was sent to.
type journey struct {
	tab
	mu     sync.Mutex
	hops   []string
	failed []string
}

// travel opens a tab of the browser.
func travel(t *testing.T, browser context.Context, name string) *journey {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	j := &journey{tab: tab{t, ctx, name}}
	// The tab lives as long as the context that it is first used with.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(ev any) {
		j.mu.Lock()
		defer j.mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			j.hops = append(j.hops, ev.Request.URL)
		case *network.EventLoadingFailed:
			j.failed = append(j.failed, ev.ErrorText)
		}
	}); err != nil {
		t.Fatal(err)
	}
	j.do("watch", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		return chromedp.Void{}, err
	})
	return j
}

// arrives waits until the tab is sent to an address with this beginning, whether or not
// a server answers there.
func (j *journey) arrives(begin string) {
	j.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		j.mu.Lock()
		for _, at := range j.hops {
			if strings.HasPrefix(at, begin) {
				j.mu.Unlock()
				return
			}
		}
		j.mu.Unlock()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.t.Errorf("%s: never came to %s but by %q, and there failed %q", j.name, begin, j.hops, j.failed)
}

// TestAnApplicationMaySendPeopleOnToAnywhere: browsers apply the form-action of a page's
// Content-Security-Policy to every redirect that follows its form. It must not stop an
// application that redirects people from its redirect URI to another address.
func TestAnApplicationMaySendPeopleOnToAnywhere(t *testing.T) {
	t.Parallel()
	browser := browser(t, "en")
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	landed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	t.Cleanup(landed.Close)
	// With the name localhost it is another host, of another site.
	elsewhere := strings.Replace(landed.URL, "127.0.0.1", "localhost", 1) + "/landed"
	const scheme = "com.example.app://landed"
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/to-another-origin":
			http.Redirect(w, r, elsewhere, http.StatusFound)
		case "/to-an-app":
			http.Redirect(w, r, scheme, http.StatusSeeOther)
		}
	}))
	t.Cleanup(app.Close)
	d := newDeployment(t).oneAtATime()
	s := d.start()
	destinations := map[string]struct{ registered, end string }{
		"to another origin": {app.URL + "/to-another-origin", elsewhere},
		"to an app":         {app.URL + "/to-an-app", scheme},
		// A Content-Security-Policy cannot contain an IPv6 address at all.
		"at an address of IPv6": {"http://[::1]:9/cb", "http://[::1]:9/cb?"},
		"at an app":             {"com.example.app:/cb", "com.example.app:/cb?"},
	}
	var args []string
	for _, to := range destinations {
		args = append(args, "--redirect-uri", to.registered, "--post-logout-redirect-uri", to.registered)
	}
	a := d.webClient("app", args...)
	d.user("minji")
	// The destinations are visited one after the other, because they share the session.
	for what, to := range destinations {
		travel := func(how string) *journey { return travel(t, browser, how+" "+what) }
		request := func(more ...string) chromedp.Action[chromedp.Void] {
			return chromedp.Navigate(s.url + a.request(append([]string{"redirect_uri", to.registered}, more...)...))
		}
		signIn := chromedp.SendKeys("#password", goodPassword+"\r")
		asMinji := []string{"prompt", "login", "login_hint", "minji"}

		j := travel("consent")
		j.do("sign in", request("prompt", "login consent", "login_hint", "minji"), signIn, chromedp.WaitVisible(`button[value="allow"]`), chromedp.Click(`button[value="allow"]`))
		j.arrives(to.end)
		j = travel("refusal")
		j.do("refuse", request("prompt", "consent"), chromedp.WaitVisible(`button[value="deny"]`), chromedp.Click(`button[value="deny"]`))
		j.arrives(to.end)
		j = travel("sign-in")
		j.do("sign in", request(asMinji...), signIn)
		j.arrives(to.end)
		if strings.HasPrefix(to.registered, "http") {
			j = travel("form_post")
			j.do("be there", request("response_mode", "form_post"))
			j.arrives(strings.TrimSuffix(to.end, "?"))
			j = travel("sign-in with form_post")
			j.do("sign in", request(append(asMinji, "response_mode", "form_post")...), signIn)
			j.arrives(strings.TrimSuffix(to.end, "?"))
		}
		j = travel("sign-out")
		j.do("sign out", chromedp.Navigate(s.url+"/logout?"+url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {to.registered}, "state": {"s"}}.Encode()),
			chromedp.WaitVisible(`button[value="out"]`), chromedp.Click(`button[value="out"]`))
		j.arrives(to.end)
	}
}

// TestAFormOfAnotherSiteInABrowser uses a real browser, because the browser decides
// whether to send the cookie.
func TestAFormOfAnotherSiteInABrowser(t *testing.T) {
	t.Parallel()
	browser := browser(t, "en")
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	var s *server
	// The app has a page with a form for the server, which a script sends; and a page
	// that has this page in a frame.
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/cb":
			r.ParseForm()
			fmt.Fprintf(w, `<p id="arrived">%s%s</p><script>parent.document.title = %q</script>`, html.EscapeString(r.Form.Get("error")), strings.Repeat("code", len(r.Form["code"])), r.Form.Get("error")+strings.Repeat("code", len(r.Form["code"])))
		case "/form":
			fmt.Fprintf(w, `<form method="post" action="%s/oauth2/authorize">`, s.url)
			for name, values := range r.URL.Query() {
				for _, value := range values {
					fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, html.EscapeString(name), html.EscapeString(value))
				}
			}
			// If the form has a field with the name submit, forms[0].submit is that
			// field.
			fmt.Fprint(w, `</form><script>HTMLFormElement.prototype.submit.call(document.forms[0])</script>`)
		case "/frame":
			fmt.Fprintf(w, `<iframe src="/form?%s"></iframe>`, html.EscapeString(r.URL.RawQuery))
		}
	})
	app := httptest.NewServer(page)
	t.Cleanup(app.Close)
	d := newDeployment(t).oneAtATime()
	s = d.start()
	sameSite := app.URL // the host of the server; with the name localhost it is another site
	foreign := strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
	a := d.webClient("app", "--redirect-uri", sameSite+"/cb", "--redirect-uri", foreign+"/cb")
	d.user("minji")
	j := travel(t, browser, "sign-in")
	j.do("sign in", chromedp.Navigate(s.url+a.request("redirect_uri", foreign+"/cb", "login_hint", "minji")), chromedp.SendKeys("#password", goodPassword+"\r"),
		chromedp.WaitVisible(`button[value="allow"]`), chromedp.Click(`button[value="allow"]`))
	j.shows("arrived", "code")
	long := strings.Repeat("x", 9000)
	for what, c := range map[string]struct {
		at, path string
		more     []string
		want     string
	}{
		"of another site":                                    {foreign, "/form", nil, "code"},
		"of another site, silently":                          {foreign, "/form", []string{"prompt", "none"}, "code"},
		"of another site, too long":                          {foreign, "/form", []string{"login_hint", long}, "code"},
		"of another site, too long, silently":                {foreign, "/form", []string{"prompt", "none", "login_hint", long}, "code"},
		"of another site, too long, whose button has a name": {foreign, "/form", []string{"login_hint", long, "submit", "Sign in"}, "code"},
		"of the same site":                                   {sameSite, "/form", nil, "code"},
		"of the same site in a frame":                        {sameSite, "/frame", []string{"prompt", "none"}, "code"},
		"of another site by form_post":                       {foreign, "/form", []string{"response_mode", "form_post", "prompt", "none"}, "code"},
		"of the same site in a frame, too long":              {sameSite, "/frame", []string{"prompt", "none", "login_hint", long}, "code"},
		// In a frame of another site, browsers do not send the cookie.
		"of another site in a frame":           {foreign, "/frame", []string{"prompt", "none"}, "login_required"},
		"of another site in a frame, too long": {foreign, "/frame", []string{"prompt", "none", "login_hint", long}, "login_required"},
	} {
		j := travel(t, browser, what)
		query := strings.SplitN(a.request(append([]string{"redirect_uri", c.at + "/cb"}, c.more...)...), "?", 2)[1]
		j.do("post", chromedp.Navigate(c.at+c.path+"?"+query))
		if c.path == "/form" {
			j.shows("arrived", c.want)
			continue
		}
		var title string
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline) && title != c.want; time.Sleep(20 * time.Millisecond) {
			title = evaluate[string](j.tab, "document.title")
		}
		if title != c.want {
			t.Errorf("%s: %q, not %q, by %q, and there failed %q", what, title, c.want, j.hops, j.failed)
		}
	}
}
