package processes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ingam/ingam/verify"
)

// demoAPI is ingam-demo-api, running.
type demoAPI struct {
	url string
	log *logBuffer
}

// demoAPIs starts one demo API for each set of arguments.
func (d *deployment) demoAPIs(sets ...[]string) []demoAPI {
	d.t.Helper()
	binary := filepath.Join(d.t.TempDir(), "ingam-demo-api")
	if out, err := exec.Command("go", "build", "-C", "../../ingam-demo-api", "-o", binary, ".").CombinedOutput(); err != nil {
		d.t.Fatalf("go build: %v\n%s", err, out)
	}
	var apis []demoAPI
	for _, args := range sets {
		address := freeAddress(d.t)
		api := demoAPI{"http://" + address, &logBuffer{}}
		cmd := exec.Command(binary, append([]string{"-listen", address, "-issuer", d.issuer, "-audience", "https://api.test"}, args...)...)
		cmd.Env, cmd.Stderr = []string{"PATH=" + os.Getenv("PATH")}, api.log
		if err := cmd.Start(); err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if d.t.Failed() {
				d.t.Logf("the log of %v:\n%s", args, api.log.tail(4<<10))
			}
		})
		eventually(d.t, "the API is ready", 30*time.Second, func() bool {
			resp, err := http.Get(api.url + "/health")
			if err == nil {
				resp.Body.Close()
			}
			return err == nil && resp.StatusCode == http.StatusOK
		})
		apis = append(apis, api)
	}
	return apis
}

// tab is a browser tab, and its name for failure messages.
type tab struct {
	t    *testing.T
	ctx  context.Context
	name string
}

func (b tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %s: %v\n%s", b.name, what, err, evaluate[string](b, "document.body.innerText"))
	}
}

func evaluate[T any](b tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.EvaluateAsDevTools[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %s: %v", b.name, expression, err)
	}
	return value
}

// shows waits for a text in a visible element.
func (b tab) shows(id, text string) {
	b.t.Helper()
	var seen string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		// innerText leaves out hidden elements inside the element, but not the text of
		// the element itself if it is hidden.
		seen = evaluate[string](b, fmt.Sprintf("document.getElementById(%q)?.checkVisibility() ? document.getElementById(%q).innerText : ''", id, id))
		if strings.Contains(seen, text) {
			return
		}
	}
	b.t.Fatalf("%s: #%s is %q, want %q, in\n%s", b.name, id, seen, text, evaluate[string](b, "document.body.innerText"))
}

// free waits until a button can be pressed.
func (b tab) free(id string) {
	b.t.Helper()
	b.do("wait for "+id, chromedp.WaitVisible("#"+id+`:not([aria-disabled="true"])`))
}

func (b tab) click(id string) {
	b.t.Helper()
	b.free(id)
	b.do("click "+id, chromedp.Click("#"+id))
}

// calls makes the tab call the API, and checks that it answers.
func (b tab) calls() {
	b.t.Helper()
	evaluate[any](b, "document.getElementById('answer').textContent = '', null")
	b.click("call")
	b.shows("answer", `200 {`)
	b.shows("answer", `"client_id": "web"`)
}

func (b tab) signIn(password string) {
	b.t.Helper()
	b.free("enter")
	evaluate[any](b, "document.getElementById('sign-in').reset(), null")
	b.do("sign in", chromedp.SendKeys("#username", "minji"), chromedp.SendKeys("#password", password+"\r"))
}

// types presses keys, wherever the focus is.
func (b tab) types(keys string) {
	b.t.Helper()
	b.do(fmt.Sprintf("type %q", keys), chromedp.KeyEvent(keys))
}

// focused checks the id of the element that has the focus.
func (b tab) focused(want string) {
	b.t.Helper()
	if at := evaluate[string](b, "document.activeElement.id"); at != want {
		b.t.Errorf("%s: the focus is on %q, want %q", b.name, at, want)
	}
}

// refreshed returns when the tab's last refresh began and ended, by the machine's
// clock.
func (b tab) refreshed() (begin, end float64) {
	at := evaluate[[]float64](b, `(() => {
		const e = performance.getEntriesByType('resource').filter(e => e.name.endsWith('/token/refresh')).at(-1)
		return [performance.timeOrigin + e.startTime, performance.timeOrigin + e.responseEnd]
	})()`)
	return at[0], at[1]
}

// example serves the example's file.
func example(t *testing.T) *httptest.Server {
	t.Helper()
	file, err := os.ReadFile("../../../docs/first-party-example.html")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(file)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestTheFirstPartyExampleInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t, "en")
	// The browser lives as long as the context that it is first used with.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	app := example(t)
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.signInApp("web", "--origin", app.URL, "--scope", "openid profile read write")
	d.user("minji", "--claims", `{"name": "김민지"}`)
	secret := filepath.Join(d.dir, "api.secret")
	if err := os.WriteFile(secret, []byte(d.client("api")), 0o600); err != nil {
		t.Fatal(err)
	}
	apis := d.demoAPIs(
		[]string{"-status", "stream", "-client-id", "api", "-client-secret-file", secret, "-max-staleness", "1m", "-cors-origin", app.URL},
		[]string{"-status", "none", "-cors-origin", app.URL},
	)
	streaming, careless := apis[0], apis[1]
	connected := func() {
		t.Helper()
		eventually(t, "the API listens", 30*time.Second, func() bool {
			resp, err := http.Get(streaming.url + "/state")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return strings.Contains(string(body), `"stream_connected":true`)
		})
	}
	connected()
	open := func(name string, ctx context.Context, api demoAPI) tab {
		t.Helper()
		b := tab{t, ctx, name}
		b.do("open the example", chromedp.Navigate(app.URL+"/?"+url.Values{"issuer": {d.issuer}, "api": {api.url}, "client_id": {"web"}}.Encode()))
		return b
	}
	another := func() context.Context {
		t.Helper()
		ctx, cancel := chromedp.NewContext(ctx)
		t.Cleanup(cancel)
		if err := chromedp.Do(ctx); err != nil { // this opens the tab for the whole test
			t.Fatal(err)
		}
		return ctx
	}

	// This is a slow server: it accepts connections, and never answers.
	slow, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slow.Close() })
	one := tab{t, ctx, "tab one"}
	one.do("open the example", chromedp.Navigate(app.URL+"/?issuer=http://"+slow.Addr().String()))
	one.shows("waiting", "Asking whether you are signed in.")
	one.looks("first-party-asking")
	one = open("tab one", ctx, streaming)
	one.shows("title", "Sign in")
	one.focused("username")
	one.looks("first-party-sign-in")
	one.signIn("wrong")
	one.shows("error", "The user name or the password is wrong.")
	one.looks("first-party-wrong")
	// Only the keyboard is used. The focus is on the password again.
	one.focused("password")
	one.types(goodPassword + "\t")
	one.focused("reveal")
	one.types(" ")
	if shown := evaluate[string](one, "[password.type, reveal.textContent, reveal.ariaLabel].join()"); shown != "text,Hide,Hide password" {
		t.Errorf("the password is shown as %q", shown)
	}
	one.looks("first-party-shown")
	one.types("\t")
	one.focused("enter")
	one.types("\r")
	one.shows("title", "Signed in as 김민지")
	one.focused("title")
	if kept := evaluate[string](one, "password.type + password.value"); kept != "password" {
		t.Errorf("the form keeps %q", kept)
	}
	one.looks("first-party-signed-in")
	one.types("\t\r")
	one.shows("answer", `"client_id": "web"`)
	one.focused("call")
	one.looks("first-party-answered")
	// A malicious script in the page would find no token to steal.
	if kept := evaluate[string](one, "document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.documentElement.outerHTML"); strings.Contains(kept, "eyJ") || !strings.HasPrefix(kept, "{}{}") {
		t.Errorf("the page keeps %s", kept)
	}

	// The other tabs are signed in by the cookie alone.
	two, third := open("tab two", another(), streaming), open("tab three", another(), demoAPI{url: "http://" + freeAddress(t)})
	third.shows("title", "Signed in as 김민지")
	third.focused("title") // so that screen readers say it
	third.click("call")
	third.shows("error", "The API cannot be reached.")
	third.focused("call")
	third.looks("first-party-no-api")
	third = open("tab three", third.ctx, careless)
	for _, b := range []tab{two, third} {
		b.shows("title", "Signed in as 김민지")
		b.calls()
	}
	tabs := []tab{one, two}
	overlaps := 0
	for range 8 {
		// Both tabs are told to refresh at the same instant.
		before := make([]string, len(tabs))
		for i, b := range tabs {
			before[i] = evaluate[string](b, "document.getElementById('fetched').textContent")
		}
		at := time.Now().Add(300 * time.Millisecond).UnixMilli()
		for _, b := range tabs {
			evaluate[any](b, fmt.Sprintf("setTimeout(() => document.getElementById('refresh').click(), %d - Date.now()), null", at))
		}
		for i, b := range tabs {
			eventually(t, b.name+" has another token", 30*time.Second, func() bool {
				return evaluate[string](b, "document.getElementById('fetched').textContent") != before[i]
			})
			b.shows("title", "Signed in as")
			b.free("call")
		}
		begin1, end1 := one.refreshed()
		begin2, end2 := two.refreshed()
		if begin1 < end2 && begin2 < end1 {
			overlaps++
		}
	}
	t.Logf("of 8 times, both tabs refreshed at once %d times", overlaps)
	for _, b := range tabs {
		b.calls()
	}
	one.do("reload", chromedp.Reload())
	one.shows("title", "Signed in as 김민지")
	one.calls()

	// The API verifies tokens by itself, so calls succeed while the server is stopped.
	if status := s.stop(); status != done {
		t.Errorf("exit status %d", status)
	}
	for _, b := range []tab{one, two, third} {
		b.calls()
	}
	// A refresh that fails because the server is stopped does not sign the user out.
	two.click("refresh")
	two.shows("error", "cannot be reached")
	two.shows("title", "Signed in as")
	two.calls()
	third.do("reload", chromedp.Reload())
	third.shows("title", "Not reachable")
	third.looks("first-party-away")
	s = d.start("INGAM_THROTTLE_SIGN_IN_FAILURES=2")
	third.click("again")
	for _, b := range []tab{one, two, third} {
		b.shows("title", "Signed in as")
		b.click("refresh")
		b.free("call")
		b.calls()
		if said := evaluate[string](b, "document.getElementById('error').textContent"); said != "" {
			t.Errorf("%s: %s", b.name, said)
		}
	}

	connected()
	if strings.Contains(streaming.log.String(), `"status":401`) {
		t.Error("the API refused someone before anything was revoked")
	}
	if out := d.must("revoke", "--user", "minji", "--wait=30s"); !strings.Contains(out, "applied by 1 verifier") {
		t.Errorf("%q", out)
	}
	for i, b := range tabs {
		b.click("call")
		b.shows("title", "Sign in")
		b.shows("error", "You have been signed out.")
		if refused := strings.Count(streaming.log.String(), `"status":401`); refused != i+1 {
			t.Errorf("%s: the API has refused %d times", b.name, refused)
		}
		b.do("reload", chromedp.Reload())
		b.shows("title", "Sign in")
	}
	// An API that does not listen for cuts accepts the token until it expires. But the
	// app gets no new one.
	third.calls()
	third.click("refresh")
	third.shows("title", "Sign in")
	third.shows("error", "You have been signed out.")
	third.looks("first-party-signed-out")

	// Signing out in one tab signs the other out.
	one.signIn(goodPassword)
	one.shows("title", "Signed in as 김민지")
	two.do("reload", chromedp.Reload())
	two.shows("title", "Signed in as 김민지")
	two.calls()
	one.click("sign-out")
	one.shows("title", "You are signed out")
	two.click("refresh")
	two.shows("title", "Sign in")
	two.shows("error", "You have been signed out.")
	one.do("reload", chromedp.Reload())
	one.shows("title", "Sign in")
	for range 2 {
		one.signIn("wrong")
		one.shows("error", "is wrong.")
	}
	one.signIn(goodPassword)
	one.shows("error", "Too many attempts. Try again in 15 minutes.")
	one.looks("first-party-throttled")
	if strings.Contains(s.log.String(), goodPassword) {
		t.Error("the password is in the log")
	}
}

// fetched records the paths that are fetched.
type fetched struct {
	mu    sync.Mutex
	paths []string
}

func (f *fetched) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths = append(f.paths, r.URL.Path)
	return http.DefaultTransport.RoundTrip(r)
}

func TestATokenGoesThroughAChainOfServices(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.signInApp("mobile")
	minji := d.user("minji")
	token := s.postJSON("/login", members{"id": "minji", "pw": goodPassword, "client_id": "mobile"}).pair(t).Access
	// The services are started from the last to the first. Each passes on the token that
	// it was sent, and says for which user and client it was issued.
	names := []string{"billing", "orders", "front"}
	urls := make([]string, len(names))
	var asked []*fetched
	var verifiers []*verify.Verifier
	for i, name := range names {
		f := &fetched{}
		v := d.verifier(verify.Config{HTTPClient: &http.Client{Transport: f}})
		service := httptest.NewServer(v.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			by, _ := verify.FromContext(r.Context())
			fmt.Fprintf(w, "%s for %s of %s\n", name, by.Subject, by.ClientID)
			if i == 0 {
				return
			}
			next, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, urls[i-1], nil)
			next.Header.Set("Authorization", r.Header.Get("Authorization"))
			if a, err := send(next); err != nil || a.status != http.StatusOK {
				fmt.Fprintf(w, "the next one: %d %v\n", a.status, err)
			} else {
				io.WriteString(w, a.body)
			}
		})))
		t.Cleanup(service.Close)
		urls[i] = service.URL
		asked, verifiers = append(asked, f), append(verifiers, v)
		eventually(t, name+" has the keys", 30*time.Second, func() bool { return v.State().Ready && v.State().Keys > 0 })
	}
	// From here on, the services cannot ask the server.
	if status := s.stop(); status != done {
		t.Errorf("exit status %d", status)
	}
	if _, err := http.Get(d.issuer); err == nil {
		t.Fatal("the server still answers")
	}
	call := func(url, token string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return s.do(r)
	}
	want := ""
	for _, name := range slices.Backward(names) {
		want += fmt.Sprintf("%s for %s of mobile\n", name, minji.ID)
	}
	if a := call(urls[2], token); a.status != http.StatusOK || a.body != want {
		t.Errorf("%d %q, want %q", a.status, a.body, want)
	}
	parts := strings.Split(token, ".")
	for i, url := range urls {
		// Each service verifies the token itself, even if another service has sent it.
		for what, bad := range map[string]string{
			"another subject":    tamper(token),
			"another generation": swapped(t, token),
			"no signature":       parts[0] + "." + parts[1] + ".",
			"another signature":  parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		} {
			if a := call(url, bad); a.status != http.StatusUnauthorized || a.json(t)["error"] != "invalid_token" {
				t.Errorf("%s at %s: %d %s", what, names[i], a.status, a.body)
			}
			if _, err := verifiers[i].Verify(t.Context(), bad); !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("%s at %s: %v", what, names[i], err)
			}
		}
		asked[i].mu.Lock()
		for _, path := range asked[i].paths {
			if !strings.HasPrefix(path, "/.well-known/") {
				t.Errorf("%s has fetched %s", names[i], path)
			}
		}
		t.Logf("%s has fetched %v", names[i], asked[i].paths)
		asked[i].mu.Unlock()
	}
}

// TestTheFirstPartyExampleOutlivesExpiryInTwoTabs: the access tokens of two tabs expire.
// The API, which uses the issuer's clock, refuses both. Each tab refreshes once and calls
// again.
func TestTheFirstPartyExampleOutlivesExpiryInTwoTabs(t *testing.T) {
	t.Parallel()
	ctx := browser(t, "en")
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	app := example(t)
	d := newDeployment(t).oneAtATime()
	var off atomic.Int64
	d.now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	d.must("migrate", "up")
	s, _ := d.startHere("INGAM_THROTTLE_SIGN_IN_FAILURES=1", "INGAM_THROTTLE_SIGN_IN_WINDOW=3h")
	d.signInApp("web", "--origin", app.URL, "--scope", "openid profile read write")
	d.user("minji")
	v := d.verifier(verify.Config{Now: d.now})
	var refused, answered atomic.Int64
	// Scripts of the app's origin may call it.
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", app.URL)
		h.Set("Access-Control-Allow-Headers", "Authorization")
		if r.Method == http.MethodOptions {
			return
		}
		token, err := v.Verify(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil {
			refused.Add(1)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		answered.Add(1)
		h.Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"client_id": %q}`, token.ClientID)
	}))
	t.Cleanup(api.Close)
	open := func(name string, ctx context.Context) tab {
		t.Helper()
		b := tab{t, ctx, name}
		b.do("open the example", chromedp.Navigate(app.URL+"/?"+url.Values{"issuer": {d.issuer}, "api": {api.URL}, "client_id": {"web"}}.Encode()))
		return b
	}
	second, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(second); err != nil {
		t.Fatal(err)
	}
	one := open("tab one", ctx)
	one.signIn(goodPassword)
	one.shows("title", "Signed in")
	two := open("tab two", second)
	two.shows("title", "Signed in")
	one.calls()
	two.calls()
	for round := range 3 {
		before, ok := refused.Load(), answered.Load()
		off.Add(int64(20 * time.Minute)) // an access token lives for 15
		for _, b := range []tab{one, two} {
			evaluate[any](b, "document.getElementById('answer').textContent = '', document.getElementById('call').click(), null")
		}
		for _, b := range []tab{one, two} {
			b.shows("answer", `"client_id": "web"`)
			b.shows("title", "Signed in")
		}
		if refused.Load()-before != 2 || answered.Load()-ok != 2 {
			t.Errorf("round %d: the API refused %d times and answered %d", round, refused.Load()-before, answered.Load()-ok)
		}
	}
	// After a cut, neither tab gets another token.
	d.must("revoke", "--user", "minji")
	off.Add(int64(20 * time.Minute))
	for _, b := range []tab{one, two} {
		evaluate[any](b, "document.getElementById('call').click(), null")
		b.shows("title", "Sign in")
	}
	// The page says in hours, minutes or seconds how long to wait.
	one.signIn("wrong")
	one.shows("error", "is wrong.")
	for _, then := range []struct {
		after time.Duration
		said  string
	}{{0, "in 3 hours."}, {2 * time.Hour, "in 60 minutes."}, {58*time.Minute + 45*time.Second, " seconds."}} {
		off.Add(int64(then.after))
		one.signIn(goodPassword)
		one.shows("error", then.said)
	}
	if strings.Contains(s.log.String(), goodPassword) {
		t.Error("the password is in the log")
	}
}
