package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
)

const newPassword = "what a person thought of alone"

// link makes a link for a new user without a password, and returns its token.
func (s *server) link(name string) (u accounts.User, token string) {
	s.t.Helper()
	u, err := s.users.CreateWithoutPassword(s.t.Context(), accounts.User{Username: name}, "system")
	if err == nil {
		_, token, err = s.users.MakeLink(s.t.Context(), u.ID, accounts.Invitation, 0, nil, "", "system")
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return u, token
}

// use posts the form of the page of a link. Browsers say that it comes from nowhere.
func (s *server) use(token, password string) answer {
	s.t.Helper()
	return s.ask(http.MethodPost, PathLink, url.Values{"link": {token}, "new": {password}, "username": {"somebody else"}}.Encode(), "Origin", "null", "Sec-Fetch-Site", "same-origin")
}

func (s *server) tries(name, password string) int {
	s.t.Helper()
	return s.ask(http.MethodPost, pathLogin, url.Values{"username": {name}, "password": {password}}.Encode()).status
}

func TestAPersonSetsAPasswordByALink(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://id.test")
	_, token := s.link("ann")
	at := linkAt(token)
	if LinkOf("https://id.test", token) != "https://id.test"+at {
		t.Error(LinkOf("https://id.test", token))
	}
	for range 2 { // whoever looks uses nothing up
		shown := s.ask(http.MethodGet, at, "", "Accept", "text/html")
		if shown.status != http.StatusOK || !strings.Contains(shown.body, "<bdi>ann</bdi>") || !strings.Contains(shown.body, `action="/password"`) {
			t.Fatalf("%d %s", shown.status, shown.body)
		}
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got := shown.header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		for _, m := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(shown.body, -1) {
			if !strings.HasPrefix(m[1], "/") || strings.HasPrefix(m[1], "//") {
				t.Errorf("the page leads to %s", m[1])
			}
		}
	}
	for password, said := range map[string]string{"short": "too short or too long", "ann-ann-ann": "guessed first"} {
		refused := s.use(token, password)
		if refused.status != http.StatusUnprocessableEntity || !strings.Contains(refused.body, said) || !strings.Contains(refused.body, `aria-invalid="true"`) ||
			!strings.Contains(refused.body, "<bdi>ann</bdi>") || refused.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%q: %d %s", password, refused.status, refused.body)
		}
	}
	set := s.use(token, newPassword)
	if set.status != http.StatusOK || !strings.Contains(set.body, "Your password is set.") || !strings.Contains(set.body, `value="ann"`) || len(set.cookies()) != 0 || strings.Contains(set.body, token) {
		t.Errorf("%d %v %s", set.status, set.header, set.body)
	}
	if status := s.tries("ann", newPassword); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
	for _, used := range []string{token, newPassword} {
		if strings.Contains(s.log.String(), used) {
			t.Errorf("the log knows %s", used)
		}
	}
}

// TestALinkThatIsGoodForNothingSaysNoMore: used, expired and unknown ones have one answer.
func TestALinkThatIsGoodForNothingSaysNoMore(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://id.test")
	_, used := s.link("ann")
	s.use(used, newPassword)
	gone, deleted := s.link("bob")
	off, disabled := s.link("cid")
	if err := s.users.Delete(t.Context(), gone.ID, nil, "", "system"); err != nil {
		t.Fatal(err)
	}
	if err := s.users.Disable(t.Context(), off.ID, nil, "", "system"); err != nil {
		t.Fatal(err)
	}
	same := regexp.MustCompile(`<footer>.*</footer>`)
	var first string
	for _, token := range []string{used, deleted, disabled, "unknown", "", strings.Repeat("x", 3000), "\x00", "<b>"} {
		for _, dead := range []answer{s.ask(http.MethodGet, linkAt(token), "", "Accept", "text/html"), s.use(token, newPassword), s.use(token, "short")} {
			body := same.ReplaceAllString(dead.body, "")
			if first == "" {
				first = body
			}
			if dead.status != http.StatusNotFound || body != first || !strings.Contains(body, "This link no longer works") || dead.header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%q: %d %s", token, dead.status, dead.body)
			}
		}
	}
	if status := s.tries("ann", newPassword); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
}

func TestWhoeverGuessesLinksMustWait(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://id.test")
	_, token := s.link("ann")
	for range 30 {
		s.use("a guess", newPassword)
	}
	for _, late := range []answer{s.use(token, newPassword), s.ask(http.MethodGet, linkAt(token), "")} {
		if late.status != http.StatusTooManyRequests || late.header.Get("Retry-After") == "" || !strings.Contains(late.body, "too many attempts") {
			t.Errorf("%d %s", late.status, late.body)
		}
	}
}

// forOnce creates a user whose password must be changed.
func (s *server) forOnce(name string) {
	s.t.Helper()
	if _, err := s.users.Create(s.t.Context(), accounts.User{Username: name, MustChange: true}, goodPassword, "system"); err != nil {
		s.t.Fatal(err)
	}
}

var noteField = regexp.MustCompile(`name="note" value="([^"]+)"`)

func TestAPasswordForOnceLeadsToAnotherOne(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://id.test")
	s.forOnce("ann")
	then := PathAuthorize + "?client_id=app&response_type=code&code_challenge_method=S256&code_challenge=" + strings.Repeat("a", 43)
	s.client(clients.Client{ID: "app", Grants: []string{clients.AuthorizationCode}, RedirectURIs: []string{"https://app.test/cb"}})
	asked := s.ask(http.MethodPost, pathLogin, url.Values{"username": {"ann"}, "password": {goodPassword}, "then": {then}}.Encode())
	found := noteField.FindStringSubmatch(asked.body)
	if asked.status != http.StatusOK || len(asked.cookies()) != 0 || found == nil || strings.Contains(asked.body, goodPassword) || !strings.Contains(asked.body, `action="/login/password"`) {
		t.Fatalf("%d %v %s", asked.status, asked.header, asked.body)
	}
	set := func(note, new string, fields ...string) answer {
		return s.ask(http.MethodPost, pathNew, url.Values{"note": {note}, "new": {new}, "then": {then}}.Encode(), fields...)
	}
	if foreign := set(found[1], newPassword, "Origin", evil); foreign.status != http.StatusForbidden {
		t.Errorf("from another site: %d", foreign.status)
	}
	for new, said := range map[string]string{goodPassword: "that you have to change", "short": "too short"} {
		if refused := set(found[1], new); refused.status != http.StatusUnprocessableEntity || !strings.Contains(refused.body, said) || noteField.FindString(refused.body) != found[0] || len(refused.cookies()) != 0 {
			t.Errorf("%d %s", refused.status, refused.body)
		}
	}
	if forged := set("x", newPassword); forged.status != http.StatusUnprocessableEntity || !strings.Contains(forged.body, `id="password"`) || len(forged.cookies()) != 0 {
		t.Errorf("%d %s", forged.status, forged.body)
	}
	in := set(found[1], newPassword)
	if at := in.header.Get("Location"); in.status != http.StatusSeeOther || len(in.cookies()) != 2 || !strings.HasPrefix(at, PathAuthorize+"?") {
		t.Fatalf("%d %v %s", in.status, in.header, in.body)
	}
	if again := set(found[1], "another one once more"); again.status != http.StatusUnprocessableEntity || !strings.Contains(again.body, "Sign in once more") {
		t.Errorf("%d %s", again.status, again.body)
	}
	if old, new := s.tries("ann", goodPassword), s.tries("ann", newPassword); old != http.StatusUnprocessableEntity || new != http.StatusSeeOther {
		t.Errorf("%d, %d", old, new)
	}
	if log := s.log.String(); !strings.Contains(log, `"reason":"must_change"`) || strings.Contains(log, found[1]) || strings.Contains(log, newPassword) {
		t.Error(log)
	}
}

func TestAnAppIsToldThatAPasswordMustBeChanged(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://id.test")
	s.forOnce("ann")
	secret := s.client(clients.Client{ID: "app", FirstParty: true, Hold: clients.HoldMemory, Grants: []string{clients.SignIn, clients.AuthorizationCode, clients.RefreshToken}, RedirectURIs: []string{"https://app.test/cb"}})
	credentials := basic("app", secret)
	login := s.ask(http.MethodPost, pathLogin, `{"id": "ann", "pw": "`+goodPassword+`"}`, "Content-Type", typeJSON, "Authorization", credentials)
	challenge := s.ask(http.MethodPost, pathChallenge, url.Values{"username": {"ann"}, "password": {goodPassword}, "response_type": {"code"}, "redirect_uri": {"https://app.test/cb"}, "code_challenge_method": {"S256"}, "code_challenge": {strings.Repeat("a", 43)}}.Encode(), "Authorization", credentials)
	for _, told := range []answer{login, challenge} {
		if told.status != http.StatusBadRequest || !strings.Contains(told.body, `"error":"redirect_to_web"`) || !strings.Contains(told.body, `"reason":"must_change"`) || !strings.Contains(told.body, "must be changed") {
			t.Errorf("%d %s", told.status, told.body)
		}
	}
	wrong := s.ask(http.MethodPost, pathLogin, `{"id": "ann", "pw": "wrong"}`, "Content-Type", typeJSON, "Authorization", credentials)
	if wrong.status != http.StatusUnauthorized || strings.Contains(wrong.body, "must") {
		t.Errorf("%d %s", wrong.status, wrong.body)
	}
}
