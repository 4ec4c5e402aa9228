package processes

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// turns runs the steps and waits for the page to which they lead.
func (b tab) turns(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	evaluate[any](b, `document.documentElement.dataset.left = '', null`)
	b.do(what, steps...)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		// This fails while the browser changes from one page to the other.
		if there, err := chromedp.Run(b.ctx, chromedp.EvaluateAsDevTools[bool](`!('left' in document.documentElement.dataset) && document.readyState == 'complete'`)); err == nil && there {
			return
		}
	}
	b.t.Fatalf("%s: %s leads nowhere:\n%s", b.name, what, b.text())
}

func (b tab) text() string {
	b.t.Helper()
	return evaluate[string](b, "document.body.innerText")
}

func (b tab) says(text string) {
	b.t.Helper()
	if said := b.text(); !strings.Contains(said, text) {
		b.t.Errorf("%s: the page does not say %q:\n%s", b.name, text, said)
	}
}

// stop describes the element that has the focus: its name, whether its focus is visible,
// and whether it comes after the previous element.
type stop struct {
	Name            string
	Seen, InOrder   bool
	Outline, Inside string
}

const whereFocusIs = `(() => {
	const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect()
	const before = window.focusWas
	window.focusWas = at
	return {
		Name: at.id || at.ariaLabel || at.innerText.trim(),
		Seen: document.hasFocus() && style.outlineStyle == 'solid' && parseFloat(style.outlineWidth) >= 3 && box.bottom > 0 && box.top < innerHeight && at.checkVisibility(),
		InOrder: !before || !before.isConnected || !!(before.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING),
		Outline: style.outline, Inside: location.pathname,
	}
})()`

// at checks that an element has the focus, visibly.
func (b tab) at(name string) {
	b.t.Helper()
	if got := evaluate[stop](b, whereFocusIs); got.Name != name || !got.Seen || !got.InOrder {
		b.t.Fatalf("%s: the focus is not, or not seen, at %q: %+v", b.name, name, got)
	}
}

// tabs presses Tab and checks that the focus moves to these elements in order.
func (b tab) tabs(names ...string) {
	b.t.Helper()
	for _, name := range names {
		b.types("\t")
		b.at(name)
	}
}

// TestThePagesWorkForEveryone: also for people who have only a keyboard, and for people
// who run no scripts.
func TestThePagesWorkForEveryone(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<p>You are back, with %s%d codes", r.Form.Get("error"), len(r.Form["code"]))
	}))
	t.Cleanup(app.Close)
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_PAGES_NAME=Acme", "INGAM_PAGES_HELP_URL=https://acme.test/help")
	a := d.webClient("app", "--redirect-uri", app.URL+"/cb")
	request := func(more ...string) chromedp.Action[chromedp.Void] {
		return chromedp.Navigate(s.url + a.request(append([]string{"redirect_uri", app.URL + "/cb", "scope", "openid profile read"}, more...)...))
	}
	chromium := browser(t, "en")
	if err := chromedp.Do(chromium); err != nil {
		t.Fatal(err)
	}
	// Each subtest has its own user, who is also signed in at two other places.
	someone := func(t *testing.T, name string) tab {
		t.Helper()
		d.user(name)
		for _, agent := range []string{"Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0", "Mozilla/5.0 (iPhone) Safari/605.1"} {
			p := s.person()
			p.client.Transport = sentAs{agent}
			if sc := p.get("/login").submit("username", name, "password", goodPassword); sc.status != http.StatusSeeOther {
				t.Fatalf("%d %s", sc.status, sc.body)
			}
		}
		ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
		t.Cleanup(cancel)
		b := tab{t, ctx, name}
		if err := chromedp.Do(ctx); err != nil {
			t.Fatal(err)
		}
		b.do("come to the front", onADesktop, inFront)
		return b
	}
	const newPassword = "a wholly new password"

	t.Run("with the keyboard alone", func(t *testing.T) {
		b := someone(t, "minji")
		b.do("open the sign-in page", request())
		b.at("username")
		b.types("minji")
		b.tabs("password")
		b.types("wrong")
		b.tabs("Show")
		shown := func(want string) {
			t.Helper()
			if got := evaluate[string](b, `[password.type, password.value, document.activeElement.innerText].join(' ')`); got != want {
				t.Errorf("the password is %q, not %q", got, want)
			}
		}
		shown("password wrong Show")
		b.types(" ")
		shown("text wrong Hide")
		b.types("\r")
		shown("password wrong Show")
		b.tabs("Sign in", "한국어", "Help")
		b.do("go back", chromedp.KeyEvent("\t\t", chromedp.KeyModifiers(chromedp.ModifierShift)))
		evaluate[any](b, "delete window.focusWas")
		b.at("Sign in")
		b.turns("sign in with a wrong password", chromedp.KeyEvent(" "))
		b.says("do not belong together")
		// The page has kept the name. The focus is on the password, which must be typed
		// once more, and its description says what was wrong.
		b.at("password")
		if about := evaluate[string](b, `document.getElementById(password.getAttribute('aria-describedby')).innerText`); !strings.Contains(about, "do not belong together") {
			t.Errorf("the password is described by %q", about)
		}
		b.turns("sign in", chromedp.KeyEvent(goodPassword+"\r"))
		b.says("wants to use your account")
		b.tabs("Use another account", "Deny", "Allow", "your account", "한국어", "Help")
		b.do("consent anew", request("prompt", "consent"))
		b.tabs("Use another account", "Deny")
		b.turns("deny", chromedp.KeyEvent("\r"))
		b.says("with access_denied0 codes")
		b.do("consent anew", request())
		b.tabs("Use another account", "Deny", "Allow")
		b.turns("allow", chromedp.KeyEvent("\r"))
		b.says("with 1 codes")

		b.do("see the account", chromedp.Navigate(s.url+"/account"))
		b.tabs("Sign out", "Sign out everywhere else")
		// The other two sessions may have been used at the same moment, so either may
		// come first.
		b.types("\t")
		last := evaluate[stop](b, whereFocusIs).Name
		if !strings.HasPrefix(last, "Sign out: ") {
			t.Errorf("the focus is at %q", last)
		}
		b.turns("end a session", chromedp.KeyEvent(" "))
		b.says("That place is signed out.")
		b.tabs("Sign out", "Sign out everywhere else")
		b.turns("end the others", chromedp.KeyEvent("\r"))
		b.says("Other places that are signed out now: 1.")
		b.tabs("Sign out", "Remove access: App app", "current")
		b.types("wrong")
		b.tabs("Show", "new")
		b.types(newPassword)
		b.tabs("Show", "Change password")
		b.turns("change the password", chromedp.KeyEvent(" "))
		b.says("This is not your current password.")
		b.tabs("Sign out", "Remove access: App app", "current")
		b.types(goodPassword)
		b.tabs("Show", "new")
		b.turns("change the password", chromedp.KeyEvent(newPassword+"\r"))
		b.says("The password is changed.")
		b.tabs("Sign out", "Remove access: App app")
		b.turns("disconnect the app", chromedp.KeyEvent("\r"))
		b.says("The application has no access any more.")

		b.do("be asked to sign out", chromedp.Navigate(s.url+"/logout"))
		b.tabs("Stay signed in", "Sign out")
		b.turns("sign out", chromedp.KeyEvent("\r"))
		b.says("You are signed out")
		b.tabs("Sign in again")
		b.turns("sign in again", chromedp.KeyEvent("\r"))
		b.at("username")
		b.do("lose the way", chromedp.Navigate(s.url+"/nothing"))
		b.tabs("Open your account", "Acme", "한국어", "Help")
	})

	t.Run("without script", func(t *testing.T) {
		b := someone(t, "jun")
		b.do("run no scripts", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			return chromedp.Void{}, err
		})
		// plain finds elements of the present page that do nothing without scripts.
		plain := func() {
			t.Helper()
			for _, idle := range evaluate[[]string](b, `[...document.querySelectorAll('a, button, summary, [onclick], [tabindex], noscript, dialog')].filter(e => e.checkVisibility() &&
				!(e.matches('a[href]:not([href^="#"]):not([href^="javascript:"])') || e.matches('form[method=post] button[type=submit]'))).map(e => e.outerHTML)`) {
				t.Errorf("%s does nothing without script", idle)
			}
		}
		turns := func(what, selector string) {
			t.Helper()
			plain()
			b.turns(what, chromedp.Click(selector))
			plain()
		}
		b.do("open the sign-in page", request(), chromedp.SendKeys("#username", "jun"), chromedp.SendKeys("#password", "wrong"))
		turns("sign in with a wrong password", "button.main")
		b.says("do not belong together")
		b.do("type", chromedp.SendKeys("#password", goodPassword))
		turns("sign in", "button.main")
		b.says("wants to use your account")
		turns("change the language", "footer a[hreflang]")
		b.says("앱이 내 계정을 사용하려고 합니다")
		turns("change it back", "footer a[hreflang]")
		turns("deny", `button[value="deny"]`)
		b.says("with access_denied0 codes")
		b.do("consent anew", request())
		turns("allow", `button[value="allow"]`)
		b.says("with 1 codes")
		// Without scripts, the form with the answer waits until the person sends it.
		b.do("be answered by a form", request("response_mode", "form_post", "state", "s"))
		b.says("One moment")
		turns("go on", "button.main")
		b.says("with 1 codes")

		b.do("see the account", chromedp.Navigate(s.url+"/account"))
		plain()
		b.says(" UTC") // without a script, the time zone of the person is unknown
		turns("end a session", `button[aria-label^="Sign out: "]`)
		b.says("That place is signed out.")
		turns("end the others", `button[name="others"]`)
		b.says("Other places that are signed out now: 1.")
		b.do("type", chromedp.SendKeys("#current", "wrong"), chromedp.SendKeys("#new", newPassword))
		turns("change the password", `form[action$="/password"] button.main`)
		b.says("This is not your current password.")
		b.do("type", chromedp.SendKeys("#current", goodPassword), chromedp.SendKeys("#new", newPassword))
		turns("change the password", `form[action$="/password"] button.main`)
		b.says("The password is changed.")
		turns("disconnect the app", `button[aria-label^="Remove access"]`)
		b.says("The application has no access any more.")
		b.do("be asked to sign out", chromedp.Navigate(s.url+"/logout"))
		turns("stay", `button[value="stay"]`)
		b.says("Where you are signed in")
		turns("sign out", `button[value="out"]`)
		b.says("You are signed out")
		turns("sign in again", "main a.button")
		b.do("sign in with the new password", chromedp.SendKeys("#username", "jun"), chromedp.SendKeys("#password", newPassword))
		turns("sign in", "button.main")
		b.says("Where you are signed in")
	})
}
