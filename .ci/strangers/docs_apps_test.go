//go:build !quick

package strangers

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func TestDocumentedBrowserApp(t *testing.T) {
	need(t, "npm", "python3", "chromium")
	d := document(t, "spa")
	startProcess(d, d.command(), d.address)

	path, _ := exec.LookPath("chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("accept-lang", "en"), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	do := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			at, _ := chromedp.Run(ctx, chromedp.Location())
			text, _ := chromedp.Run(ctx, chromedp.Text("body"))
			t.Fatalf("%s: %v, at %s:\n%s", what, err, at, text)
		}
	}
	// until waits for the page to say something; it says it by a script.
	until := func(what string, all ...string) string {
		t.Helper()
		for {
			text, err := chromedp.Run(ctx, chromedp.Text("p#who"))
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			missing := false
			for _, part := range all {
				missing = missing || !strings.Contains(text, part)
			}
			if !missing {
				return text
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	signIn := []chromedp.Action[chromedp.Void]{
		chromedp.Click("button#sign-in"), chromedp.WaitVisible("#password"),
		chromedp.SendKeys("#username", personUsername), chromedp.SendKeys("#password", personPassword+"\r"),
	}

	do("see the app", chromedp.Navigate(d.home+"/"), chromedp.WaitVisible("button#sign-in"))
	until("before sign-in", "Nobody is signed in.")
	do("sign in", signIn...)
	do("allow", chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible("p#who"))
	first := until("after sign-in", personName+", "+personEmail)
	if at, _ := chromedp.Run(ctx, chromedp.Location()); at != d.home+"/" {
		t.Errorf("the answer is still in the address: %s", at)
	}
	do("load it again", chromedp.Reload(), chromedp.WaitVisible("p#who"))
	if again := until("after loading again", personName); again != first {
		t.Errorf("after loading again: %s", again)
	}
	do("refresh", chromedp.Click("button#refresh"))
	d.await("refreshes", d.refreshed, 1)
	until("after the refresh", personName+", "+personEmail)
	do("sign out", chromedp.Click("button#sign-out"))
	until("after sign-out", "Nobody is signed in.")
	do("sign in again", signIn...)
	until("after sign-in again", personName+", "+personEmail)
}

func TestDocumentedNode(t *testing.T) {
	need(t, "node", "npm")
	document(t, "node").withServer("/login", stay)
}

func TestDocumentedFlask(t *testing.T) {
	need(t, "python3")
	document(t, "flask").withServer("/login", stay)
}

func TestDocumentedSpringBoot(t *testing.T) {
	need(t, "mvn")
	for version, change := range map[string]*strings.Replacer{
		"4": strings.NewReplacer(),
		// As the text below the example says.
		"3.5": strings.NewReplacer("4.0.7", "3.5.16", "spring-boot-starter-webmvc", "spring-boot-starter-web",
			"spring-boot-starter-security-oauth2-client", "spring-boot-starter-oauth2-client"),
	} {
		t.Run(version, func(t *testing.T) {
			// Access tokens live for a minute, so that Spring refreshes them at each use.
			d := document(t, "spring", "INGAM_TOKENS_ACCESS_TTL=1m")
			example{"pom.xml": change.Replace(d.example["pom.xml"])}.write(t, d.dir)
			d.withServer("/", func(pg *page) *page { return pg.submit("/logout") })
		})
	}
}
