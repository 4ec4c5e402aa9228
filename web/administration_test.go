package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	unescape "html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/web/admin"
)

const adminIssuer = "https://auth.acme.test"

// administered is a server with an administrator, minji.
func administered(t *testing.T) *server {
	t.Helper()
	s := newServer(t, adminIssuer)
	s.user("minji")
	begin := administration.NewBeginning(s.store, s.catalog, s.registry, s.users, adminIssuer+admin.Path)
	if _, _, err := begin.Begin(t.Context(), administration.Operator(audit.Operator("test")), accounts.User{Username: "minji"}, "", ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// robot registers a client that may administer, and returns an access token for it.
func (s *server) robot(id string, scopes ...string) (token string) {
	s.t.Helper()
	secret := s.client(clients.Client{ID: id, Grants: []string{clients.ClientCredentials}, Scopes: scopes, Audiences: []string{adminIssuer + admin.Path}})
	return s.token(url.Values{"grant_type": {clients.ClientCredentials}}, "Authorization", basic(id, secret))
}

// token returns the access token that a request brings.
func (s *server) token(form url.Values, fields ...string) string {
	s.t.Helper()
	a := s.ask(http.MethodPost, PathToken, form.Encode(), fields...)
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.AccessToken == "" {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	return got.AccessToken
}

// administer calls the admin API.
func (s *server) administer(method, path, token, body string, fields ...string) answer {
	return s.ask(method, admin.Path+path, body, append(fields, "Authorization", "Bearer "+token, "Content-Type", "application/json")...)
}

func TestTheAdminAPIIsForThoseWhoWereGivenItAlone(t *testing.T) {
	t.Parallel()
	s := administered(t)
	reader := s.robot("reader", administration.ClientsRead)
	wants := func(what string, a answer, status int, challenge string) {
		t.Helper()
		if got := a.header.Get("WWW-Authenticate"); a.status != status || got != challenge || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %q %s", what, a.status, got, a.body)
		}
	}
	list := func(token string) answer {
		return s.administer(http.MethodGet, "/clients", token, "", "Origin", "https://elsewhere.test")
	}
	wants("no token", s.ask(http.MethodGet, admin.Path+"/clients", ""), http.StatusUnauthorized, `Bearer realm="ingam"`)
	wants("a token", list(reader), http.StatusOK, "")
	invalid := `Bearer realm="ingam", error="invalid_token"`
	wants("under-scoped", s.administer(http.MethodPost, "/clients", reader, `{"what": "ever"}`), http.StatusForbidden,
		`Bearer realm="ingam", error="insufficient_scope", scope="ingam:clients:write"`)
	wants("a cookie", s.ask(http.MethodGet, admin.Path+"/clients", "", "Cookie", s.signIn("", "minji")), http.StatusUnauthorized, `Bearer realm="ingam"`)
	wants("no such operation", s.administer(http.MethodGet, "/nothing", reader, ""), http.StatusNotFound, "")
	if a := s.ask(http.MethodGet, admin.Path+"/openapi.json", ""); a.status != http.StatusOK {
		t.Errorf("the document: %d", a.status)
	}

	// A token for another API, and one for both, which the other API knows.
	if _, err := s.catalog.Create(t.Context(), apis.API{Audience: "https://notes.test", Name: "Notes", Scopes: []string{"read"}}, "", "test"); err != nil {
		t.Fatal(err)
	}
	secret := s.client(clients.Client{
		ID: "both", Grants: []string{clients.ClientCredentials}, Scopes: []string{"read", administration.ClientsRead},
		Audiences: []string{"https://notes.test", adminIssuer + admin.Path},
	})
	for _, resources := range [][]string{{"https://notes.test"}, {"https://notes.test", adminIssuer + admin.Path}} {
		token := s.token(url.Values{"grant_type": {clients.ClientCredentials}, "resource": resources}, "Authorization", basic("both", secret))
		wants("for "+strings.Join(resources, " "), list(token), http.StatusUnauthorized, invalid)
	}

	// What its client may not do any more, the token does not do either, at once.
	update := func(scopes ...string) {
		t.Helper()
		if _, _, err := s.registry.Update(t.Context(), "reader", func(c *clients.Client) error { c.Scopes = scopes; return nil }, "", "test"); err != nil {
			t.Fatal(err)
		}
	}
	update(administration.ClientsWrite)
	wants("a scope that was taken away", list(reader), http.StatusForbidden, `Bearer realm="ingam", error="insufficient_scope", scope="ingam:clients:read"`)
	update(administration.ClientsRead)
	if err := s.cuts.Client(t.Context(), "reader", "", "test"); err != nil {
		t.Fatal(err)
	}
	wants("a token that was cut", list(reader), http.StatusUnauthorized, invalid)
	if a := list(reader); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("after many bad tokens: %d", a.status)
	}
	if strings.Contains(s.log.String(), reader) {
		t.Error("a token is in the log")
	}
}

// TestAnOddIDLeadsToNoOtherRecord: the library would send a request with dots or nothing in
// its path on to another path.
func TestAnOddIDLeadsToNoOtherRecord(t *testing.T) {
	t.Parallel()
	s := administered(t)
	all := s.robot("robot", administration.All)
	for _, path := range []string{"/clients/robot/secrets/..", "/clients/robot/secrets/.", "/clients/../clients/robot", "/users//disable", "//clients", "/./clients", "/clients//"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			a := s.administer(method, path, all, "{}", "If-Match", "*")
			if a.status != http.StatusNotFound || a.header.Get("Location") != "" || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %d %v %s", method, path, a.status, a.header, a.body)
			}
		}
		if a := s.ask(http.MethodGet, admin.Path+path, ""); a.status != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", path, a.status)
		}
	}
	for _, path := range []string{"/clients/%2E%2E", "/clients/robot/secrets/%2e"} {
		if a := s.administer(http.MethodDelete, path, all, "", "If-Match", "*"); a.status != http.StatusNotFound || !strings.Contains(a.body, "no such") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := s.administer(http.MethodGet, "/clients/robot", all, ""); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

var hiddenField = regexp.MustCompile(`type="hidden" name="([a-z_]+)" value="([^"]*)"`)

// code lets the user of a cookie allow a request of `ingam login`, and returns the answer to
// the client.
func (s *server) code(cookie, scope, challenge string) url.Values {
	s.t.Helper()
	query := url.Values{
		"client_id": {administration.LoginClient}, "response_type": {"code"}, "scope": {scope}, "state": {"0123456789"},
		"redirect_uri": {"http://127.0.0.1:4711/callback"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	a := s.ask(http.MethodGet, PathAuthorize+"?"+query.Encode(), "", "Cookie", cookie)
	if a.status == http.StatusOK { // the person is asked
		form := url.Values{}
		for _, field := range hiddenField.FindAllStringSubmatch(a.body, -1) {
			form.Set(field[1], unescape.UnescapeString(field[2]))
		}
		form.Set("decision", "allow")
		a = s.ask(http.MethodPost, pathConsent, form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	}
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || to.Host != "127.0.0.1:4711" {
		s.t.Fatalf("%d %s %s", a.status, a.header.Get("Location"), a.body)
	}
	return to.Query()
}

func TestAnAdministratorIsAskedAndHasTheRoleAtEachCall(t *testing.T) {
	t.Parallel()
	s := administered(t)
	s.user("juno")
	verifier := strings.Repeat("verifier", 8)
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	if got := s.code(s.signIn("", "juno"), "ingam:admin ingam:clients:read", challenge); got.Get("error") != "access_denied" {
		t.Errorf("somebody without a role: %v", got)
	}
	cookie := s.signIn("", "minji")
	redeem := func() string {
		t.Helper()
		got := s.code(cookie, "ingam:admin ingam:clients:read", challenge)
		if got.Get("code") == "" {
			t.Fatalf("no code: %v", got)
		}
		return s.token(url.Values{
			"grant_type": {"authorization_code"}, "client_id": {administration.LoginClient}, "code": {got.Get("code")},
			"redirect_uri": {"http://127.0.0.1:4711/callback"}, "code_verifier": {verifier},
		})
	}
	token := redeem()
	if a := s.administer(http.MethodGet, "/clients", token, ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.administer(http.MethodGet, "/clients", token[:len(token)-4]+"AAAA", ""); a.status != http.StatusUnauthorized {
		t.Errorf("a changed token: %d", a.status)
	}
	// They are asked each time: any program on their machine could have begun it.
	query := url.Values{
		"client_id": {administration.LoginClient}, "response_type": {"code"}, "scope": {"ingam:admin"}, "prompt": {"none"}, "state": {"0123456789"},
		"redirect_uri": {"http://127.0.0.1:4711/callback"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	if a := s.ask(http.MethodGet, PathAuthorize+"?"+query.Encode(), "", "Cookie", cookie); !strings.Contains(a.header.Get("Location"), "error=consent_required") {
		t.Errorf("without being asked: %d %s", a.status, a.header.Get("Location"))
	}
	minji, err := s.users.ByName(t.Context(), "minji")
	if err != nil {
		t.Fatal(err)
	}
	roles := func(roles ...string) {
		t.Helper()
		_, _, err := s.users.Update(t.Context(), minji.ID, func(u *accounts.User, _ accounts.Others) error { u.Roles = roles; return nil }, "", "test")
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		roles  []string
		status int
	}{{nil, http.StatusForbidden}, {[]string{administration.APIsRead}, http.StatusForbidden}, {[]string{administration.ClientsRead}, http.StatusOK}, {[]string{administration.All}, http.StatusOK}} {
		roles(c.roles...)
		if a := s.administer(http.MethodGet, "/clients", token, ""); a.status != c.status {
			t.Errorf("with the roles %q: %d", c.roles, a.status)
		}
	}
	if err := s.cuts.User(t.Context(), minji.ID, "", "test"); err != nil {
		t.Fatal(err)
	}
	if a := s.administer(http.MethodGet, "/clients", token, ""); a.status != http.StatusUnauthorized {
		t.Errorf("after a cut: %d", a.status)
	}
}

func TestABodyThatIsTooLongOrBreaksOffIsNoFault(t *testing.T) {
	t.Parallel()
	s := administered(t)
	token := s.robot("writer", administration.ClientsWrite)
	body := func(name string) string {
		return `{"client_id": "app", "name": "` + name + `", "token_endpoint_auth_method": "none"}`
	}
	for what, c := range map[string]struct {
		body   io.Reader
		status int
	}{
		"a name that is too long":    {strings.NewReader(body(strings.Repeat("x", 100_000))), http.StatusUnprocessableEntity},
		"longer than any body":       {strings.NewReader(body(strings.Repeat("x", 1<<20))), http.StatusRequestEntityTooLarge},
		"one that breaks off":        {io.MultiReader(strings.NewReader(`{"client_id"`), iotest.ErrReader(io.ErrUnexpectedEOF)), http.StatusUnprocessableEntity},
		"longer than other requests": {strings.NewReader(body("x") + strings.Repeat(" ", 100_000)), http.StatusCreated},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, adminIssuer+admin.Path+"/clients", c.body)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %s", what, w.Code, w.Header(), w.Body)
		}
	}
}

// TestAQueryThatCannotBeReadIsNotReadInPart: what was meant as a dry run would be done.
func TestAQueryThatCannotBeReadIsNotReadInPart(t *testing.T) {
	t.Parallel()
	s := administered(t)
	token := s.robot("boss", administration.All)
	s.robot("other", administration.ClientsRead)
	for _, query := range []string{"dry_run=true;reason=x", "a;dry_run=true", "dry_run=true%zz", "dry_run=true&reason=%f"} {
		a := s.administer(http.MethodDelete, "/clients/other?"+query, token, "", "If-Match", "*")
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "query") {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if a := s.administer(http.MethodGet, "/clients/other", token, ""); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// administrator creates somebody who may do everything, and returns their id and a token that
// they got by `ingam login`.
func (s *server) administrator(name string) (id, token string) {
	s.t.Helper()
	made, err := s.users.Create(s.t.Context(), accounts.User{Username: name, Roles: []string{administration.All}}, goodPassword, "system")
	if err != nil {
		s.t.Fatal(err)
	}
	verifier := strings.Repeat("verifier", 8)
	sum := sha256.Sum256([]byte(verifier))
	got := s.code(s.signIn("", name), administration.All, base64.RawURLEncoding.EncodeToString(sum[:]))
	return made.ID, s.token(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {administration.LoginClient}, "code": {got.Get("code")},
		"redirect_uri": {"http://127.0.0.1:4711/callback"}, "code_verifier": {verifier},
	})
}

// TestNoTokenOutlivesWhatItStandsOn: between two calls with the same token something is taken
// away, by whatever way, and the second call knows at once.
func TestNoTokenOutlivesWhatItStandsOn(t *testing.T) {
	t.Parallel()
	s := administered(t)
	ctx := t.Context()
	scopes := func(scopes ...string) error {
		_, _, err := s.registry.Update(ctx, administration.LoginClient, func(c *clients.Client) error { c.Scopes = scopes; return nil }, "", "test")
		return err
	}
	for i, act := range []struct {
		what string
		do   func(user string) error
	}{
		{"another password", func(user string) error {
			return s.users.SetPassword(ctx, accounts.User{ID: user}, "a pass phrase that is new", nil, "", "test")
		}},
		{"disabled, and enabled again", func(user string) error {
			return errors.Join(s.users.Disable(ctx, user, nil, "", "test"), s.users.Enable(ctx, user, nil, "", "test"))
		}},
		{"deleted, and another one by the same name", func(user string) error {
			u, err := s.users.ByID(ctx, user)
			if err == nil {
				err = s.users.Delete(ctx, user, nil, "", "test")
			}
			if err == nil {
				_, err = s.users.Create(ctx, accounts.User{Username: u.Username, Roles: u.Roles}, goodPassword, "test")
			}
			return err
		}},
		{"the login session", func(user string) error {
			for l, err := range s.store.ListSessions(ctx, sessions.Query{UserID: user}, time.Now()) {
				if err == nil {
					err = s.store.EndSession(ctx, user, l.ID, audit.Event{At: time.Now()})
				}
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"the client, disabled", func(string) error { return s.registry.Disable(ctx, administration.LoginClient, "", "test") }},
		{"the client, cut", func(string) error { return s.cuts.Client(ctx, administration.LoginClient, "", "test") }},
		{"the scopes of the client", func(string) error { return scopes(administration.KeysRead) }},
		{"everything", func(string) error { return s.cuts.Everything(ctx, "", "test") }},
	} {
		// The client is as it was, whatever the former one has done to it.
		if err := errors.Join(s.registry.Enable(ctx, administration.LoginClient, "", "test"), scopes(administration.All)); err != nil {
			t.Fatal(err)
		}
		user, token := s.administrator(fmt.Sprint("boss", i))
		if a := s.administer(http.MethodGet, "/clients", token, ""); a.status != http.StatusOK {
			t.Errorf("%s: before: %d %s", act.what, a.status, a.body)
		}
		if err := act.do(user); err != nil {
			t.Fatalf("%s: %v", act.what, err)
		}
		if a := s.administer(http.MethodGet, "/clients", token, ""); a.status != http.StatusUnauthorized && a.status != http.StatusForbidden && a.status != http.StatusTooManyRequests {
			t.Errorf("%s: afterwards: %d %s", act.what, a.status, a.body)
		}
	}
}

// TestACursorIsGoodForItsCallerAndItsQueryAlone: a cursor that somebody else got, of another
// list, that was changed, or that is too old begins no page.
func TestACursorIsGoodForItsCallerAndItsQueryAlone(t *testing.T) {
	t.Parallel()
	s := administered(t)
	one, other := s.robot("one", administration.All), s.robot("other", administration.All)
	page := func(path, token, cursor string) answer {
		t.Helper()
		return s.administer(http.MethodGet, path+"?"+url.Values{"limit": {"1"}, "cursor": {cursor}}.Encode(), token, "")
	}
	next := func(path string) string {
		t.Helper()
		var got struct {
			Next string `json:"next_cursor"`
		}
		a := page(path, one, "")
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Next == "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return got.Next
	}
	s.catalog.Create(t.Context(), apis.API{Audience: "https://notes.test", Name: "Notes", Scopes: []string{"read"}}, "", "test")
	cursor, ofAPIs := next("/clients"), next("/apis")
	if a := page("/clients", one, cursor); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	refused := func(what, token, cursor string) {
		t.Helper()
		if a := page("/clients", token, cursor); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, ":problem:cursor") {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	refused("another caller's", other, cursor)
	refused("that of another list", one, ofAPIs)
	refused("half of one", one, cursor[:len(cursor)/2])
	for i := range len(cursor) {
		changed := []byte(cursor)
		if changed[i]++; changed[i] == cursor[i] {
			t.Fatal("it is the same")
		}
		refused(fmt.Sprintf("one with another byte %d", i), one, string(changed))
	}
	s.later = time.Hour + time.Minute
	refused("an old one", one, cursor)
}
