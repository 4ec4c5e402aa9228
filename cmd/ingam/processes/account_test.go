package processes

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTheAccountShowsThePersonAndWhereTheyAreSignedIn: the page shows the person's name,
// and no picture from another server, which would learn who looks at the page. The
// session of this browser comes first. The outcome of each form is beside it.
func TestTheAccountShowsThePersonAndWhereTheyAreSignedIn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.webClient("app")
	minji := d.user("minji", "--claims", `{"name": "김 민지", "picture": "https://pictures.test/minji.png"}`)
	d.user("jun", "--claims", `{"picture": "`+d.issuer+`/pictures/jun.png"}`)
	signIn := func(name, agent string) *person {
		t.Helper()
		p := s.person()
		p.client.Transport = sentAs{agent}
		if sc := p.get("/login").submit("username", name, "password", goodPassword); sc.status != http.StatusSeeOther {
			t.Fatalf("%d %s", sc.status, sc.body)
		}
		return p
	}
	ids := regexp.MustCompile(`name="id" value="([^"]+)"`)
	first := signIn("minji", "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")
	signIn("minji", "")
	for range 5 {
		signIn("minji", "Mozilla/5.0 (iPhone) Safari/605.1")
	}
	sc := first.get("/account")
	for _, want := range []string{
		`<span class="face" aria-hidden="true">김</span>`, `<h1><bdi>김 민지</bdi></h1>`, `<bdi>minji</bdi>`, `<bdi>minji@test.example</bdi>`,
		`href="/account/sessions">See all 7 places</a>`, "<title>Your account · ",
	} {
		if !strings.Contains(sc.body, want) {
			t.Errorf("the account does not say %q:\n%s", want, sc.body)
		}
	}
	if strings.Contains(sc.body, "pictures.test") {
		t.Error("the account shows a picture of elsewhere")
	}
	// This browser comes first, although its session is the oldest. Four others are
	// listed.
	if here, other := strings.Index(sc.body, "Firefox"), strings.Index(sc.body, "iPhone"); here < 0 || here > other || strings.Count(sc.body, "this browser") != 1 {
		t.Errorf("Firefox at %d, iPhone at %d", here, other)
	}
	if listed := ids.FindAllString(sc.body, -1); len(listed) != 4 {
		t.Errorf("%d others are listed", len(listed))
	}
	all := first.get("/account/sessions")
	listed := ids.FindAllStringSubmatch(all.body, -1)
	if len(listed) != 6 || !strings.Contains(all.body, "A browser without a name") || strings.Contains(all.body, "See all") || strings.Contains(all.body, `name="current"`) {
		t.Fatalf("%d of 6:\n%s", len(listed), all.body)
	}
	// One session is ended. The answer is the page that lists the sessions.
	sc = first.post(s.url+"/account/sessions", url.Values{"id": {listed[0][1]}, "matter": {"sessions"}})
	if sc.status != http.StatusOK || !strings.Contains(sc.body, "That place is signed out.") || strings.Contains(sc.body, listed[0][1]) || strings.Contains(sc.body, `name="current"`) {
		t.Errorf("%d %s", sc.status, sc.body)
	}
	// A user cannot end the session of another user.
	jun := signIn("jun", "Mozilla/5.0 (Windows) Chrome/150.0")
	jun.post(s.url+"/account/sessions", url.Values{"id": {listed[1][1]}})
	jun.post(s.url+"/account/sessions", url.Values{"others": {"1"}})
	if sc = first.get("/account/sessions"); !strings.Contains(sc.body, listed[1][1]) || len(ids.FindAllString(sc.body, -1)) != 5 {
		t.Errorf("jun signed minji out:\n%s", sc.body)
	}
	sc = first.post(s.url+"/account/sessions", url.Values{"others": {"1"}})
	if sc.status != http.StatusOK || !strings.Contains(sc.body, "Other places that are signed out now: 5.") || len(ids.FindAllString(sc.body, -1)) != 0 || strings.Contains(sc.body, `name="others"`) {
		t.Errorf("%d %s", sc.status, sc.body)
	}
	if sc = first.post(s.url+"/account/sessions", url.Values{"others": {"1"}}); !strings.Contains(sc.body, "You were not signed in anywhere else.") {
		t.Errorf("%d %s", sc.status, sc.body)
	}
	var stored []sessionJSON
	if d.mustJSON(&stored, "session", "list", "--user", minji.Username); len(stored) != 1 {
		t.Errorf("there are %d sessions", len(stored))
	}

	if sc := jun.get("/account"); !strings.Contains(sc.body, `<img class="face" src="`+d.issuer+`/pictures/jun.png" alt=""`) || !strings.Contains(sc.body, "<h1><bdi>jun</bdi></h1>") {
		t.Errorf("jun's account:\n%s", sc.body)
	}
}

// TestANewPasswordThatWillNotDoIsToldBesideItsField: the page says which of the two
// fields is wrong, and why.
func TestANewPasswordThatWillNotDoIsToldBesideItsField(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_SIGN_IN_FAILURES=3")
	d.user("minji-long-name")
	p := s.person()
	p.get("/login").submit("username", "minji-long-name", "password", goodPassword)
	logged := func(code string) int { return strings.Count(s.log.String(), `"error":"`+code+`","cause":`) }
	for _, c := range []struct{ current, new, field, said string }{
		{goodPassword, "short", "new", "too short or too long"},
		{goodPassword, strings.Repeat("long ", 60), "new", "too short or too long"},
		{goodPassword, "Minji-Long-Name", "new", "must not be your user name"},
		{goodPassword, "password123", "new", "guessed first"},
		{goodPassword, "with a \x07 bell in it", "new", "cannot be typed"},
		{"wrong", "a wholly new password", "current", "This is not your current password."},
	} {
		sc := p.post(s.url+"/account/password", url.Values{"current": {c.current}, "new": {c.new}})
		at := strings.Index(sc.body, c.said)
		if sc.status != http.StatusUnprocessableEntity || at < 0 || !strings.Contains(sc.body, "<title>Not right: ") {
			t.Errorf("%q: %d %s", c.new, sc.status, sc.body)
			continue
		}
		// The error is between its own field and the next one.
		field := strings.LastIndex(sc.body[:at], `<input type="password"`)
		if !strings.HasPrefix(sc.body[field:], `<input type="password" id="`+c.field+`"`) || strings.Count(sc.body, `aria-invalid="true"`) != 1 || strings.Contains(sc.body, c.new+`"`) {
			t.Errorf("%q is not told beside %s:\n%s", c.said, c.field, sc.body[field:at])
		}
	}
	for range 2 {
		p.post(s.url+"/account/password", url.Values{"current": {"wrong"}, "new": {"a wholly new password"}})
	}
	sc := p.post(s.url+"/account/password", url.Values{"current": {"wrong"}, "new": {"a wholly new password"}})
	if sc.status != http.StatusTooManyRequests || !strings.Contains(sc.body, "Try again in 15 minutes.") || sc.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", sc.status, sc.header, sc.body)
	}
	eventually(t, "each refusal is logged", 10*time.Second, func() bool {
		return slices.Equal([]int{logged("new_password_refused"), logged("wrong_password"), logged("too_many_attempts")}, []int{5, 3, 1})
	})
	for _, typed := range []string{goodPassword, "a wholly new password", "password123"} {
		if strings.Contains(s.log.String(), typed) {
			t.Errorf("the log holds %q", typed)
		}
	}
}

// sentAs sends requests with the given User-Agent.
type sentAs struct{ agent string }

func (s sentAs) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("User-Agent", s.agent)
	return http.DefaultTransport.RoundTrip(r)
}
