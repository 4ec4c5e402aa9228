package main

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser starts a headless Chromium that prefers a language.
func browser(t *testing.T, language string) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("Chromium is not installed: install Debian's chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("accept-lang", language), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	allocated, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func media(dark bool) chromedp.Action[chromedp.Void] {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return chromedp.Void{}, err
	}
}

// pictures leaves pictures of the page that is shown, at the width of a desktop
// and of a phone, light and dark.
func pictures(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	for _, device := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 800}, {"phone", 390, 844}} {
		for _, dark := range []bool{false, true} {
			scheme := map[bool]string{false: "light", true: "dark"}[dark]
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(device.width, device.height), media(dark)); err != nil {
				t.Fatal(err)
			}
			// Whoever holds a phone must not have to scroll sideways.
			wide, err := chromedp.Run(ctx, chromedp.EvaluateAsDevTools[bool](`document.documentElement.scrollWidth > document.documentElement.clientWidth`))
			if err != nil || wide {
				t.Errorf("%s is wider than a %s: %v", name, device.name, err)
			}
			picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(t.ArtifactDir(), fmt.Sprintf("%s-%s-%s.png", name, device.name, scheme)), picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800), media(false)); err != nil {
		t.Fatal(err)
	}
}

// axe has axe-core look at the page that is shown, light and dark: whatever it finds
// stands in the way of somebody who sees, hears or points differently. It gets into
// the page as from the developer tools, which the page's CSP does not concern.
func axe(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	source, err := os.ReadFile("testdata/node/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Run("axe on "+name, func(t *testing.T) {
			t.Skip("npm's axe-core is not installed: run npm ci in cmd/ingam/testdata/node")
		})
		return
	}
	for _, dark := range []bool{false, true} {
		scheme := map[bool]string{false: "light", true: "dark"}[dark]
		if err := chromedp.Do(ctx, media(dark)); err != nil {
			t.Fatal(err)
		}
		there, err := chromedp.Run(ctx, chromedp.EvaluateAsDevTools[bool](`'axe' in window`))
		if err == nil && !there {
			_, err = chromedp.Run(ctx, chromedp.EvaluateAsDevTools[bool](string(source)+";true"))
		}
		if err != nil {
			t.Fatal(err)
		}
		found, err := chromedp.Run(ctx, chromedp.EvaluateAsDevTools[[]string](`axe.run(document, {
			resultTypes: ['violations'],
			runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
			rules: {'target-size': {enabled: true}}, // which it leaves out unless asked
		}).then(({violations}) => violations.flatMap(v => v.nodes.map(n => v.id + ': ' + n.target.join(' ') + ': ' + n.failureSummary)))`,
			chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Errorf("%s, %s: %s", name, scheme, f)
		}
	}
	if err := chromedp.Do(ctx, media(false)); err != nil {
		t.Fatal(err)
	}
}

func TestAPersonInABrowser(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"en", "ko"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			ctx := browser(t, language)
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
			d := newDeployment(t, "")
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

			do("see the sign-in page", chromedp.Navigate(request()), chromedp.WaitVisible("#password"))
			pictures(t, ctx, "sign-in-"+language)
			do("mistype", chromedp.SendKeys("#username", "minji"), chromedp.SendKeys("#password", "wrong\r"), chromedp.WaitVisible("#problem"))
			pictures(t, ctx, "sign-in-wrong-"+language)
			// With nothing but the keyboard: the name is there, the focus on the
			// password.
			do("sign in", chromedp.SendKeys("#password", goodPassword+"\r"), chromedp.WaitVisible(`button[value="deny"]`))
			pictures(t, ctx, "consent-"+language)
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
			pictures(t, ctx, "account-"+language)
			do("see an error", chromedp.Navigate(s.url+"/oauth2/authorize?client_id=nobody"), chromedp.WaitVisible("p > code"))
			pictures(t, ctx, "error-"+language)
			do("be asked to sign out", chromedp.Navigate(s.url+"/logout"), chromedp.WaitVisible(`button[value="out"]`))
			pictures(t, ctx, "sign-out-"+language)
			do("sign out", chromedp.Click(`button[value="out"]`), chromedp.WaitNotPresent("form > button, .row > button"))
			pictures(t, ctx, "signed-out-"+language)
			do("be signed out", chromedp.Navigate(s.url+"/account"), chromedp.WaitVisible("#password"))
			do("sign in for the account", chromedp.SendKeys("#username", "minji"), chromedp.SendKeys("#password", goodPassword+"\r"), chromedp.WaitVisible("#new"))
			do("be signed out by the app", chromedp.Navigate(s.url+"/logout?"+url.Values{"id_token_hint": {set.ID}, "post_logout_redirect_uri": {elsewhere.URL + "/bye"}}.Encode()))
			// The hint is of a session that has ended: the page asks.
			do("confirm", chromedp.WaitVisible(`button[value="out"]`), chromedp.Click(`button[value="out"]`), chromedp.WaitVisible("#arrived"))
			if at, err := chromedp.Run(ctx, chromedp.Location()); err != nil || !strings.HasPrefix(at, elsewhere.URL+"/bye") {
				t.Errorf("at %s: %v", at, err)
			}
			// The hint of the session that is there needs no question, and may come
			// in a form.
			do("sign in once more", chromedp.Navigate(request("prompt", "consent")), chromedp.SendKeys("#username", "minji"), chromedp.SendKeys("#password", goodPassword+"\r"),
				chromedp.WaitVisible(`button[value="allow"]`), chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible("#arrived"))
			set = a.redeem(s, answered().Get("code"), "redirect_uri", elsewhere.URL+"/cb").tokens(t)
			do("be signed out by a form of the app's", chromedp.Navigate(elsewhere.URL+"/leave?"+url.Values{
				"to": {s.url + "/logout"}, "id_token_hint": {set.ID}, "post_logout_redirect_uri": {elsewhere.URL + "/bye"},
			}.Encode()), chromedp.Click("#leave"), chromedp.WaitVisible("#arrived"))
			do("be signed out there", chromedp.Navigate(s.url+"/account"), chromedp.WaitVisible("#password"))
		})
	}
}
