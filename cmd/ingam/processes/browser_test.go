package processes

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser starts a headless Chromium that prefers a language.
func browser(t *testing.T, language string, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("Chromium is not installed: install Debian's chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("accept-lang", language), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	allocated, cancel := chromedp.NewExecAllocator(t.Context(), append(options, more...)...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestAPersonInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t, "ko")
	// The app is of another origin, to which the redirect after consent leads.
	arrived := make(chan url.Values, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		if r.URL.Path == "/cb" {
			arrived <- r.Form
		}
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/leave" {
			fmt.Fprintf(w, `<form method="post" action="%s">`, html.EscapeString(r.FormValue("to")))
			for name := range r.Form {
				fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, html.EscapeString(name), html.EscapeString(r.FormValue(name)))
			}
			fmt.Fprint(w, `<button id="leave">Sign out</button></form>`)
			return
		}
		fmt.Fprint(w, `<p id="arrived">You are back at the app.</p>`)
	}))
	t.Cleanup(elsewhere.Close)
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app", "--redirect-uri", elsewhere.URL+"/cb", "--post-logout-redirect-uri", elsewhere.URL+"/bye")
	d.user("minji", "--claims", `{"name": "김민지"}`)
	answered := func() url.Values {
		t.Helper()
		select {
		case form := <-arrived:
			return form
		case <-ctx.Done():
			t.Fatal("nobody arrived at the app")
			return nil
		}
	}
	do := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			at, _ := chromedp.Run(ctx, chromedp.Location())
			t.Fatalf("%s: %v at %s", what, err, at)
		}
	}
	request := func(more ...string) string {
		return s.url + a.request(append([]string{"redirect_uri", elsewhere.URL + "/cb", "scope", "openid profile email offline_access read"}, more...)...)
	}

	do("see the sign-in page", chromedp.Navigate(request()), chromedp.WaitVisible(`:lang(ko) #password`))
	do("mistype", chromedp.SendKeys("#username", "minji"), chromedp.SendKeys("#password", "wrong\r"), chromedp.WaitVisible("#problem"))
	// Only the keyboard is used: the page has kept the name, and the focus is on the
	// password.
	do("sign in", chromedp.SendKeys("#password", goodPassword+"\r"), chromedp.WaitVisible(`button[value="deny"]`))
	do("deny", chromedp.Click(`button[value="deny"]`), chromedp.WaitVisible("#arrived"))
	if form := answered(); form.Get("error") != "access_denied" {
		t.Errorf("%v", form)
	}
	do("allow", chromedp.Navigate(request()), chromedp.WaitVisible(`button[value="allow"]`), chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible("#arrived"))
	form := answered()
	set := a.redeem(s, form.Get("code"), "redirect_uri", elsewhere.URL+"/cb").tokens(t)
	do("be passed on by form_post", chromedp.Navigate(request("response_mode", "form_post")), chromedp.WaitVisible("#arrived"))
	if form := answered(); form.Get("code") == "" || form.Get("iss") != d.issuer {
		t.Errorf("form_post: %v", form)
	}
	do("see the account", chromedp.Navigate(s.url+"/account"), chromedp.WaitVisible("#new"))
	do("see an error", chromedp.Navigate(s.url+"/oauth2/authorize?client_id=nobody"), chromedp.WaitVisible("p > code"))
	do("be asked to sign out", chromedp.Navigate(s.url+"/logout"), chromedp.WaitVisible(`button[value="out"]`))
	do("sign out", chromedp.Click(`button[value="out"]`), chromedp.WaitNotPresent("form > button, .row > button"))
	do("be signed out", chromedp.Navigate(s.url+"/account"), chromedp.WaitVisible("#password"))
	do("sign in for the account", chromedp.SendKeys("#username", "minji"), chromedp.SendKeys("#password", goodPassword+"\r"), chromedp.WaitVisible("#new"))
	do("be signed out by the app", chromedp.Navigate(s.url+"/logout?"+url.Values{"id_token_hint": {set.ID}, "post_logout_redirect_uri": {elsewhere.URL + "/bye"}}.Encode()))
	// The hint is for a session that has ended, so the page asks.
	do("confirm", chromedp.WaitVisible(`button[value="out"]`), chromedp.Click(`button[value="out"]`), chromedp.WaitVisible("#arrived"))
	if at, err := chromedp.Run(ctx, chromedp.Location()); err != nil || !strings.HasPrefix(at, elsewhere.URL+"/bye") {
		t.Errorf("at %s: %v", at, err)
	}
	// With a hint for the current session the page does not ask. The hint may come in a
	// form.
	do("sign in once more", chromedp.Navigate(request("prompt", "consent")), chromedp.SendKeys("#username", "minji"), chromedp.SendKeys("#password", goodPassword+"\r"),
		chromedp.WaitVisible(`button[value="allow"]`), chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible("#arrived"))
	set = a.redeem(s, answered().Get("code"), "redirect_uri", elsewhere.URL+"/cb").tokens(t)
	do("be signed out by a form of the app's", chromedp.Navigate(elsewhere.URL+"/leave?"+url.Values{
		"to": {s.url + "/logout"}, "id_token_hint": {set.ID}, "post_logout_redirect_uri": {elsewhere.URL + "/bye"},
	}.Encode()), chromedp.Click("#leave"), chromedp.WaitVisible("#arrived"))
	do("be signed out there", chromedp.Navigate(s.url+"/account"), chromedp.WaitVisible("#password"))
}
