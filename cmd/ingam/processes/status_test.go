package processes

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/storage/storagetest/between"
	"github.com/ingam/ingam/verify"
)

// statusOf returns the place of a token in the status lists.
func statusOf(t testing.TB, token string) (path string, index int64) {
	t.Helper()
	claim, _ := part(t, token, 1)["status"].(map[string]any)
	list, _ := claim["status_list"].(map[string]any)
	uri, _ := list["uri"].(string)
	at, _ := list["idx"].(float64)
	u, err := url.Parse(uri)
	if err != nil || uri == "" {
		t.Fatalf("the token has no status: %v", part(t, token, 1))
	}
	return u.Path, int64(at)
}

// revoked reports whether the token's bit is set in the server's current list.
func (s *server) revoked(t testing.TB, token string) bool {
	t.Helper()
	path, index := statusOf(t, token)
	return s.bit(t, path, index)
}

func (s *server) bit(t testing.TB, path string, index int64) bool {
	t.Helper()
	return s.bitOf(t, s.get(path), path, index)
}

// bitOf is bit for a list that was fetched already.
func (s *server) bitOf(t testing.TB, got answer, path string, index int64) bool {
	t.Helper()
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/statuslist+jwt" {
		t.Fatalf("%s: %d %s", path, got.status, got.body)
	}
	claims := part(t, got.body, 1)
	if claims["sub"] != s.d.issuer+path || claims["iss"] != s.d.issuer {
		t.Errorf("%s is of %v by %v", path, claims["sub"], claims["iss"])
	}
	list := claims["status_list"].(map[string]any)
	packed, err := base64.RawURLEncoding.DecodeString(list["lst"].(string))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := io.ReadAll(z)
	if err != nil || list["bits"] != 1.0 || index >= int64(len(bits))*8 {
		t.Fatalf("%v bits, %d bytes, index %d: %v", list["bits"], len(bits), index, err)
	}
	return bits[index/8]>>(index%8)&1 == 1
}

func TestEveryCutIsInTheListsOfEveryServer(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s, second := d.start(), d.startAt(freeAddress(t))
		a := d.webClient("app")
		service, other := d.client("service"), d.client("other")
		d.user("minji")
		d.user("junho")
		for what, c := range map[string]struct {
			end func(p *person, grant tokenSet, own string)
			// These say which tokens end: those of the grant, of the client
			// service, of another user, of another client.
			grant, own, user, client bool
		}{
			"a grant": {end: func(_ *person, g tokenSet, _ string) {
				d.must("revoke", "--grant", part(t, g.Access, 1)["gid"].(string))
			}, grant: true},
			"a user":      {end: func(*person, tokenSet, string) { d.must("revoke", "--user", "minji") }, grant: true},
			"a session":   {end: func(_ *person, g tokenSet, _ string) { d.must("revoke", "--session", part(t, g.ID, 1)["sid"].(string)) }, grant: true},
			"signing out": {end: func(p *person, _ tokenSet, _ string) { p.get("/logout").submit("decision", "out") }, grant: true},
			"its access token": {end: func(_ *person, g tokenSet, _ string) {
				if e := d.command(g.Access, nil, "revoke", "--token-stdin"); e.status != done {
					t.Fatal(e.stderr)
				}
			}, grant: true},
			"its access token, by the app": {end: func(_ *person, g tokenSet, _ string) {
				s.post("/oauth2/revoke", "", "", url.Values{"client_id": {"app"}, "token": {g.Access}})
			}, grant: true},
			"a refresh token used again": {end: func(_ *person, g tokenSet, _ string) {
				next := a.refresh(s, g.Refresh).tokens(t)
				a.refresh(s, next.Refresh)
				a.refresh(s, g.Refresh)
			}, grant: true},
			"a token of a client's own": {end: func(_ *person, _ tokenSet, own string) {
				s.post("/oauth2/revoke", "service", service, url.Values{"token": {own}})
			}},
			"a client":   {end: func(*person, tokenSet, string) { d.must("revoke", "--client", "service") }, own: true},
			"everything": {end: func(*person, tokenSet, string) { d.must("revoke", "--all") }, grant: true, own: true, user: true, client: true},
		} {
			p := s.person()
			grant, user := a.tokens(s, p, "minji"), a.tokens(s, s.person(), "junho")
			own, again, client := s.token("service", service), s.token("service", service), s.token("other", other)
			for name, token := range map[string]string{"grant": grant.Access, "own": own, "another": again, "user": user.Access, "client": client} {
				if s.revoked(t, token) || second.revoked(t, token) {
					t.Fatalf("%s: the token %s is revoked before", what, name)
				}
			}
			c.end(p, grant, own)
			ended := map[string]bool{grant.Access: c.grant, own: c.own || !c.grant, again: c.own, user.Access: c.user, client: c.client}
			for _, server := range []*server{s, second} {
				for token, want := range ended {
					if want {
						eventually(t, what+" is in the list", 10*time.Second, func() bool { return server.revoked(t, token) })
					}
				}
				for token, want := range ended {
					if got := server.revoked(t, token); got != want {
						t.Errorf("%s: the list says %t of the token of %v, want %t", what, got, part(t, token, 1)["sub"], want)
					}
				}
			}
			// Tokens that are issued afterwards are not revoked.
			for _, token := range []string{a.tokens(s, s.person(), "minji").Access, second.token("service", service)} {
				if s.revoked(t, token) || second.revoked(t, token) {
					t.Errorf("%s: a token that was issued afterwards is revoked", what)
				}
			}
		}
		// When a disabled client is enabled again, its tokens are valid again, at
		// every server.
		token := s.token("service", service)
		d.must("client", "disable", "service")
		eventually(t, "the disabled client's token is in the list", 10*time.Second, func() bool { return second.revoked(t, token) })
		d.must("client", "enable", "service")
		for _, server := range []*server{s, second} {
			eventually(t, "the enabled client's token is in no list", 10*time.Second, func() bool { return !server.revoked(t, token) })
		}
	})
}

func TestACutOutlivesTheServerThatIssued(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s, second := d.start(), d.startAt(freeAddress(t))
		a := d.webClient("app")
		secret := d.client("service")
		d.user("minji")
		grant, own, one := a.tokens(s, s.person(), "minji"), s.token("service", secret), s.token("service", secret)
		// Each revocation is acknowledged. Then the servers are killed.
		for _, token := range []string{grant.Access, one} {
			client, pass := "app", ""
			form := url.Values{"client_id": {"app"}, "token": {token}}
			if token == one {
				client, pass, form = "service", secret, url.Values{"token": {token}}
			} else {
				client = ""
			}
			if got := s.post("/oauth2/revoke", client, pass, form); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		s.kill()
		second.kill()
		again := d.start()
		for what, c := range map[string]struct {
			token string
			want  bool
		}{"the grant": {grant.Access, true}, "the one token": {one, true}, "another of the client's": {own, false}} {
			if got := again.revoked(t, c.token); got != c.want {
				t.Errorf("%s: %t after a restart", what, got)
			}
		}
		// The blocks of indices that the killed server took still belong to the
		// client.
		d.must("revoke", "--client", "service")
		again.kill()
		if again = d.start(); !again.revoked(t, own) {
			t.Error("a token of a dead process outlives the cut of its client")
		}
		if again.revoked(t, again.token("service", secret)) {
			t.Error("a new token is revoked")
		}
	})
}

// TestACutAfterAHandOverSetsBothIndices checks a grant whose status list closes. Its next
// refresh takes an index in another list. A cut then sets both indices, because a valid
// token can have either.
func TestACutAfterAHandOverSetsBothIndices(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		var off atomic.Int64
		d.now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
		d.must("migrate", "up")
		a := d.webClient("app")
		service := d.client("service")
		d.user("minji")
		s, _ := d.startHere("INGAM_STATUS_LIST_SIZE=4096")
		set := a.tokens(s, s.person(), "minji")
		first, firstIndex := statusOf(t, set.Access)
		d.signInApp("spa", "--origin", appOrigin)
		b := newTabs("spa")
		b.signIn(t, s, "minji")
		b.refresh(s).pair(t)
		// No index of the list is left, so it closes.
		storagetest.Exec(t, d.database, "UPDATE status_lists SET next = size, opened_ms = opened_ms - 7200000")
		eventually(t, "the full list closes", time.Minute, func() bool {
			return storagetest.Count(t, d.database, "SELECT COUNT(*) FROM status_lists WHERE closes_ms IS NOT NULL") == 1
		})
		// The server follows changes in order. So when it knows a later change, it
		// knows of the closing.
		own := s.token("service", service)
		s.post("/oauth2/revoke", "service", service, url.Values{"token": {own}})
		eventually(t, "the server knows of the closing", 10*time.Second, func() bool { return s.revoked(t, own) })
		next := a.refresh(s, set.Refresh).tokens(t)
		if path, index := statusOf(t, next.Access); path != first || index != firstIndex {
			t.Errorf("a refresh moved the grant from %s %d to %s %d before the list has closed", first, firstIndex, path, index)
		}
		off.Add(int64(10 * time.Minute))
		// The refresh and its retry have the same index.
		moved := a.refresh(s, next.Refresh).tokens(t)
		again := a.refresh(s, next.Refresh).tokens(t)
		second, secondIndex := statusOf(t, moved.Access)
		if path, index := statusOf(t, again.Access); second == first || path != second || index != secondIndex || again.Refresh != moved.Refresh {
			t.Errorf("from %s to %s %d and %s %d", first, second, secondIndex, path, index)
		}
		// The refresh token of a browser moves as well. It is rotated for that,
		// although it could stay as it is otherwise.
		was := b.refreshToken()
		if path, _ := statusOf(t, b.refresh(s).pair(t).Access); path != second || b.refreshToken() == was {
			t.Errorf("a browser's is in %s, and rotated: %t", path, b.refreshToken() != was)
		}
		was = b.refreshToken()
		if path, _ := statusOf(t, b.refresh(s).pair(t).Access); path != second || b.refreshToken() != was {
			t.Errorf("then it is in %s, and rotated: %t", path, b.refreshToken() != was)
		}
		d.must("revoke", "--grant", part(t, moved.Access, 1)["gid"].(string))
		for path, index := range map[string]int64{first: firstIndex, second: secondIndex} {
			eventually(t, path+" has the cut", 10*time.Second, func() bool { return s.bit(t, path, index) })
		}
		// The list is gone when the last of its tokens has expired.
		off.Add(int64(time.Hour))
		if got := s.get(first); got.status != http.StatusNotFound {
			t.Errorf("%d %s", got.status, got.body)
		}
		if got := s.get("/oauth2/status"); strings.Contains(got.body, first+`"`) || !strings.Contains(got.body, second+`"`) {
			t.Errorf("%s", got.body)
		}
	})
}

func TestTwoServersThatCutTheSameGrantMakeOneCut(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s, second := d.start(), d.startAt(freeAddress(t))
		a := d.webClient("app")
		d.user("minji")
		set := a.tokens(s, s.person(), "minji")
		next := a.refresh(s, set.Refresh).tokens(t)
		answers := make(chan answer, 16)
		for i := range 16 {
			server := []*server{s, second}[i%2]
			// Some requests revoke, by either token, while others refresh.
			switch token := []string{set.Access, next.Refresh}[i/2%2]; {
			case i < 8:
				go func() {
					answers <- server.post("/oauth2/revoke", "", "", url.Values{"client_id": {"app"}, "token": {token}})
				}()
			default:
				go func() { answers <- a.refresh(server, next.Refresh) }()
			}
		}
		var issued []string
		for range 16 {
			got := <-answers
			if got.status != http.StatusOK && got.status != http.StatusBadRequest {
				t.Errorf("%d %s", got.status, got.body)
			}
			if strings.Contains(got.body, "access_token") {
				issued = append(issued, got.tokens(t).Access)
			}
		}
		for _, token := range append(issued, set.Access, next.Access) {
			eventually(t, "the cut is in the list", 10*time.Second, func() bool { return s.revoked(t, token) && second.revoked(t, token) })
		}
		var events []eventJSON
		d.mustJSON(&events, "audit", "list", "--action", "cut.grant")
		if len(events) != 1 {
			t.Errorf("%+v", events)
		}
	})
}

// reader reads a stream of events.
type reader struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel func()
	status int
	id     string // of the last event
	set    map[string]bool
}

// listen connects to the stream. last is the id of the last event that the listener knows;
// it may be empty.
func (s *server) listen(t *testing.T, id, secret, verifier, last string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/oauth2/status/events?verifier="+verifier, nil)
	if err != nil {
		t.Fatal(err)
	}
	if id != "" {
		r.SetBasicAuth(id, secret)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		resp.Body.Close()
	})
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	return &reader{t: t, lines: lines, cancel: cancel, status: resp.StatusCode, set: map[string]bool{}}
}

// next returns the next event.
func (r *reader) next() (event string, data map[string]any) {
	r.t.Helper()
	for r.lines.Scan() {
		name, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "id":
			r.id = value
		case "data":
			mustUnmarshal(r.t, value, &data)
		case "":
			if event != "" {
				return event, data
			}
		}
	}
	r.t.Fatalf("the stream ended: %v", r.lines.Err())
	return "", nil
}

// until reads events until one sets the index, or requests a reload.
func (r *reader) until(path string, index int64) (reload bool) {
	r.t.Helper()
	for !r.set[fmt.Sprint(path, index)] {
		event, data := r.next()
		if event == "reload" {
			return true
		}
		sets, _ := data["set"].([]any)
		for _, set := range sets {
			one := set.(map[string]any)
			u, err := url.Parse(one["uri"].(string))
			if err != nil {
				r.t.Fatal(err)
			}
			for _, i := range one["idx"].([]any) {
				r.set[fmt.Sprint(u.Path, int64(i.(float64)))] = true
			}
		}
	}
	return false
}

func TestTheStreamTellsEachCutOnceAndGoesOnWhereItWasLeft(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s, second := d.start(), d.startAt(freeAddress(t))
		secret, api := d.client("service"), d.client("api")
		var tokens []string
		for range 6 {
			tokens = append(tokens, s.token("service", secret))
		}
		cut := func(token string) {
			t.Helper()
			if got := s.post("/oauth2/revoke", "service", secret, url.Values{"token": {token}}); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		l := s.listen(t, "api", api, "one", "")
		if event, data := l.next(); event != "hello" || data["listener"] == "" || l.id == "" {
			t.Fatalf("%s %v", event, data)
		}
		for _, token := range tokens[:2] {
			cut(token)
			if l.until(statusOf(t, token)) {
				t.Error("a single cut has the lists read again")
			}
		}
		// The listener misses two cuts, and then connects to the other server.
		last := l.id
		l.cancel()
		cut(tokens[2])
		cut(tokens[3])
		eventually(t, "the other server knows of the cuts", 10*time.Second, func() bool { return second.revoked(t, tokens[3]) })
		again := second.listen(t, "api", api, "one", last)
		if event, _ := again.next(); event != "hello" || again.id != last {
			t.Errorf("it goes on with %s %s, and not with %s", event, again.id, last)
		}
		for _, token := range tokens[2:4] {
			if again.until(statusOf(t, token)) {
				t.Error("what was set meanwhile is not told")
			}
		}
		// The listener missed more than a server remembers: this server was
		// started just now.
		last = again.id
		again.cancel()
		cut(tokens[4])
		third := d.startAt(freeAddress(t))
		late := third.listen(t, "api", api, "one", last)
		late.next()
		if event, _ := late.next(); event != "reload" || !third.revoked(t, tokens[4]) {
			t.Errorf("after a gap comes %s", event)
		}
		// The server does not wait for an id that it never gave out.
		for _, last := range []string{"99999999999999", strconv.Itoa(1 << 62)} {
			lost := third.listen(t, "api", api, "two", last)
			if event, _ := lost.next(); event != "hello" || len(lost.id) > 10 {
				t.Errorf("%s: %s %s", last, event, lost.id)
			}
			if event, _ := lost.next(); event != "reload" {
				t.Errorf("%s: %s", last, event)
			}
		}
		// A malformed id counts as none.
		if event, _ := third.listen(t, "api", api, "three", "rubbish").next(); event != "hello" {
			t.Errorf("%s", event)
		}
		// A cut of everything is one reload, and not an event with each index.
		cut(tokens[5])
		d.must("revoke", "--all")
		for !late.until("", -1) {
			t.Error("it was told index by index")
		}
	})
}

// TestAListenerOfAnotherHistoryReadsTheListsAgain checks a failover that lost the last
// change that a listener knows. The number can then belong to another change, which the
// listener does not know. So it must read the lists again.
func TestAListenerOfAnotherHistoryReadsTheListsAgain(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start()
	api := d.client("api")
	newest, last := fmt.Sprint(storagetest.Count(t, d.database, "SELECT n FROM change_seq")), ""
	eventually(t, "the last change is followed", time.Minute, func() bool {
		away := s.listen(t, "api", api, "away", "")
		defer away.cancel()
		away.next()
		last = away.id
		return last == newest
	})
	stays := s.listen(t, "api", api, "stays", "")
	stays.next()
	storagetest.Exec(t, d.database, "UPDATE changes SET mark = 'another' WHERE number = (SELECT n FROM change_seq)")
	if event, _ := stays.next(); event != "reload" {
		t.Errorf("who stayed is told %s", event)
	}
	back := s.listen(t, "api", api, "away", last)
	for _, want := range []string{"hello", "reload"} {
		if event, _ := back.next(); event != want {
			t.Errorf("who comes back with %s is told %s, not %s", last, event, want)
		}
	}
}

func TestWhoMayListenAndAcknowledge(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=1000")
	api, other := d.client("api"), d.client("other")
	d.webClient("public")
	asks := d.client("asks")
	d.must("client", "update", "asks", "--introspects", "")
	for what, c := range map[string]struct {
		id, secret, verifier string
		status               int
	}{
		"nobody": {"", "", "v", 401}, "a wrong secret": {"api", "wrong", "v", 401}, "an unknown client": {"ghost", "x", "v", 401},
		"a public client": {"public", "", "v", 401}, "no API": {"asks", asks, "v", 403}, "a name that is none": {"api", api, url.QueryEscape("a b"), 400},
		"a name that is too long": {"api", api, strings.Repeat("x", 101), 400},
	} {
		if l := s.listen(t, c.id, c.secret, c.verifier, ""); l.status != c.status {
			t.Errorf("%s: %d", what, l.status)
		}
	}
	if n := storagetest.Count(t, d.database, "SELECT COUNT(*) FROM status_listeners"); n != 0 {
		t.Errorf("%d listeners", n)
	}
	l := s.listen(t, "api", api, "v", "")
	_, hello := l.next()
	id := hello["listener"].(string)
	for what, c := range map[string]struct {
		client, secret string
		form           url.Values
		status         int
	}{
		"it": {"api", api, url.Values{"listener": {id}, "id": {"7"}}, 204}, "an older id": {"api", api, url.Values{"listener": {id}, "id": {"3"}}, 204},
		"another client": {"other", other, url.Values{"listener": {id}, "id": {"7"}}, 404}, "nobody": {"", "", url.Values{"listener": {id}, "id": {"7"}}, 401},
		"a public client": {"", "", url.Values{"client_id": {"public"}, "listener": {id}, "id": {"7"}}, 401},
		"no API":          {"asks", asks, url.Values{"listener": {id}, "id": {"7"}}, 403},
		"no listener":     {"api", api, url.Values{"id": {"7"}}, 404}, "an unknown one": {"api", api, url.Values{"listener": {"x\x00"}, "id": {"7"}}, 404},
		"no id": {"api", api, url.Values{"listener": {id}}, 400}, "an id that is none": {"api", api, url.Values{"listener": {id}, "id": {"x"}}, 400},
		"one below zero": {"api", api, url.Values{"listener": {id}, "id": {"-1"}}, 400}, "one beyond all": {"api", api, url.Values{"listener": {id}, "id": {"9223372036854775808"}}, 400},
	} {
		if got := s.post("/oauth2/status/events/ack", c.client, c.secret, c.form); got.status != c.status {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if n := storagetest.Count(t, d.database, "SELECT acked FROM status_listeners"); n != 7 {
		t.Errorf("acknowledged %d", n)
	}
	// A stream ends when the secret that opened it is removed, or the client is disabled.
	var added secretJSON
	d.mustJSON(&added, "client", "secret", "add", "api")
	latest := s.listen(t, "api", added.ClientSecret, "v", "")
	latest.next()
	d.must("client", "secret", "remove", "api")
	eventually(t, "the stream of a removed secret ends", 30*time.Second, func() bool { return !l.lines.Scan() })
	d.must("client", "disable", "api")
	eventually(t, "the stream of a disabled client ends", 30*time.Second, func() bool { return !latest.lines.Scan() })
	for path, want := range map[string]int{
		"/oauth2/status/": 404, "/oauth2/status/0": 404, "/oauth2/status/999": 404, "/oauth2/status/-1": 404, "/oauth2/status/x": 404,
		"/oauth2/status/01": 404, "/oauth2/status/99999999999999999999": 404, "/oauth2/status": 200,
	} {
		if got := s.get(path); got.status != want {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestAListIsRevalidatedAndServedAcrossOrigins(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	secret := d.client("service")
	token := s.token("service", secret)
	path, _ := statusOf(t, token)
	first := s.get(path)
	if first.header.Get("Cache-Control") != "public, max-age=4" || first.header.Get("ETag") == "" || first.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", first.header)
	}
	claims := part(t, first.body, 1)
	if claims["ttl"] != 4.0 || claims["exp"].(float64)-claims["iat"].(float64) != 60 || part(t, first.body, 0)["typ"] != "statuslist+jwt" {
		t.Errorf("%v", claims)
	}
	// The ETag contains the number of the last change. So it still changes when the
	// server learns that the client, the API and the list were created.
	eventually(t, "a list that has not changed is not sent", 10*time.Second, func() bool {
		first = s.get(path)
		same := s.ask(http.MethodGet, path, "If-None-Match", first.header.Get("ETag"))
		return same.status == http.StatusNotModified && same.body == ""
	})
	for _, etag := range []string{`"x"`, `"5-5-1"`, "*", ""} {
		if got := s.ask(http.MethodGet, path, "If-None-Match", etag); got.status != http.StatusOK {
			t.Errorf("%s: %d", etag, got.status)
		}
	}
	if got := s.ask(http.MethodGet, path, "Origin", "https://app.test"); got.header.Get("Access-Control-Allow-Origin") != "*" || got.status != http.StatusOK {
		t.Errorf("%d %v", got.status, got.header)
	}
	s.post("/oauth2/revoke", "service", secret, url.Values{"token": {token}})
	eventually(t, "the token is revoked", 10*time.Second, func() bool { return s.revoked(t, token) })
	if got := s.ask(http.MethodGet, path, "If-None-Match", first.header.Get("ETag")); got.status != http.StatusOK {
		t.Errorf("the list has changed, and is not sent: %d", got.status)
	}
}

func TestWhatACutWouldEndIsToldBeforeItIsMade(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		a, b := d.webClient("app"), d.webClient("other")
		secret := d.client("service")
		d.user("minji")
		d.user("junho")
		p := s.person()
		first := a.tokens(s, p, "minji")
		b.tokens(s, p, "minji", "scope", "openid read offline_access")
		a.tokens(s, s.person(), "junho")
		storagetest.Exec(t, d.database, "UPDATE grants SET rotated_ms = rotated_ms - 3600000 WHERE client_id = 'other'")
		sid, gid := part(t, first.ID, 1)["sid"].(string), part(t, first.Access, 1)["gid"].(string)
		own := s.token("service", secret)
		before := d.state()
		for what, want := range map[string]string{
			"--user minji":     "would end 2 grants in 2 clients, 1 of them refreshed in the last 15 minutes, and 1 login session\n",
			"--client app":     "would end 2 grants in 1 client, 2 of them refreshed in the last 15 minutes, and all its client credentials tokens\n",
			"--grant " + gid:   "would end 1 grant in 1 client, 1 of them refreshed in the last 15 minutes\n",
			"--session " + sid: "would end 1 grant in 1 client, 1 of them refreshed in the last 15 minutes, and 1 login session\n",
			"--all":            "would end 3 grants in 2 clients, 2 of them refreshed in the last 15 minutes, and 2 login sessions, and all client credentials tokens\n",
			"--client service": "would end 0 grants in 0 clients, 0 of them refreshed in the last 15 minutes, and all its client credentials tokens\n",
		} {
			if got := d.must(append([]string{"revoke", "--dry-run"}, strings.Fields(what)...)...); got != want {
				t.Errorf("%s: %q", what, got)
			}
		}
		for token, want := range map[string]string{first.Access: "would end 1 grant in 1 client", own: "would end 1 token"} {
			if e := d.command(token, nil, "revoke", "--token-stdin", "--dry-run"); e.status != done || !strings.HasPrefix(e.stdout, want) {
				t.Errorf("%q %q", e.stdout, e.stderr)
			}
		}
		if after := d.state(); after != before {
			t.Errorf("something changed:\n%s\n%s", before, after)
		}
	})
}

func TestRevokeWaitsForVerifiersAndNamesThoseThatAreLate(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s, second := d.start(), d.startAt(freeAddress(t))
		api, secret := d.client("api"), d.client("service")
		if out := d.must("revoke", "--client", "service", "--wait"); !strings.Contains(out, "no verifier is listening") {
			t.Errorf("%q", out)
		}
		type verifier struct {
			*reader
			id string
		}
		connect := func(s *server, name string) verifier {
			l := s.listen(t, "api", api, name, "")
			_, hello := l.next()
			return verifier{l, hello["listener"].(string)}
		}
		one, two := connect(s, "one"), connect(second, "two")
		apply := func(s *server, v verifier) {
			// Each event is acknowledged, at another server than the one that
			// sent it.
			for v.lines.Scan() {
				if id, is := strings.CutPrefix(v.lines.Text(), "id: "); is {
					s.post("/oauth2/status/events/ack", "api", api, url.Values{"listener": {v.id}, "id": {id}})
				}
			}
		}
		go apply(second, one)
		e := d.command(s.token("service", secret), nil, "revoke", "--token-stdin", "--wait=2s")
		if e.status != failed || !strings.Contains(e.stderr, "two of client api") || strings.Contains(e.stderr, "one of client api") || !strings.Contains(e.stderr, "1 verifier applied it") {
			t.Errorf("%d %q %q", e.status, e.stdout, e.stderr)
		}
		go apply(s, two)
		if out := d.must("revoke", "--client", "service", "--wait=30s"); !strings.Contains(out, "applied by 2 verifiers") {
			t.Errorf("%q", out)
		}
	})
}

func TestEachReplicaOfAVerifierIsWaitedForUntilItLeaves(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s, second := d.start(), d.startAt(freeAddress(t))
	api, secret := d.client("api"), d.client("service")
	connect := func(s *server) (*reader, string) {
		t.Helper()
		l := s.listen(t, "api", api, "orders", "")
		_, hello := l.next()
		return l, hello["listener"].(string)
	}
	ack := func(listener, id string) int {
		return second.post("/oauth2/status/events/ack", "api", api, url.Values{"listener": {listener}, "id": {id}}).status
	}
	leave := func(listener, leaving string) int {
		return second.post("/oauth2/status/events/ack", "api", api, url.Values{"listener": {listener}, "id": {"0"}, "leaving": {leaving}}).status
	}
	revoke := func() ended {
		return d.command(s.token("service", secret), nil, "revoke", "--token-stdin", "--wait=1s")
	}
	told := func(what string, e ended, status int, stdout, stderr string) {
		t.Helper()
		if e.status != status || !regexp.MustCompile(stdout).MatchString(e.stdout) || !regexp.MustCompile(stderr).MatchString(e.stderr) {
			t.Errorf("%s: %d\n%s\n%s", what, e.status, e.stdout, e.stderr)
		}
	}
	const of = `orders of client api \(https://api\.test\): `
	one, oneID := connect(s)
	two, twoID := connect(second)
	told("neither has acknowledged it", revoke(), failed, `^revoked token [^\n]*\n$`, `0 verifiers applied it. It was not applied by:\n`+of+`2 connections, last heard \d+s ago\n$`)
	go func() {
		for one.lines.Scan() {
			if id, is := strings.CutPrefix(one.lines.Text(), "id: "); is {
				ack(oneID, id)
			}
		}
	}()
	told("one has", revoke(), failed, `applied by 1 verifier after \S+:\n`+of+`1 of 2 connections, last heard \d+s ago\n`, `1 verifier applied it. It was not applied by:\n`+of+`1 of 2 connections, last heard \d+s ago\n$`)
	// A verifier whose connection breaks has not left, so revoke still waits for it.
	two.cancel()
	told("one is cut off", revoke(), failed, `1 of 2 connections`, `1 of 2 connections`)
	others := s.post("/oauth2/status/events/ack", "service", secret, url.Values{"listener": {twoID}, "id": {"0"}, "leaving": {"true"}})
	if others.status != http.StatusNotFound || leave("unknown", "true") != http.StatusNotFound || leave(twoID, "yes") != http.StatusBadRequest {
		t.Error("a wrong request to leave is not refused")
	}
	told("it is still there", revoke(), failed, `1 of 2 connections`, `1 of 2 connections`)
	if status := leave(twoID, "true"); status != http.StatusNoContent {
		t.Errorf("it leaves: %d", status)
	}
	told("one has left", revoke(), done, `applied by 1 verifier after \S+:\n`+of+`1 connection, last heard \d+s ago\n`, `^$`)
	// The same with the library verify, in a rolling deployment.
	leave(oneID, "true")
	replica := func() *verify.Verifier {
		v := d.verifier(verify.Config{Status: verify.StatusStream, ClientID: "api", ClientSecret: api, Name: "orders"})
		eventually(t, "the replica listens", 30*time.Second, func() bool { return v.State().AckedEventID > 0 })
		return v
	}
	old := []*verify.Verifier{replica(), replica()}
	for _, v := range old {
		replica()
		v.Close()
	}
	told("all are new", d.command(s.token("service", secret), nil, "revoke", "--token-stdin", "--wait=20s"), done, `applied by 2 verifiers after \S+:\n`+of+`2 connections, last heard \d+s ago\n`, `^$`)
}

// TestAConnectionThatWasReplacedEnds checks that a server ends a listener's connection if
// the same instance has connected again. Acknowledgements of the old connection no longer
// count.
func TestAConnectionThatWasReplacedEnds(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s, second := d.start(), d.startAt(freeAddress(t))
	api := d.client("api")
	former := s.listen(t, "api", api, "orders&instance=a", "")
	former.next()
	replica := s.listen(t, "api", api, "orders&instance=b", "")
	replica.next()
	if wrong := s.listen(t, "api", api, "orders&instance="+url.QueryEscape("a b"), ""); wrong.status != http.StatusBadRequest {
		t.Errorf("an instance that is none: %d", wrong.status)
	}
	next := second.listen(t, "api", api, "orders&instance=a", "")
	next.next()
	eventually(t, "the former connection ends", 30*time.Second, func() bool { return !former.lines.Scan() })
	if n := storagetest.Count(t, d.database, "SELECT COUNT(*) FROM status_listeners"); n != 2 {
		t.Errorf("%d listeners", n)
	}
	for _, l := range []*reader{replica, next} {
		if !l.lines.Scan() {
			t.Error("another connection has ended")
		}
	}
}

func TestACutOfAUserIsAFewStatementsHoweverManyGrants(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		d.must("migrate", "up")
		a := d.webClient("app")
		d.user("minji")
		// With the race detector, one argon2id hash takes seconds.
		s, asked := d.startHere("INGAM_HTTP_REQUEST_TIMEOUT=1m", "INGAM_HTTP_WRITE_TIMEOUT=2m")
		set := a.tokens(s, s.person(), "minji")
		// These are copies of the grant, each with an index of its own.
		storagetest.DoubleGrants(t, d.database, 17)
		if n := storagetest.Count(t, d.database, "SELECT COUNT(*) FROM grants"); n != 1<<17 {
			t.Fatalf("%d grants", n)
		}
		p := s.person()
		p.get("/login").submit("username", "minji", "password", goodPassword)
		rows := storagetest.Rows(t, d.database)
		asked.Take()
		// A new password revokes the user's grants.
		sc := p.post(s.url+"/account/password", url.Values{"current": {goodPassword}, "new": {"another good one"}})
		if sc.status != http.StatusOK {
			t.Fatalf("%d %s", sc.status, sc.body)
		}
		var cut []string
		for _, statement := range asked.Take() {
			if strings.Contains(statement, "UPDATE") && (strings.Contains(statement, "users") || strings.Contains(statement, "grants") || strings.Contains(statement, "change_seq")) ||
				strings.Contains(statement, "INSERT") && !strings.Contains(statement, "guesses") && !strings.Contains(statement, "login_sessions") {
				cut = append(cut, statement)
			}
		}
		if len(cut) > 10 {
			t.Errorf("%d statements: %q", len(cut), cut)
		}
		// Only the change, the events and the session add a row each.
		if n := storagetest.Rows(t, d.database) - rows; n > 6 {
			t.Errorf("%d rows more", n)
		}
		path, first := statusOf(t, set.Access)
		// Reading so many grants can take longer than the server may serve an old
		// list. Until it is done, the server serves none.
		eventually(t, "the lists are served", time.Minute, func() bool { return s.get(path).status == http.StatusOK })
		for _, index := range []int64{first, first + 50_000, first + 1<<17 - 1} {
			eventually(t, "the cut is in the list", time.Minute, func() bool { return s.bit(t, path, index) })
		}
		if s.bit(t, path, first+1<<17) {
			t.Error("a bit that belongs to no token is set")
		}
	})
}

func TestAServerThatKnowsNothingNewSignsNothing(t *testing.T) {
	t.Parallel()
	for _, e := range storagetest.Servers() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			through, relay := between.NewRelay(t, started.New(t, e))
			d := deploymentAt(t, through)
			s := d.start()
			secret := d.client("service")
			path, _ := statusOf(t, s.token("service", secret))
			iat := part(t, s.get(path).body, 1)["iat"].(float64)
			relay.Stop()
			// The server serves its last list for a while, and then none.
			eventually(t, "the list is refused", time.Minute, func() bool {
				got := s.get(path)
				if got.status == http.StatusOK && part(t, got.body, 1)["iat"].(float64) > iat+10 {
					t.Fatal("a list was signed that nobody vouches for")
				}
				return got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != ""
			})
			if err := relay.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the list is back", time.Minute, func() bool { return s.get(path).status == http.StatusOK })
		})
	}
}

func TestMetricsTellHowLongACutTakes(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	at := freeAddress(t)
	s := d.start("INGAM_METRICS_LISTEN=" + at)
	api, secret := d.client("api"), d.client("service")
	l := s.listen(t, "api", api, "one", "")
	_, hello := l.next()
	token := s.token("service", secret)
	s.post("/oauth2/revoke", "service", secret, url.Values{"token": {token}})
	l.until(statusOf(t, token))
	s.post("/oauth2/status/events/ack", "api", api, url.Values{"listener": {hello["listener"].(string)}, "id": {l.id}})
	resp, err := http.Get("http://" + at + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\ningam_cut_acknowledged_seconds_count 1\n", "\ningam_status_listeners 1\n", "\ningam_cut_listed_seconds_count ", "\ningam_status_lists_served_total ", "\ngo_goroutines "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the metrics lack %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "service") || s.get("/metrics").status != http.StatusNotFound {
		t.Error("the metrics name a client, or are where everyone can read them")
	}
}

func TestAListenerThatDoesNotReadIsDroppedAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start()
	api, secret := d.client("api"), d.client("service")
	slow, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if err := slow.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodGet, s.url+"/oauth2/status/events?verifier=slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("api", api)
	if err := r.Write(slow); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slow one listens", 10*time.Second, func() bool {
		return storagetest.Count(t, d.database, "SELECT COUNT(*) FROM status_listeners") == 1
	})
	quick := s.listen(t, "api", api, "quick", "")
	quick.next()
	// Each cut below is an event with thousands of indices. Together they are much
	// larger than what the kernel buffers for a connection that nobody reads.
	for range 20 {
		for range 300 {
			s.token("service", secret)
		}
	}
	store := storagetest.Open(t, d.database)
	for range 150 {
		if err := store.CutClient(t.Context(), "service", audit.Event{At: time.Now(), Actor: "test", Action: audit.ClientCut, Subject: "service"}); err != nil {
			t.Fatal(err)
		}
		// Each cut must be an event of its own. So this waits until the server has
		// sent it, and does not read several cuts at once.
		before := quick.id
		for quick.id == before {
			quick.next()
		}
	}
	eventually(t, "the slow one is dropped", time.Minute, func() bool {
		// The slow listener was last seen 5 s before the quick one.
		return storagetest.Count(t, d.database, "SELECT COUNT(*) FROM status_listeners AS a, status_listeners AS b WHERE a.name LIKE 'slow/%' AND b.name LIKE 'quick/%' AND b.seen_ms > a.seen_ms + 5000") == 1
	})
	token := s.token("service", secret)
	s.post("/oauth2/revoke", "service", secret, url.Values{"token": {token}})
	if quick.until(statusOf(t, token)) {
		t.Error("the quick one has missed something")
	}
}

// TestNoTokenOutlivesTheListThatHasItsStatus checks that a status list is kept as long as
// its tokens live, even if the lifetime of tokens is changed.
func TestNoTokenOutlivesTheListThatHasItsStatus(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start("INGAM_TOKENS_ACCESS_TTL=5m")
		a := d.webClient("app")
		secret := d.client("service")
		d.user("minji")
		set := a.tokens(s, s.person(), "minji")
		s.token("service", secret)
		s.stop()
		s = d.start("INGAM_TOKENS_ACCESS_TTL=1h")
		life := func(token string) (of, list time.Duration) {
			t.Helper()
			claims := part(t, token, 1)
			path, _ := statusOf(t, token)
			number := path[strings.LastIndexByte(path, '/')+1:]
			ms := storagetest.Count(t, d.database, "SELECT life_ms FROM status_lists WHERE number = "+number)
			return time.Duration(claims["exp"].(float64)-claims["iat"].(float64)) * time.Second, time.Duration(ms) * time.Millisecond
		}
		next := a.refresh(s, set.Refresh).tokens(t)
		for what, token := range map[string]string{
			"a grant of before": next.Access, "its repetition": a.refresh(s, set.Refresh).tokens(t).Access,
			"a new grant": a.tokens(s, s.person(), "minji").Access, "a client's own": s.token("service", secret),
		} {
			if of, list := life(token); of > list {
				t.Errorf("%s: a token for %s in a list for %s", what, of, list)
			}
		}
	})
}

// TestWhatIsIssuedAfterACutOfEverythingStands checks that tokens issued after a cut of
// everything are valid, even if the clocks of the command and the server differ.
func TestWhatIsIssuedAfterACutOfEverythingStands(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{25 * time.Second, -25 * time.Second} {
		t.Run(off.String(), func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			d.now = func() time.Time { return time.Now().Add(off) }
			d.must("migrate", "up")
			s, _ := d.startHere()
			a := d.webClient("app")
			secret := d.client("service")
			d.user("minji")
			before := []string{a.tokens(s, s.person(), "minji").Access, s.token("service", secret)}
			// One list is already due to close.
			storagetest.Exec(t, d.database, "UPDATE status_lists SET closes_ms = opened_ms + 3600000 WHERE purpose = 'grants'")
			d.must("revoke", "--all")
			for _, token := range before {
				eventually(t, "what was issued before is revoked", 10*time.Second, func() bool { return s.revoked(t, token) })
			}
			set := a.tokens(s, s.person(), "minji")
			for _, token := range []string{set.Access, a.refresh(s, set.Refresh).tokens(t).Access, s.token("service", secret)} {
				if s.revoked(t, token) {
					t.Error("what is issued afterwards is born revoked")
				}
			}
		})
	}
}

func TestAServerServesBeforeItHasReadItsStatusLists(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.must("migrate", "up")
		secret := d.client("app")
		r := &storagetest.Recorder{}
		tooMuch := errors.New("there is too much to read")
		r.FailWith(func(statement string) error {
			if strings.Contains(statement, "former_list") {
				return tooMuch
			}
			return nil
		})
		s := d.serveHere(r)
		s.awaitReady()
		token := s.token("app", secret)
		path, _ := statusOf(t, token)
		got := s.get(path)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("a list that nobody has read: %d %v %s", got.status, got.header, got.body)
		}
		if !s.active("app", secret, token) {
			t.Error("introspection needs no list")
		}
		r.FailWith(nil)
		eventually(t, "the lists are served", time.Minute, func() bool { return s.get(path).status == http.StatusOK })
		if s.revoked(t, token) {
			t.Error("the token is revoked")
		}
	})
}
