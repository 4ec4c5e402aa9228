package processes

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ingam/ingam/storage/storagetest"
)

// share registers users who have the same address, as was possible before addresses had
// to be unique.
func (d *deployment) share(address string, usernames ...string) {
	d.t.Helper()
	for _, name := range usernames {
		u := d.user(name)
		storagetest.Exec(d.t, d.database, fmt.Sprintf("UPDATE users SET email = '%s', email_form = '%s' WHERE id = '%s'", address, strings.ToLower(address), u.ID))
	}
}

func TestPeopleSignInByTheirAddressWhereverAUserNameIsAsked(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_SIGN_IN_FAILURES=3", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1")
	d.signInApp("mobile", "--scope", "openid read write")
	d.user("minji", "--email", "Minji.Kim@Test.example")
	d.user("junho@test.example", "--email", "other@test.example")
	d.user("disabled")
	d.must("user", "disable", "disabled")
	d.share("Team@test.example", "a", "b")
	d.share("junho@test.example", "c")

	// sessions returns how often a user has signed in; for an empty name, how often all
	// users have.
	sessions := func(username string) int {
		return storagetest.Count(t, d.database, "SELECT COUNT(*) FROM login_sessions AS l JOIN users AS u ON u.id = l.user_id WHERE '"+username+"' IN ('', u.username)")
	}
	a := app{id: "mobile", verifier: strings.Repeat("v", 43)}
	places := map[string]struct {
		in, wrong int
		try       func(typed, password, from string) answer
	}{
		"the page": {http.StatusSeeOther, http.StatusUnprocessableEntity, func(typed, password, from string) answer {
			r, err := http.NewRequest(http.MethodPost, s.url+"/login", strings.NewReader(url.Values{"username": {typed}, "password": {password}}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Forwarded-For", from)
			return s.person().do(r).answer
		}},
		"JSON": {http.StatusOK, http.StatusUnauthorized, func(typed, password, from string) answer {
			return s.postJSON("/login", members{"id": typed, "pw": password, "client_id": "mobile"}, "X-Forwarded-For", from)
		}},
		"the challenge": {http.StatusOK, http.StatusForbidden, func(typed, password, from string) answer {
			return s.raw("/oauth2/authorize-challenge", url.Values{
				"client_id": {"mobile"}, "username": {typed}, "password": {password}, "response_type": {"code"},
				"code_challenge": {a.challenge()}, "code_challenge_method": {"S256"},
			}.Encode(), "X-Forwarded-For", from)
		}},
	}
	for i, name := range slices.Sorted(maps.Keys(places)) {
		place := places[name]
		for j, c := range []struct{ typed, as string }{
			{"Minji.Kim@Test.example", "minji"}, {" minji.KIM@test.EXAMPLE ", "minji"}, {"ｍｉｎｊｉ．ｋｉｍ＠ｔｅｓｔ．ｅｘａｍｐｌｅ", "minji"}, {"MINJI", "minji"},
			// The user c has this address, but a user name takes precedence.
			{"junho@test.example", "junho@test.example"}, {"other@test.example", "junho@test.example"}, {"c", "c"},
			{"team@test.example", ""}, {"a", "a"}, {"disabled@test.example", ""}, {"nobody@test.example", ""}, {"minji.kim", ""},
		} {
			theirs, all, status, more := sessions(c.as), sessions(""), place.in, 1
			if c.as == "" {
				status, more = place.wrong, 0
			}
			got := place.try(c.typed, goodPassword, fmt.Sprintf("192.0.2.%d", 20*i+j))
			if got.status != status || sessions(c.as) != theirs+more || sessions("") != all+more {
				t.Errorf("%s: %q does not sign in %q: %d %s", name, c.typed, c.as, got.status, got.body)
			}
		}
		// All spellings count as one account, even if no user or no single user has the
		// address. Otherwise an attacker could guess more often.
		for k, spellings := range [][]string{
			{"minji", "minji.kim@test.example", "ＭＩＮＪＩ.kim@test.example", "Minji", "minji.kim@test.example"},
			{"nobody@test.example", "NOBODY@test.example", "ｎｏｂｏｄｙ@test.example", " nobody@test.example", "nobody@test.example"},
			{"team@test.example", "TEAM@test.example", "ｔｅａｍ@test.example", " team@test.example", "team@test.example"},
		} {
			for n, typed := range spellings {
				want := place.wrong
				if n >= 3 {
					want = http.StatusTooManyRequests
				}
				if got := place.try(typed, "not the one, 4711", fmt.Sprintf("198.51.100.%d", 20*i+k)); got.status != want {
					t.Errorf("%s: attempt %d, %q: %d, not %d", name, n, typed, got.status, want)
				}
			}
		}
	}
	if log := s.log.String(); strings.Contains(strings.ToLower(log), "@test.example") {
		t.Error("the log holds an address")
	}

	// The operator sees which users cannot sign in by their address.
	var list []userJSON
	d.mustJSON(&list, "user", "list")
	shared := map[string]bool{}
	for _, u := range list {
		if u.EmailShared {
			shared[u.Username] = true
		}
	}
	if got := strings.Join(slices.Sorted(maps.Keys(shared)), " "); got != "a b c" {
		t.Errorf("%q share an address", got)
	}
	var one userJSON
	d.mustJSON(&one, "user", "show", "c")
	text, table := d.must("user", "show", "a"), d.must("user", "list")
	if !one.EmailShared || !strings.Contains(text, "Team@test.example (shared with b: does not sign them in)\n") || strings.Count(table, "(shared)") != 3 {
		t.Errorf("%+v\n%s\n%s", one, text, table)
	}
	// A user who shares an address can be updated, and with another address no longer
	// shares it.
	d.must("user", "update", "a", "--add-role", "ops")
	d.mustJSON(&one, "user", "update", "a", "--add-claims", `{"locale": "ko"}`)
	if !one.EmailShared {
		t.Errorf("%+v", one)
	}
	d.must("user", "update", "a", "--email", "a@test.example")
	before := sessions("b")
	if got := places["the page"].try("team@test.example", goodPassword, "203.0.113.1"); got.status != http.StatusSeeOther || sessions("b") != before+1 {
		t.Errorf("the one who has it now: %d", got.status)
	}
}

// TestWhatIsTypedAtSignInMakesNoDifferenceToTheDatabase: the statements are the same,
// whatever is typed. Otherwise the time of an answer could tell an attacker which users
// exist.
func TestWhatIsTypedAtSignInMakesNoDifferenceToTheDatabase(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		d.must("migrate", "up")
		s, asked := d.startHere("INGAM_CHANGES_STALENESS=1m", "INGAM_THROTTLE_SIGN_IN_FAILURES=1000")
		d.user("minji")
		d.user("both@test.example", "--email", "both@test.example")
		d.share("team@test.example", "a", "b")
		want := ""
		for _, typed := range []string{"nobody", "minji", "minji@test.example", "nobody@test.example", "both@test.example", "team@test.example"} {
			asked.Take()
			sc := s.person().post(s.url+"/login", url.Values{"username": {typed}, "password": {"not the one, 4711"}})
			got := fmt.Sprint(sc.status, "\n", strings.Join(asked.Take(), "\n"))
			if want == "" {
				want = got
			}
			if got != want || strings.Count(got, "users") == 0 {
				t.Errorf("%q: %s\nnot %s", typed, got, want)
			}
		}
	})
}
