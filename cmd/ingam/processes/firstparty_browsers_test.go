package processes

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
)

const appOrigin = "http://127.0.0.1:5173"

// tabs are the tabs of one browser, which share its cookies.
type tabs struct {
	mu     sync.Mutex
	jar    map[string]string
	client string
}

func (b *tabs) fields(more ...string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var cookies []string
	for name, value := range b.jar {
		cookies = append(cookies, name+"="+value)
	}
	return append([]string{"Origin", appOrigin, "Cookie", strings.Join(append(cookies, more...), "; ")}, "Sec-Fetch-Site", "same-site")
}

// take stores the cookies of an answer as a browser does.
func (b *tabs) take(a answer) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if b.jar[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.jar, c.Name)
		}
	}
	return a
}

func (b *tabs) signIn(t testing.TB, s *server, user string) tokenPair {
	t.Helper()
	return b.take(s.postJSON("/login", members{"id": user, "pw": goodPassword, "client_id": b.client}, b.fields()...)).pair(t)
}

func (b *tabs) refresh(s *server) answer {
	return b.take(s.postJSON("/token/refresh", members{"client_id": b.client}, b.fields()...))
}

func (b *tabs) refreshToken() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.jar[refreshCookie(b.client)]
}

func newTabs(client string) *tabs { return &tabs{jar: map[string]string{}, client: client} }

// with returns a browser that has only the given refresh token.
func (b *tabs) with(token string) *tabs {
	return &tabs{jar: map[string]string{refreshCookie(b.client): token}, client: b.client}
}

func TestTabsOfOneBrowserStaySignedIn(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		both := [2]*server{d.start(), d.startAt(freeAddress(t))}
		d.signInApp("spa", "--origin", appOrigin)
		d.signInApp("brief", "--origin", appOrigin, "--refresh-grace", "1ms")
		d.signInApp("strict", "--origin", appOrigin, "--refresh-grace", "0s")
		d.user("minji")
		b := newTabs("spa")
		b.signIn(t, both[0], "minji")
		// A slow tab sends the first cookie after another tab has refreshed twice, the
		// second time with its new cookie. All of them get the same successor.
		slow := b.with(b.refreshToken())
		b.refresh(both[0]).pair(t)
		second := b.refreshToken()
		b.refresh(both[1]).pair(t)
		if a := slow.refresh(both[0]); a.status != http.StatusOK || slow.refreshToken() != second || b.refreshToken() != second {
			t.Errorf("%d %s: %t %t", a.status, a.body, slow.refreshToken() == second, b.refreshToken() == second)
		}
		// The same is true of many tabs, in any order.
		var group sync.WaitGroup
		for range 12 {
			group.Go(func() {
				for range 3 {
					time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
					sent := b.with(b.refreshToken())
					time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
					if a := b.take(sent.refresh(both[rand.IntN(2)])); a.status != http.StatusOK {
						t.Errorf("%d %s", a.status, a.body)
					}
				}
			})
		}
		group.Wait()
		b.refresh(both[0]).pair(t)
		if events := d.events(t, "grant.reuse"); len(events) != 0 {
			t.Errorf("%+v", events)
		}

		// After the grace the token rotates again. The first token was replaced twice, so
		// using it is reuse, as by a thief.
		brief := newTabs("brief")
		brief.signIn(t, both[0], "minji")
		first := brief.refreshToken()
		for range 2 {
			was := brief.refreshToken()
			brief.refresh(both[0]).pair(t)
			if brief.refreshToken() == was {
				t.Error("not rotated after the grace")
			}
			time.Sleep(20 * time.Millisecond)
		}
		if a := brief.with(first).refresh(both[0]); a.status != http.StatusUnauthorized {
			t.Errorf("%d %s", a.status, a.body)
		}
		wantRevoked(t, d, "brief", true, "after reuse")
		strict := newTabs("strict")
		strict.signIn(t, both[0], "minji")
		for range 2 {
			was := strict.refreshToken()
			strict.refresh(both[0]).pair(t)
			if strict.refreshToken() == was {
				t.Error("not rotated without a grace")
			}
		}
	})
}

func TestSigningInAgainEndsWhatTheBrowserHad(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start()
		d.signInApp("spa", "--origin", appOrigin, "--scope", "read write offline_access")
		d.signInApp("other", "--origin", appOrigin)
		d.user("minji")
		d.user("jun")
		api := d.client("api")
		elsewhere, b := newTabs("spa"), newTabs("spa")
		elsewhere.signIn(t, s, "minji")
		first := b.signIn(t, s, "minji")
		before := b.with(b.refreshToken())
		// Another app in the same browser.
		other := &tabs{jar: b.jar, client: "other"}
		other.signIn(t, s, "minji")
		for _, user := range []string{"minji", "jun"} {
			// Between two sign-ins of this app, another user signs in to the other app.
			other.signIn(t, s, "jun")
			b.signIn(t, s, user)
			if a := before.refresh(s); a.status != http.StatusUnauthorized {
				t.Errorf("%s: what was before: %d %s", user, a.status, a.body)
			}
			before = b.with(b.refreshToken())
		}
		if s.active("api", api, first.Access) {
			t.Error("the first access token is good")
		}
		for what, still := range map[string]*tabs{"another browser": elsewhere, "another app": other, "the last": b} {
			if a := still.refresh(s); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		}
		if events := d.events(t, "session.end"); len(events) != 4 || events[0].Reason != "signed in again" || events[0].Actor != "client:other" || events[1].Actor != "client:spa" {
			t.Errorf("%+v", events)
		}
		// Two sign-ins at once must not end each other: at least one stays. The next one
		// ends both.
		second := d.startAt(freeAddress(t))
		two := [2]*tabs{b.with(b.refreshToken()), b.with(b.refreshToken())}
		var group sync.WaitGroup
		for i, tab := range two {
			tab.jar["ingam_device"] = b.jar["ingam_device"]
			group.Go(func() {
				tab.take([2]*server{s, second}[i].postJSON("/login", members{"id": "jun", "pw": goodPassword, "client_id": "spa"}, tab.fields()...))
			})
		}
		group.Wait()
		lives := 0
		for _, tab := range two {
			if a := tab.with(tab.refreshToken()).refresh(s); a.status == http.StatusOK {
				lives++
			}
		}
		if lives == 0 {
			t.Error("none of two is signed in")
		}
		b.signIn(t, s, "jun")
		for _, tab := range two {
			if a := tab.refresh(s); a.status != http.StatusUnauthorized {
				t.Errorf("one of two: %d %s", a.status, a.body)
			}
		}
		if events := d.events(t, "session.begin"); events[0].Details["client_id"] != "spa" {
			t.Errorf("%+v", events[0])
		}
	})
}

func TestWhatElseIsInTheCookieJarIsInNobodysWay(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.signInApp("spa", "--origin", appOrigin)
	d.signInApp("other", "--origin", appOrigin)
	d.user("minji")
	d.user("jun")
	b, other, neighbour := newTabs("spa"), newTabs("other"), newTabs("spa")
	b.signIn(t, s, "minji")
	other.signIn(t, s, "minji")
	neighbour.signIn(t, s, "jun")
	name := refreshCookie("spa")
	send := func(path string, m members, cookies ...string) answer {
		return s.postJSON(path, m, "Origin", appOrigin, "Cookie", strings.Join(cookies, "; "))
	}
	good, planted := name+"="+b.refreshToken(), name+"="+neighbour.refreshToken()
	for what, cookies := range map[string][]string{
		"rubbish before": {name + "=x", good}, "rubbish behind": {good, name + "=x"}, "twice": {good, good}, "an empty one": {name + "=", good},
		"another app's, under this name": {name + "=" + other.refreshToken(), good}, "under another name": {refreshCookie("third") + "=" + b.refreshToken(), good},
	} {
		for _, m := range []members{{}, {"client_id": "spa"}} {
			if a := send("/token/refresh", m, cookies...); a.status != http.StatusOK {
				t.Errorf("%s, %v: %d %s", what, m, a.status, a.body)
			}
		}
	}
	for what, c := range map[string]struct {
		m       members
		cookies []string
		status  int
	}{
		"only rubbish": {members{"client_id": "spa"}, []string{name + "=x"}, 401}, "an empty one": {members{}, []string{name + "="}, 401},
		"two apps'":    {members{}, []string{good, refreshCookie("other") + "=" + other.refreshToken()}, 400},
		"two people's": {members{"client_id": "spa"}, []string{good, planted}, 401},
		"two devices":  {members{"client_id": "spa"}, []string{planted, good, "ingam_device=" + neighbour.jar["ingam_device"], "ingam_device=" + b.jar["ingam_device"]}, 401},
		"theirs and that of whom the browser knows": {members{"client_id": "spa"}, []string{planted, good, "ingam_device=" + b.jar["ingam_device"]}, 200},
		"a hundred":   {members{}, strings.Split(strings.Repeat(name+"=x,", 100), ","), 400},
		"one of them": {members{"client_id": "other"}, []string{good, refreshCookie("other") + "=" + other.refreshToken()}, 200},
	} {
		if a := send("/token/refresh", c.m, c.cookies...); a.status != c.status {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	// Signing out deletes a cookie that was sent, even if its content is wrong.
	for what, cookies := range map[string][]string{"rubbish": {name + "=x"}, "another app's": {name + "=" + other.refreshToken()}, "none": nil} {
		a := send("/token/logout", members{"client_id": "spa"}, cookies...)
		if a.status != http.StatusNoContent || len(a.header.Values("Set-Cookie")) != len(cookies) || a.header.Get("Cache-Control") != "no-store" || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %v", what, a.status, a.header)
		}
	}
	for what, fields := range map[string][]string{"no origin": nil, "another": {"Origin", "http://evil.test"}} {
		for _, path := range []string{"/token/logout", "/token/refresh"} {
			a := s.postJSON(path, members{"client_id": "spa"}, append(fields, "Cookie", name+"=x")...)
			if a.status != http.StatusForbidden || len(a.header.Values("Set-Cookie")) != 0 {
				t.Errorf("%s: %d %v", what, a.status, a.header)
			}
		}
	}
	b.refresh(s).pair(t)
	other.refresh(s).pair(t)
	// Signing out ends the sessions of all cookies that were sent.
	if a := send("/token/logout", members{}, name+"="+b.refreshToken(), planted); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, gone := range []*tabs{b, neighbour} {
		if a := gone.refresh(s); a.status != http.StatusUnauthorized {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestADeviceIsNoProofWhereItCanBePlanted: if the issuer has a path, its cookies cannot
// have the prefix __Host-. So a server of a sibling domain can plant the device cookie,
// too.
func TestADeviceIsNoProofWhereItCanBePlanted(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.startBelow("/auth")
	d.signInApp("spa", "--origin", appOrigin)
	d.user("minji")
	d.user("jun")
	in := func(user string) (refresh, device string) {
		a := s.postJSON("/auth/login", members{"id": user, "pw": goodPassword, "client_id": "spa"}, "Origin", appOrigin)
		for _, c := range (&http.Response{Header: a.header}).Cookies() {
			if c.Name == refreshCookie("spa") {
				refresh = c.Name + "=" + c.Value
			} else {
				device = c.Name + "=" + c.Value
			}
		}
		return refresh, device
	}
	hers, device := in("minji")
	planted, plantedDevice := in("jun")
	send := func(cookies ...string) int {
		return s.postJSON("/auth/token/refresh", members{"client_id": "spa"}, "Origin", appOrigin, "Cookie", strings.Join(cookies, "; ")).status
	}
	for _, cookies := range [][]string{{plantedDevice, planted, hers, device}, {plantedDevice, planted, hers}} {
		if status := send(cookies...); status != http.StatusUnauthorized {
			t.Errorf("%d", status)
		}
	}
	if status := send(hers, device); status != http.StatusOK {
		t.Errorf("%d", status)
	}
}

// TestAnAppEndsTheSessionsThatItBegan: a first-party client may also send people to the
// server's pages to sign in. It must not end a session that began there.
func TestAnAppEndsTheSessionsThatItBegan(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("both", "--grant", "first_party")
	web := d.webClient("web")
	d.user("minji")
	p := s.person()
	set := a.tokens(s, p, "minji")
	beside := web.tokens(s, p, "minji")
	if out := s.postJSON("/token/logout", members{"refreshToken": set.Refresh}); out.status != http.StatusNoContent {
		t.Fatalf("%d %s", out.status, out.body)
	}
	wantRefused(t, "after signing out", a.refresh(s, set.Refresh), 400, "invalid_grant")
	web.refresh(s, beside.Refresh).tokens(t)
	if page := p.get(s.url + "/account"); page.status != http.StatusOK {
		t.Errorf("%d", page.status)
	}
}

func TestASignInThatIsNotFinishedLeavesNothing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start()
	d.signInApp("mobile")
	d.user("minji")
	login := members{"id": "minji", "pw": goodPassword, "client_id": "mobile"}
	for _, table := range []string{"status_lists", "grants", "login_sessions"} {
		storagetest.Exec(t, d.database, fmt.Sprintf("CREATE TRIGGER broken BEFORE INSERT ON %s BEGIN SELECT RAISE(FAIL, 'broken'); END", table))
		if a := s.postJSON("/login", login); a.status != http.StatusServiceUnavailable && a.status != http.StatusInternalServerError {
			t.Errorf("%s: %d %s", table, a.status, a.body)
		}
		storagetest.Exec(t, d.database, "DROP TRIGGER broken")
		var list []sessionJSON
		if d.mustJSON(&list, "session", "list", "--user", "minji"); len(list) != 0 {
			t.Errorf("%s: %+v", table, list)
		}
	}
	s.postJSON("/login", login).pair(t)
	// If the user is cut during a sign-in, it is refused like a wrong password.
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() {
		defer close(done)
		for range 10 {
			d.must("revoke", "--user", "minji")
		}
	})
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if a := s.postJSON("/login", login); a.status != http.StatusOK && (a.status != http.StatusUnauthorized || strings.Contains(a.body, "code")) {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	group.Wait()
	// The log names a wrong password, for operators who look for guessing.
	s.postJSON("/login", members{"id": "minji", "pw": "wrong", "client_id": "mobile"})
	if !strings.Contains(s.log.String(), `"wrong_password"`) {
		t.Error(s.log.tail(2000))
	}
}

// TestStrangersLockNoUserOfAnAppOut: strangers who guess passwords must not be able to
// lock out the user of an app, nor must one visitor of a backend lock out all its others.
func TestStrangersLockNoUserOfAnAppOut(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start("INGAM_THROTTLE_SIGN_IN_FAILURES=3", "INGAM_THROTTLE_SIGN_IN_WINDOW=1h", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1")
	d.signInApp("mobile")
	for _, user := range []string{"minji", "jun", "sora"} {
		d.user(user)
	}
	login := func(m members, fields ...string) answer {
		for name, value := range map[string]string{"id": "minji", "pw": goodPassword, "client_id": "mobile"} {
			if _, given := m[name]; !given {
				m[name] = value
			}
		}
		return s.postJSON("/login", m, fields...)
	}
	own := login(members{}, "X-Forwarded-For", "192.0.2.1").pair(t)
	a := app{id: "mobile", verifier: strings.Repeat("v", 43)}
	challenged, _ := a.ask(s).json(t)["auth_session"].(string)
	if own.Device == "" || challenged == "" {
		t.Fatalf("%+v %q", own, challenged)
	}
	// Two people use the same device.
	shared := login(members{"id": "jun", "deviceToken": own.Device}).pair(t).Device
	if a := login(members{"deviceToken": "made-up"}).pair(t); a.Device == "made-up" || len(a.Device) != len(own.Device) {
		t.Errorf("what nobody was given: %+v", a)
	}
	for i := range 31 {
		login(members{"pw": "wrong"}, "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i))
	}
	if a := login(members{}, "X-Forwarded-For", "192.0.2.9"); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Fatalf("strangers are heard for ever: %d %s", a.status, a.body)
	}
	if a := login(members{"deviceToken": "made-up"}, "X-Forwarded-For", "192.0.2.9"); a.status != http.StatusTooManyRequests {
		t.Errorf("a device that nobody knows: %d %s", a.status, a.body)
	}
	again := login(members{"deviceToken": own.Device}, "X-Forwarded-For", "192.0.2.9").pair(t)
	if again.Device != own.Device {
		t.Error("the device has another name")
	}
	if a := login(members{"deviceToken": shared}, "X-Forwarded-For", "192.0.2.10").pair(t); len(a.Device) != len(shared) || !strings.Contains(a.Device, own.Device) {
		t.Errorf("%q of %q", a.Device, shared)
	}
	a.ask(s, "auth_session", challenged).asked(t)
	// Guesses that come with the device are limited, too.
	for range 3 {
		if a := login(members{"pw": "wrong", "deviceToken": own.Device}); a.status != http.StatusUnauthorized {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := login(members{"deviceToken": own.Device}); a.status != http.StatusTooManyRequests {
		t.Errorf("guessing with a device: %d %s", a.status, a.body)
	}

	basic := d.backend()
	through := func(user, password, address string) answer {
		m := members{"id": user, "pw": password}
		if address != "" {
			m["address"] = address
		}
		return s.postJSON("/login", m, "Authorization", basic, "X-Forwarded-For", "203.0.113.1")
	}
	for _, address := range []string{"here", "203.0.113.0/24", "203.0.113.1:80"} {
		if a := through("jun", goodPassword, address); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", address, a.status, a.body)
		}
	}
	// If the backend sends the visitor's address, guesses are counted by that address.
	for range 4 {
		through("jun", "wrong", "203.0.113.7")
	}
	if a := through("jun", goodPassword, "203.0.113.7"); a.status != http.StatusTooManyRequests {
		t.Errorf("a visitor who guesses: %d %s", a.status, a.body)
	}
	through("jun", goodPassword, "203.0.113.8").pair(t)
	through("jun", goodPassword, "2001:db8::1").pair(t)
	// Otherwise they are counted by account and backend, and nobody is locked out
	// elsewhere.
	for i := range 40 {
		through([]string{"nobody", "sora"}[i%2], "wrong", "")
	}
	if a := through("sora", goodPassword, ""); a.status != http.StatusTooManyRequests {
		t.Errorf("an account that is guessed through a backend: %d %s", a.status, a.body)
	}
	login(members{"id": "sora"}, "X-Forwarded-For", "192.0.2.77").pair(t)
	for _, a := range atOnce(16, [2]*server{s, s}, func(*server) answer { return through("jun", goodPassword, "") }) {
		a.pair(t)
	}
	var list []sessionJSON
	d.mustJSON(&list, "session", "list", "--user", "jun")
	if len(list) != 19 || list[0].Address != "203.0.113.1" || list[0].ClientID != "backend" || list[16].Address != "2001:db8::/64" || list[17].Address != "203.0.113.8" {
		t.Errorf("%+v", list)
	}
}
