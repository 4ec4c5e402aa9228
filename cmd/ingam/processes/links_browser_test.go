package processes

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestAPersonGetsInWithoutAnAdministratorWhoKnowsThePassword: in a browser, whose forms on a
// page without a Referer say that they come from nowhere.
func TestAPersonGetsInWithoutAnAdministratorWhoKnowsThePassword(t *testing.T) {
	t.Parallel()
	ctx := browser(t, "en")
	d := newDeployment(t).oneAtATime()
	s := d.start()
	b := watch(t, ctx, "links")
	const chosen, second = "what a person thought of alone", "and what they thought of later"
	var invited struct {
		Link string `json:"link"`
	}
	d.must("user", "invite", "--username", "minji", "--email", "minji@test.example")
	d.mustJSON(&invited, "user", "invite", "minji")
	token := invited.Link[strings.LastIndex(invited.Link, "=")+1:]
	here := func(link string) string { return s.url + strings.TrimPrefix(link, d.issuer) }

	b.do("read it in Korean on a phone", onAPhone, chromedp.Navigate(here(invited.Link)), chromedp.WaitVisible("#new"), chromedp.Click("footer a"), chromedp.WaitVisible(":lang(ko) #new"))
	b.photograph("link-phone-ko")
	b.do("and in English on a desktop", onADesktop, chromedp.Click("footer a"), chromedp.WaitVisible(":lang(en) #new"))
	b.photograph("link-desktop-en")
	b.do("choose one that is guessed", chromedp.SendKeys("#new", "password123\r"), chromedp.WaitVisible("#problem"))
	b.photograph("link-guessed")
	b.do("choose a good one", chromedp.SendKeys("#new", chosen+"\r"), chromedp.WaitVisible("#password"))
	b.photograph("link-used")
	b.do("sign in", chromedp.SendKeys("#password", chosen+"\r"), chromedp.WaitVisible("#current"))
	b.do("open it once more", chromedp.Navigate(here(invited.Link)), chromedp.WaitNotPresent("#new"), chromedp.WaitVisible("main a"))
	b.photograph("link-dead")

	if set := d.command(second+"\n", nil, "user", "set-password", "minji", "--password-stdin", "--must-change"); set.status != 0 {
		t.Fatal(set.stderr)
	}
	b.do("be signed out by it", onAPhone, chromedp.Navigate(s.url+"/account"), chromedp.WaitVisible("#password"))
	b.do("sign in with the administrator's", chromedp.SendKeys("#username", "minji"), chromedp.SendKeys("#password", second+"\r"), chromedp.WaitVisible("#new"))
	b.photograph("must-change-phone")
	b.do("choose the same", chromedp.SendKeys("#new", second+"\r"), chromedp.WaitVisible("#problem"))
	b.do("choose another", chromedp.SendKeys("#new", chosen+"\r"), chromedp.WaitVisible("#current"))

	for _, hidden := range []string{token, chosen, second} {
		if strings.Contains(s.log.String(), hidden) {
			t.Errorf("the log knows %s", hidden)
		}
	}
}
