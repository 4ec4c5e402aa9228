package processes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestUnknownAndKnownUsersLookTheSame(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		a := d.webClient("app")
		d.user("minji")
		d.user("disabled")
		d.must("user", "disable", "disabled")
		d.share("team@test.example", "a", "b")
		p := s.person()
		page := p.get(a.request())
		try := func(user, password string) screen {
			t.Helper()
			sc := page.submit("username", user, "password", password)
			// The page repeats the name that was typed, and two header fields differ in
			// every answer. Without these, the answers can be compared.
			sc.body = strings.ReplaceAll(sc.body, `value="`+user+`"`, `value="USER"`)
			for _, field := range []string{"X-Request-Id", "Date"} {
				sc.header.Del(field)
			}
			return sc
		}
		want := try("minji", "not the one, 4711")
		if want.status != http.StatusUnprocessableEntity || !strings.Contains(want.body, "do not belong together") || len(want.header.Values("Set-Cookie")) != 0 {
			t.Fatalf("%d %s", want.status, want.body)
		}
		for what, got := range map[string]screen{
			"an unknown user": try("nobody", "not the one, 4711"), "a disabled user": try("disabled", goodPassword),
			"a disabled user with a wrong password": try("disabled", "not the one, 4711"), "a name that cannot be": try("a b", "not the one, 4711"),
			"an address": try("minji@test.example", "not the one, 4711"), "an unknown address": try("nobody@test.example", goodPassword),
			"the address of a disabled user": try("disabled@test.example", goodPassword), "a shared address": try("team@test.example", goodPassword),
			"no password": try("minji", ""), "a long password": try("minji", strings.Repeat("x", 5000)),
		} {
			if got.status != want.status || got.body != want.body && what != "a name that cannot be" || len(got.header) != len(want.header) {
				t.Errorf("%s: %d %v\n%s", what, got.status, got.header, got.body)
			}
		}
		if log := s.log.String(); strings.Contains(log, "not the one, 4711") || strings.Contains(log, goodPassword) {
			t.Error("the log holds a password")
		}
		sc := page.submit("username", " MINJI", "password", goodPassword)
		if sc.status != http.StatusSeeOther {
			t.Errorf("the name as people type it: %d %s", sc.status, sc.body)
		}
		if set := strings.Join(sc.header.Values("Set-Cookie"), "\n"); !strings.Contains(set, fmt.Sprintf("Max-Age=%d", int(sessions.DeviceLife.Seconds()))) {
			t.Errorf("the browser is not known for as long as its row is kept: %s", set)
		}
	})
}

// TestTheLogSaysWhoWasNotSignedInAndWhy: the log has the user and the reason. The answer
// has neither: wherever a password is asked for, it is the same for all reasons.
func TestTheLogSaysWhoWasNotSignedInAndWhy(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_SIGN_IN_FAILURES=6")
	d.signInApp("mobile")
	minji, gone := d.user("minji"), d.user("gone")
	d.must("user", "disable", "gone")
	own := s.person()
	own.get("/login").submit("username", "minji", "password", goodPassword)
	page := s.person().get("/login")
	const typed = "somebody-pasted-4711"
	// logged returns the error, the user and the reason from the log record of a request.
	logged := func(header http.Header) (found [3]string) {
		t.Helper()
		id := header.Get("X-Request-Id")
		eventually(t, "the request is logged", 10*time.Second, func() bool {
			for line := range strings.Lines(s.log.String()) {
				var rec struct {
					ID            string `json:"request_id"`
					UserID        string `json:"user_id"`
					Error, Reason string
				}
				if json.Unmarshal([]byte(line), &rec) == nil && rec.ID == id {
					found = [3]string{rec.Error, rec.UserID, rec.Reason}
					return true
				}
			}
			return false
		})
		return found
	}
	type told struct {
		status int
		body   string
		header http.Header
	}
	form := func(user, password string) told {
		sc := page.submit("username", user, "password", password)
		return told{sc.status, strings.ReplaceAll(sc.body, `value="`+user+`"`, ""), sc.header}
	}
	app := func(user, password string) told {
		a := s.postJSON("/login", members{"id": user, "pw": password, "client_id": "mobile"})
		return told{a.status, a.body, a.header}
	}
	challenge := func(user, password string) told {
		a := s.raw("/oauth2/authorize-challenge", url.Values{
			"client_id": {"mobile"}, "scope": {"read"}, "username": {user}, "password": {password},
			"code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"},
		}.Encode())
		return told{a.status, a.body, a.header}
	}
	for place, try := range map[string]func(user, password string) told{"page": form, "app": app, "challenge": challenge} {
		var first told
		for i, c := range []struct{ user, password, id, reason string }{
			{"minji", "not the one, 4711", minji.ID, "wrong"},
			{typed, goodPassword, "", "unknown"},
			{"gone", goodPassword, gone.ID, "disabled"},
			{"gone", "not the one, 4711", gone.ID, "wrong"},
		} {
			got := try(c.user, c.password)
			if i == 0 {
				first = got
			}
			if got.status != first.status || got.body != first.body || got.status < 400 {
				t.Errorf("%s: %s is told: %d %s", place, c.reason, got.status, got.body)
			}
			if got, want := logged(got.header), [3]string{"wrong_password", c.id, c.reason}; got != want {
				t.Errorf("%s: logged %q, not %q", place, got, want)
			}
		}
	}
	for range 3 {
		form("minji", "not the one, 4711")
	}
	// The guesses for minji from this address are used up now. In the browser that is
	// known there are still some left.
	for place, try := range map[string]func(user, password string) told{"page": form, "app": app, "challenge": challenge} {
		got := try("minji", goodPassword)
		if logged := logged(got.header); got.status != http.StatusTooManyRequests || logged != [3]string{"too_many_attempts", minji.ID, "throttled"} {
			t.Errorf("%s: %d, logged %q", place, got.status, logged)
		}
	}
	sc := own.post(s.url+"/account/password", url.Values{"current": {"wrong"}, "new": {"a wholly new password"}})
	if got := logged(sc.header); got != [3]string{"wrong_password", minji.ID, "wrong"} {
		t.Errorf("logged %q", got)
	}
	for _, text := range []string{typed, goodPassword, "not the one"} {
		if strings.Contains(s.log.String(), text) {
			t.Errorf("the log holds %q", text)
		}
	}
	// Refusals that are not stored yet are stored when the server stops.
	s.stop()
	var events []eventJSON
	d.mustJSON(&events, "audit", "list", "--action", "sign_in.refuse")
	counts := map[string]string{}
	for _, ev := range events {
		counts[ev.Subject+" "+ev.Reason] = ev.Details["count"]
		if address := ev.Details["addresses"]; address != "127.0.0.1" {
			t.Errorf("from %q", address)
		}
	}
	if want := map[string]string{
		minji.ID + " wrong": "7", " unknown": "3", gone.ID + " disabled": "3", gone.ID + " wrong": "3", minji.ID + " throttled": "3",
	}; !maps.Equal(counts, want) {
		t.Errorf("the audit log has %v, not %v", counts, want)
	}
}

func TestGuessingIsThrottledOverAllServersAndLocksNobodyOut(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		settings := []string{"INGAM_THROTTLE_SIGN_IN_FAILURES=3", "INGAM_THROTTLE_SIGN_IN_WINDOW=1h", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1"}
		first, second := d.start(settings...), d.startAt(freeAddress(t), settings...)
		d.user("minji")
		d.user("junho")
		try := func(s *server, p *person, user, password, from string) int {
			t.Helper()
			r, err := http.NewRequest(http.MethodPost, s.url+"/login", strings.NewReader(url.Values{"username": {user}, "password": {password}}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Forwarded-For", from)
			sc := p.do(r)
			if (sc.status == http.StatusTooManyRequests) != (sc.header.Get("Retry-After") != "") {
				t.Errorf("%d with Retry-After %q", sc.status, sc.header.Get("Retry-After"))
			}
			return sc.status
		}
		want := func(what string, got, want int) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d, not %d", what, got, want)
			}
		}
		const wrong, in, tooMany = http.StatusUnprocessableEntity, http.StatusSeeOther, http.StatusTooManyRequests
		known, stranger := first.person(), first.person()
		want("the owner", try(first, known, "minji", goodPassword, "192.0.2.1"), in)
		for i, s := range []*server{first, second, first} {
			want("a failure", try(s, stranger, "minji", "wrong "+string(rune('a'+i)), "192.0.2.9"), wrong)
		}
		for _, s := range []*server{first, second} {
			want("one too many", try(s, stranger, "minji", "wrong", "192.0.2.9"), tooMany)
			want("the right one, after too many", try(s, stranger, "minji", goodPassword, "192.0.2.9"), tooMany)
		}
		want("an unknown user", try(first, stranger, "nobody", "wrong", "192.0.2.9"), wrong)
		want("another user from there", try(first, first.person(), "junho", goodPassword, "192.0.2.9"), in)
		want("the owner from elsewhere", try(first, first.person(), "minji", goodPassword, "192.0.2.1"), in)
		// These guesses come from many addresses, so that the account itself is
		// throttled.
		for i := range 40 {
			try(first, first.person(), "minji", "wrong", "198.51.100."+string(rune('0'+i%10))+string(rune('0'+i/10)))
		}
		want("a stranger from anywhere", try(second, first.person(), "minji", goodPassword, "203.0.113.1"), tooMany)
		want("the owner, in the browser that is known", try(second, known, "minji", goodPassword, "203.0.113.2"), in)
		for range 3 {
			want("whoever has the browser", try(first, known, "minji", "wrong", "203.0.113.2"), wrong)
		}
		want("whoever has the browser, once more", try(second, known, "minji", "wrong", "203.0.113.2"), tooMany)
	})
}

// signIn signs minji in from an address, to an app.
func (s *server) signIn(password, from string, fields ...string) answer {
	s.d.t.Helper()
	return s.postJSON("/login", members{"id": "minji", "pw": password, "client_id": "mobile"}, append([]string{"X-Forwarded-For", from}, fields...)...)
}

// counted returns how many attempts to sign in are counted altogether, without the rows
// with which servers test whether they can write.
func (d *deployment) counted() int {
	d.t.Helper()
	return storagetest.Count(d.t, d.database, "SELECT COALESCE(SUM(n), 0) FROM guesses WHERE subject NOT LIKE 'written by %'")
}

func TestManyRightPasswordsAtOnceAllSignInAndWrongOnesAreBounded(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		// With these settings, each server checks at most one attempt at once with the
		// same account and address, and at most three from the same address.
		settings := []string{"INGAM_THROTTLE_SIGN_IN_FAILURES=3", "INGAM_THROTTLE_SIGN_IN_WINDOW=1h", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1"}
		servers := []*server{d.start(settings...), d.startAt(freeAddress(t), settings...)}
		d.signInApp("mobile")
		d.user("minji")
		atOnce := func(n int, try func(i int, s *server) answer) (statuses []int) {
			t.Helper()
			statuses = make([]int, n)
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() { statuses[i] = try(i, servers[i%2]).status })
			}
			all.Wait()
			return statuses
		}
		allIn := func(what string, statuses []int) {
			t.Helper()
			if want := slices.Repeat([]int{http.StatusOK}, len(statuses)); !slices.Equal(statuses, want) {
				t.Errorf("%s: %v", what, statuses)
			}
			if n := d.counted(); n != 0 {
				t.Errorf("%s: %d are still counted", what, n)
			}
		}
		allIn("one account, one address", atOnce(16, func(_ int, s *server) answer { return s.signIn(goodPassword, "192.0.2.1") }))
		allIn("the next one", []int{servers[0].signIn(goodPassword, "192.0.2.1").status})
		allIn("one account, many addresses", atOnce(8, func(i int, s *server) answer { return s.signIn(goodPassword, fmt.Sprint("198.51.100.", i)) }))
		known := servers[0].person()
		known.get("/login").submit("username", "minji", "password", goodPassword)
		at, err := url.Parse(servers[0].url)
		if err != nil {
			t.Fatal(err)
		}
		device := ""
		for _, c := range known.client.Jar.Cookies(at) {
			if c.Name == "ingam_device" {
				device = c.String()
			}
		}
		allIn("a browser that is known", atOnce(8, func(_ int, s *server) answer { return s.signIn(goodPassword, "192.0.2.1", "Cookie", device) }))

		// These attempts come from one address, each for another user that does not
		// exist. Only as many are checked as the limit of an address allows.
		wrong := 0
		for _, status := range atOnce(60, func(i int, s *server) answer {
			return s.postJSON("/login", members{"id": fmt.Sprint("nobody", i), "pw": "wrong", "client_id": "mobile"}, "X-Forwarded-For", "192.0.2.2")
		}) {
			if status == http.StatusUnauthorized {
				wrong++
			} else if status != http.StatusTooManyRequests {
				t.Errorf("a wrong password: %d", status)
			}
		}
		if wrong != 30 {
			t.Errorf("%d wrong passwords from one address were looked at, not 30", wrong)
		}

		// Wrong passwords are sent beside right ones.
		wrong = 0
		count := func(statuses []int) {
			t.Helper()
			for i, status := range statuses {
				switch {
				case status == http.StatusUnauthorized && i%4 < 2:
					wrong++
				case status == http.StatusOK && i%4 >= 2 || status == http.StatusTooManyRequests:
				default:
					t.Errorf("attempt %d: %d", i, status)
				}
			}
		}
		for range 3 {
			count(atOnce(12, func(i int, s *server) answer {
				if i%4 < 2 {
					return s.signIn("wrong", "192.0.2.3")
				}
				return s.signIn(goodPassword, "192.0.2.3")
			}))
		}
		count([]int{servers[0].signIn("wrong", "192.0.2.3").status, servers[1].signIn("wrong", "192.0.2.3").status})
		if wrong != 3 {
			t.Errorf("%d wrong passwords for one account from one address were looked at, not 3", wrong)
		}
		if a := servers[1].signIn(goodPassword, "192.0.2.3"); a.status != http.StatusTooManyRequests || len(a.header.Get("Retry-After")) != 4 {
			t.Errorf("after too many: %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
		}
	})
}

func TestWhoeverHangsUpIsNotCounted(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start("INGAM_THROTTLE_SIGN_IN_FAILURES=1", "INGAM_THROTTLE_SIGN_IN_WINDOW=1h", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1")
		d.signInApp("mobile")
		d.user("minji")
		begun := time.Now()
		s.signIn(goodPassword, "192.0.2.1").pair(t)
		patience := time.Since(begun)
		const times = 20
		for i := range times {
			ctx, hangUp := context.WithTimeout(t.Context(), patience*time.Duration(i+1)/times)
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/login", strings.NewReader(`{"id":"minji","pw":"`+goodPassword+`","client_id":"mobile"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			if a, err := send(r); err == nil && a.status != http.StatusOK {
				t.Errorf("not hung up: %d %s", a.status, a.body)
			}
			hangUp()
		}
		s.signIn(goodPassword, "192.0.2.1").pair(t)
		eventually(t, "nothing is counted", time.Minute, func() bool { return d.counted() == 0 })
	})
}

// TestACrowdOfSignInsIsToldToComeAgain: while the database cannot be written, no attempt
// can be counted, and all attempts wait in the line. One address may fill only its share
// of the line. Further attempts from it are refused.
func TestACrowdOfSignInsIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start("INGAM_PASSWORDS_AT_ONCE=1", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1")
	d.signInApp("mobile")
	d.user("minji")
	const from, share, more = "192.0.2.1", 64, 8
	owner, stranger := s.person(), s.person()
	owner.get("/login").submit("username", "minji", "password", goodPassword)
	// Of the crowd and the stranger alone: a record is written after its answer, and that of
	// the owner may come late.
	answered := func() (n int) {
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, `"path":"/login","status"`) && strings.Contains(line, `"address":"`+from+`"`) {
				n++
			}
		}
		return n
	}
	unlock := storagetest.LockWrites(t, d.database)
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	answers := make(chan answer, share+more)
	for i := range share + more {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/login", strings.NewReader(fmt.Sprintf(`{"id":"nobody%d","pw":"wrong","client_id":"mobile"}`, i)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", from)
		go func() {
			if a, err := send(r); err == nil {
				answers <- a
			}
		}()
	}
	for range more {
		a := <-answers
		wantUnavailable(t, "an app", a)
		if a.header.Get("Retry-After") != "4" {
			t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
		}
	}
	wantUnavailable(t, "a challenge", s.raw("/oauth2/authorize-challenge", url.Values{
		"client_id": {"mobile"}, "scope": {"read"}, "username": {"minji"}, "password": {goodPassword},
		"code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"},
	}.Encode(), "X-Forwarded-For", from))
	form := func(p *person, path string, values url.Values) screen {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(values.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-For", from)
		sc := p.do(r)
		if sc.status != http.StatusServiceUnavailable || sc.header.Get("Retry-After") != "4" || !strings.Contains(sc.body, "Too many people are signing in right now. Try again in 4 seconds.") {
			t.Errorf("%s: %d, Retry-After %q, %s", path, sc.status, sc.header.Get("Retry-After"), sc.body)
		}
		return sc
	}
	if sc := form(stranger, "/login", url.Values{"username": {"minji"}, "password": {goodPassword}}); !strings.Contains(sc.body, `value="minji"`) || strings.Contains(sc.body, goodPassword) {
		t.Errorf("the page keeps something else than the name: %s", sc.body)
	}
	form(owner, "/account/password", url.Values{"current": {goodPassword}, "new": {"a wholly new password"}})
	hangUp()
	// If the server begins an attempt before it notices the closed connection, it counts
	// that attempt, which is right. So the test waits until it has noticed.
	eventually(t, "the server has noticed that they hung up", time.Minute, func() bool {
		return answered() == share+more+1 // and the page of the stranger
	})
	unlock()
	eventually(t, "nothing is counted, and there is room again", time.Minute, func() bool {
		return s.signIn(goodPassword, from).status == http.StatusOK && d.counted() == 0
	})
}

func TestAFaultOfTheDatabaseIsNoFailedSignIn(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		d.must("migrate", "up")
		d.signInApp("mobile")
		d.user("minji")
		s, asked := d.startHere("INGAM_THROTTLE_SIGN_IN_FAILURES=2", "INGAM_THROTTLE_SIGN_IN_WINDOW=1h")
		in := func(password string) answer {
			t.Helper()
			return s.postJSON("/login", members{"id": "minji", "pw": password, "client_id": "mobile"})
		}
		// failing makes the nth of the statements that contain all parts fail.
		failing := func(nth int, parts ...string) {
			asked.FailWith(func(statement string) error {
				for _, part := range parts {
					if !strings.Contains(statement, part) {
						return nil
					}
				}
				if nth--; nth == 0 {
					return errors.New("broken for a test")
				}
				return nil
			})
		}
		if a := in("wrong"); a.status != http.StatusUnauthorized {
			t.Fatalf("%d %s", a.status, a.body)
		}
		n := d.counted()
		for i := range 20 {
			failing(1, "INSERT", "login_sessions")
			wantUnavailable(t, "a session that cannot be begun", in(goodPassword))
			failing(1+i%3, "INSERT INTO guesses")
			wantUnavailable(t, "an attempt that cannot be counted", in(goodPassword))
		}
		asked.FailWith(nil)
		if got := d.counted(); got != n {
			t.Errorf("%d are counted, not %d", got, n)
		}
		in(goodPassword).pair(t)
		// The server gets no answer, so it cannot know whether the count was undone. It
		// was, and must not be undone twice.
		asked.FailAfter(func(statement string) error {
			if strings.Contains(statement, "UPDATE guesses") {
				return errors.New("broken for a test")
			}
			return nil
		})
		wantUnavailable(t, "an attempt that may not be taken back", in(goodPassword))
		asked.FailAfter(nil)
		if got := d.counted(); got != n {
			t.Errorf("%d are counted, not %d", got, n)
		}
		for _, want := range []int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusTooManyRequests} {
			if a := in("wrong"); a.status != want {
				t.Errorf("a wrong password: %d, not %d", a.status, want)
			}
		}
	})
}

func TestConnectionsThatAreKilledLockNobodyOut(t *testing.T) {
	t.Parallel()
	for _, e := range storagetest.Servers() {
		if e.Kind != storage.PostgreSQL {
			continue // it does not tell whether a statement that was killed has been done
		}
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			d := deploymentAt(t, started.New(t, e))
			s := d.start("INGAM_THROTTLE_SIGN_IN_WINDOW=1h", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1")
			d.signInApp("mobile")
			d.user("minji")
			tried := make(chan struct{})
			var trying sync.WaitGroup
			for i := range 4 {
				trying.Go(func() {
					for range 15 {
						if a := s.signIn(goodPassword, fmt.Sprint("192.0.2.", i%2)); a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
							t.Errorf("a right password: %d %s", a.status, a.body)
						}
					}
				})
			}
			go func() { trying.Wait(); close(tried) }()
			for ended := false; !ended; {
				storagetest.Exec(t, d.database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
				select {
				case <-tried:
					ended = true
				case <-time.After(50 * time.Millisecond):
				}
			}
			eventually(t, "somebody signs in", time.Minute, func() bool {
				return s.signIn(goodPassword, "192.0.2.0").status == http.StatusOK
			})
			t.Logf("%d are still counted", d.counted())
		})
	}
}

func TestALoginSessionIsNewAtEachSignInAndEndsWhenItIsTold(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app", "--post-logout-redirect-uri", "https://app.test/bye")
	d.user("minji")
	d.user("junho")
	p := s.person()
	cookie := func(sc screen, name string) string {
		t.Helper()
		for _, c := range sc.header.Values("Set-Cookie") {
			if value, is := strings.CutPrefix(c, name+"="); is {
				if !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") || strings.Contains(c, "Domain") {
					t.Errorf("a cookie is set as %s", c)
				}
				value, _, _ = strings.Cut(value, ";")
				return value
			}
		}
		t.Fatalf("no cookie %s: %v", name, sc.header)
		return ""
	}
	signIn := func(user string) string {
		t.Helper()
		return cookie(p.get("/login").submit("username", user, "password", goodPassword), "ingam_session")
	}
	first := signIn("minji")
	second := signIn("minji")
	if first == second {
		t.Error("the session is the same after signing in again")
	}
	use := func(value string) screen {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, s.url+"/account", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: "ingam_session", Value: value})
		return s.person().do(r)
	}
	if sc := use(first); sc.status != http.StatusSeeOther {
		t.Errorf("the former session is alive: %d", sc.status)
	}
	if sc := use(second); sc.status != http.StatusOK || strings.Contains(sc.body, second) {
		t.Errorf("%d %s", sc.status, sc.body)
	}
	for _, made := range []string{"", "x", first + second, "' OR 1=1 --"} {
		if sc := use(made); sc.status != http.StatusSeeOther {
			t.Errorf("a session of %q: %d", made, sc.status)
		}
	}

	// The session of another browser can be ended on the account page, but not by another
	// user.
	elsewhere := s.person()
	elsewhere.get("/login").submit("username", "minji", "password", goodPassword)
	junho := s.person()
	junho.get("/login").submit("username", "junho", "password", goodPassword)
	var sessions []sessionJSON
	if d.mustJSON(&sessions, "session", "list", "--user", "minji"); len(sessions) != 2 {
		t.Fatalf("%+v", sessions)
	}
	junho.post(s.url+"/account/sessions", url.Values{"id": {sessions[0].ID}})
	if sc := elsewhere.get("/account"); sc.status != http.StatusOK {
		t.Errorf("somebody else ended the session: %d", sc.status)
	}
	for _, session := range sessions {
		if !strings.Contains(p.get("/account").body, session.ID) {
			continue // the session of this browser cannot be ended there
		}
		p.post(s.url+"/account/sessions", url.Values{"id": {session.ID}})
	}
	if sc := elsewhere.get("/account"); sc.status != http.StatusSeeOther {
		t.Errorf("the session is alive: %d", sc.status)
	}

	// A new password ends all other sessions.
	p.signIn("minji", a.request())
	elsewhere.get("/login").submit("username", "minji", "password", goodPassword)
	sc := p.post(s.url+"/account/password", url.Values{"current": {"wrong"}, "new": {"another good one"}})
	if sc.status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong password changes it: %d", sc.status)
	}
	for _, bad := range []string{"", "short", "MINJI", "password1", "Password1!", "minjiminji", "qwertyuiop", "aaaaaaaaaaaa", strings.Repeat("x", 257), "with a\x00byte"} {
		sc := p.post(s.url+"/account/password", url.Values{"current": {goodPassword}, "new": {bad}})
		if sc.status != http.StatusUnprocessableEntity || p.get("/account").status != http.StatusOK {
			t.Errorf("the password %q is taken: %d", bad, sc.status)
		}
	}
	if sc := p.post(s.url+"/account/password", url.Values{"current": {goodPassword}, "new": {"another good one"}}); sc.status != http.StatusOK || !strings.Contains(sc.body, "is changed") {
		t.Errorf("%d %s", sc.status, sc.body)
	}
	if sc := p.get("/account"); sc.status != http.StatusOK {
		t.Errorf("the browser in which it was changed is signed out: %d", sc.status)
	}
	if sc := elsewhere.get("/account"); sc.status != http.StatusSeeOther {
		t.Errorf("another browser is signed in with the old password: %d", sc.status)
	}
}

func TestPagesOfOtherSitesActForNobody(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app", "--post-logout-redirect-uri", "https://app.test/bye")
	d.user("minji")
	d.user("junho")
	p := s.person()
	set := a.tokens(s, p, "minji")
	consent := p.get(a.request("prompt", "consent"))
	before := d.state()
	for _, path := range []string{"/login", "/consent", "/logout", "/account/sessions", "/account/apps", "/account/password"} {
		for field, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"} {
			form := url.Values{"decision": {"out"}, "client": {"app"}, "username": {"junho"}, "password": {goodPassword}, "current": {goodPassword}, "new": {"another good one"}}
			if path == "/consent" {
				form = *consent.form
				form.Set("decision", "allow")
			}
			r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(field, value)
			if sc := p.do(r); sc.status != http.StatusForbidden || len(sc.header.Values("Set-Cookie")) != 0 {
				t.Errorf("%s with %s: %d", path, field, sc.status)
			}
		}
	}
	// Somebody has edited the hidden fields.
	for what, sc := range map[string]screen{
		"another session": consent.submit("decision", "allow", "session", "x"), "another address": consent.submit("decision", "allow", "request", strings.Replace(consent.form.Get("request"), "app.test", "evil.test", 1)),
		"no request": consent.submit("decision", "allow", "request", ""), "rubbish": consent.submit("decision", "allow", "request", "%zz"),
		"a destination elsewhere": s.person().get(a.request()).submit("username", "nobody", "password", "x", "then", "https://evil.test/"),
	} {
		if sc.to != "" || sc.status < 400 || sc.status > 499 {
			t.Errorf("%s: %d to %s", what, sc.status, sc.to)
		}
	}
	if after := d.state(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	// After signing in, the browser is only sent to addresses of this server. An open
	// redirect would help phishing.
	for _, then := range []string{"https://evil.test/", "//evil.test/", `/\evil.test`, "/oauth2/authorize", "javascript:alert(1)", "/account/../evil"} {
		q := s.person()
		if sc := q.get("/login").submit("username", "junho", "password", goodPassword, "then", then); sc.to != "/account" {
			t.Errorf("then=%s leads to %s", then, sc.to)
		}
	}
	// Two people use one browser. One of them cannot allow what the other was asked.
	page := p.get(a.request("prompt", "consent", "scope", "openid email"))
	p.get("/login").submit("username", "junho", "password", goodPassword)
	if sc := page.submit("decision", "allow"); sc.status != http.StatusForbidden {
		t.Errorf("somebody else's consent: %d %s", sc.status, sc.to)
	}

	// Sign-out redirects only to addresses of the client that asks.
	for what, c := range map[string]struct {
		query url.Values
		to    string
	}{
		"nothing":              {nil, ""},
		"an address":           {url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {"https://app.test/bye"}, "state": {"s"}}, "https://app.test/bye?state=s"},
		"an address elsewhere": {url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {"https://evil.test"}}, ""},
		"nobody's address":     {url.Values{"post_logout_redirect_uri": {"https://app.test/bye"}}, ""},
		"a redirect URI":       {url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {callback}}, ""}, // for sign-out it has registered another address
		"a hint of another":    {url.Values{"client_id": {"other"}, "id_token_hint": {set.ID}}, "refused"},
		"a forged hint":        {url.Values{"id_token_hint": {tamper(set.ID)}}, ""},
	} {
		q := s.person()
		q.get("/login").submit("username", "junho", "password", goodPassword)
		sc := q.get("/logout?" + c.query.Encode())
		if c.to == "refused" {
			if sc.status != http.StatusBadRequest || q.get("/account").status != http.StatusOK {
				t.Errorf("%s: %d", what, sc.status)
			}
			continue
		}
		if sc = sc.submit("decision", "out"); sc.to != c.to || q.get("/account").status != http.StatusSeeOther {
			t.Errorf("%s: %d to %s", what, sc.status, sc.to)
		}
	}
	// With an ID token of this session, the page does not ask. A form of the app comes
	// without this server's cookie, so it takes one more hop.
	p.get("/login").submit("username", "minji", "password", goodPassword)
	set = a.tokens(s, p, "minji")
	form := url.Values{"id_token_hint": {set.ID}, "post_logout_redirect_uri": {"https://app.test/bye"}, "state": {"s"}}
	r, err := http.NewRequest(http.MethodPost, s.url+"/logout", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	hop := p.do(r)
	if hop.status != http.StatusOK || hop.post != "/logout" || len(hop.header.Values("Set-Cookie")) != 0 || p.get("/account").status != http.StatusOK {
		t.Errorf("%d %s", hop.status, hop.body)
	}
	if sc := hop.submit(); sc.to != "https://app.test/bye?state=s" || p.get("/account").status != http.StatusSeeOther {
		t.Errorf("%d to %s", sc.status, sc.to)
	}
	p.get("/login").submit("username", "minji", "password", goodPassword)
	set = a.tokens(s, p, "minji")
	if sc := p.get("/logout?" + url.Values{"id_token_hint": {set.ID}, "post_logout_redirect_uri": {"https://app.test/bye"}}.Encode()); sc.to != "https://app.test/bye" {
		t.Errorf("%d %s", sc.status, sc.body)
	}
	if got := a.refresh(s, set.Refresh); got.status != http.StatusBadRequest {
		t.Errorf("the grant outlives the session: %d", got.status)
	}
}

func TestConsentIsForTheClientThatWasShownAndTheAPIsThatWereNamed(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.must("api", "create", "--audience", "https://bank.test", "--name", "Bank", "--scope", "read")
	a := d.webClient("app", "--audience", "https://bank.test")
	d.user("minji")
	p := s.person()
	if sc := p.get(a.request()).submit("username", "minji", "password", goodPassword).follow(); !strings.Contains(sc.body, "https://api.test") {
		t.Errorf("the page does not name the API:\n%s", sc.body)
	}
	p.signIn("minji", a.request("resource", "https://api.test"))
	if r := p.get(a.request("resource", "https://bank.test", "prompt", "none")).response(); r.Get("error") != "consent_required" {
		t.Errorf("allowed at one API, and had at another: %v", r)
	}
	if sc := p.get("/account"); !strings.Contains(sc.body, "https://api.test") || strings.Contains(sc.body, "https://bank.test") {
		t.Errorf("the account does not tell:\n%s", sc.body)
	}
	// A code that was not redeemed yet ends with the access.
	code := p.get(a.request("scope", "openid read")).response().Get("code")
	p.post(s.url+"/account/apps", url.Values{"client": {"app"}})
	wantRefused(t, "a code of before", a.redeem(s, code), 400, "invalid_grant")
	// A client with --skip-consent asks for no consent. The account shows it all the
	// same, and its access can be removed there.
	own := d.webClient("own", "--skip-consent")
	set := own.tokens(s, p, "minji")
	if sc := p.get("/account"); !strings.Contains(sc.body, "App own") {
		t.Errorf("the account does not show what has access:\n%s", sc.body)
	}
	p.post(s.url+"/account/apps", url.Values{"client": {"own"}})
	wantRefused(t, "a refresh after that", own.refresh(s, set.Refresh), 400, "invalid_grant")
	if sc := p.get("/account"); strings.Contains(sc.body, "App own") {
		t.Errorf("the account shows what has no access:\n%s", sc.body)
	}
	// A new client with the same id does not inherit the consent.
	p.signIn("minji", a.request())
	d.must("client", "delete", "app")
	next := d.webClient("app")
	if r := p.get(next.request("prompt", "none")).response(); r.Get("error") != "consent_required" {
		t.Errorf("the next client with the id: %v", r)
	}
}

func TestSigningInAgainForOneClientEndsNothingAtAnother(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a, other := d.webClient("app"), d.webClient("other")
	d.user("minji")
	d.user("junho")
	p := s.person()
	set := a.tokens(s, p, "minji")
	again := other.tokens(s, p, "minji", "prompt", "login")
	if part(t, set.ID, 1)["sid"] != part(t, again.ID, 1)["sid"] {
		t.Error("signing in again is another session")
	}
	next := a.refresh(s, set.Refresh).tokens(t)
	// If another user signs in with this browser, the session is replaced and its grants
	// end.
	other.tokens(s, p, "junho", "prompt", "login")
	wantRefused(t, "the grant of a session that was replaced", a.refresh(s, next.Refresh), 400, "invalid_grant")
}
