package processes

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
)

// grant returns the only grant of a client.
func (d *deployment) grant(t testing.TB, client string) grantJSON {
	t.Helper()
	var list []grantJSON
	d.mustJSON(&list, "grant", "list", "--client", client)
	if len(list) != 1 {
		t.Fatalf("%d grants: %+v", len(list), list)
	}
	return list[0]
}

func wantRevoked(t testing.TB, d *deployment, client string, want bool, why string) {
	t.Helper()
	if g := d.grant(t, client); g.Revoked != want {
		t.Errorf("%s: the grant is revoked: %t", why, g.Revoked)
	}
}

func TestACodeIsRedeemedOnceByItsClientWithAllThatBelongsToIt(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		a, other := d.webClient("app"), d.webClient("other", "--auth", "client_secret_basic")
		d.user("minji")
		p := s.person()
		code := p.signIn("minji", a.request()).Get("code")
		before := d.state()
		stranger := other
		stranger.verifier = a.verifier
		for what, c := range map[string]struct {
			a      answer
			status int
			code   string
		}{
			"another client":          {stranger.redeem(s, code), 400, "invalid_grant"},
			"a wrong verifier":        {a.redeem(s, code, "code_verifier", strings.Repeat("x", 43)), 400, "invalid_grant"},
			"a short verifier":        {a.redeem(s, code, "code_verifier", "x"), 400, "invalid_grant"},
			"the challenge":           {a.redeem(s, code, "code_verifier", a.challenge()), 400, "invalid_grant"},
			"no verifier":             {a.redeem(s, code, "code_verifier", ""), 400, "invalid_request"},
			"another redirect_uri":    {a.redeem(s, code, "redirect_uri", callback+"/"), 400, "invalid_grant"},
			"no redirect_uri either":  {a.redeem(s, code, "redirect_uri", "", "code_verifier", ""), 400, "invalid_request"},
			"no code":                 {a.redeem(s, ""), 400, "invalid_request"},
			"rubbish":                 {a.redeem(s, "rubbish"), 400, "invalid_grant"},
			"another resource":        {a.redeem(s, code, "resource", "https://other.test"), 400, "invalid_target"},
			"a code as refresh token": {a.refresh(s, code), 400, "invalid_grant"},
		} {
			wantRefused(t, what, c.a, c.status, c.code)
		}
		if after := d.state(); after != before {
			t.Errorf("something changed:\n%s\n%s", before, after)
		}
		set := a.redeem(s, code).tokens(t)
		if set.Refresh == "" || set.ID == "" || set.Scope != "openid read" {
			t.Errorf("%+v", set)
		}
		// A used code revokes the grant only if its own client sends it with the right
		// verifier: that is a replay. An attacker with the code alone must not be able to
		// end the grant.
		wantRefused(t, "used, by a stranger", stranger.redeem(s, code), 400, "invalid_grant")
		wantRefused(t, "used, with a wrong verifier", a.redeem(s, code, "code_verifier", strings.Repeat("x", 43)), 400, "invalid_grant")
		wantRevoked(t, d, "app", false, "after a stranger's attempt")
		wantRefused(t, "used, by its client", a.redeem(s, code), 400, "invalid_grant")
		wantRevoked(t, d, "app", true, "after a replay")
		wantRefused(t, "a refresh after that", a.refresh(s, set.Refresh), 400, "invalid_grant")
		// With PKCE, a code can be redeemed without a redirect_uri.
		a.redeem(s, p.signIn("minji", a.request()).Get("code"), "redirect_uri", "").tokens(t)
		// A client with one redirect URI may leave it out of the request. At the
		// redemption it may leave it out again, or send exactly that one.
		for _, again := range []string{"", callback} {
			code := p.signIn("minji", a.request("redirect_uri", "")).Get("code")
			wantRefused(t, "another redirect_uri than the default", a.redeem(s, code, "redirect_uri", callback+"/"), 400, "invalid_grant")
			a.redeem(s, code, "redirect_uri", again).tokens(t)
		}
		if got := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access); got.status != http.StatusUnauthorized {
			t.Errorf("userinfo after that: %d", got.status)
		}
		if events := d.events(t, "code.reuse"); len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
	})
}

// atOnce sends a request n times concurrently, to two servers in turn.
func atOnce(n int, both [2]*server, ask func(s *server) answer) []answer {
	answers := make([]answer, n)
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			answers[i] = ask(both[i%2])
		})
	}
	close(start)
	group.Wait()
	return answers
}

func TestOfSixteenRedemptionsAtOnceOneWins(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		both := [2]*server{d.start(), d.startAt(freeAddress(t))}
		a := d.webClient("app")
		d.user("minji")
		p := both[0].person()
		for range 5 {
			code := p.signIn("minji", a.request()).Get("code")
			won := 0
			for _, answer := range atOnce(16, both, func(s *server) answer { return a.redeem(s, code) }) {
				if answer.status == http.StatusOK {
					won++
				} else {
					wantRefused(t, "who is late", answer, 400, "invalid_grant")
				}
			}
			if won != 1 {
				t.Errorf("%d won", won)
			}
		}
		var grants []grantJSON
		if d.mustJSON(&grants, "grant", "list", "--client", "app"); len(grants) != 5 {
			t.Errorf("%d grants of 5 codes", len(grants))
		}
	})
}

func TestOfSixteenRefreshesAtOnceAllGetTheSameSuccessor(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		both := [2]*server{d.start(), d.startAt(freeAddress(t))}
		a := d.webClient("app")
		d.user("minji")
		token := a.tokens(both[0], both[0].person(), "minji").Refresh
		for generation := range int64(5) {
			successors, access := map[string]bool{}, map[string]bool{}
			for _, answer := range atOnce(16, both, func(s *server) answer { return a.refresh(s, token) }) {
				set := answer.tokens(t)
				successors[set.Refresh], access[set.Access] = true, true
			}
			if len(successors) != 1 || successors[token] || len(access) != 16 {
				t.Fatalf("%d successors, %d access tokens", len(successors), len(access))
			}
			for token = range successors {
			}
			if g := d.grant(t, "app"); g.Generation != generation+2 || g.Revoked {
				t.Errorf("%+v", g)
			}
		}
	})
}

func TestRefreshTokensRotateWithGraceAndRealReuseEndsTheGrant(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		a, thief := d.webClient("app"), d.webClient("thief", "--auth", "client_secret_basic")
		d.user("minji")
		first := a.tokens(s, s.person(), "minji").Refresh
		second := a.refresh(s, first).tokens(t)
		// The answer was lost, and the client retries.
		again := a.refresh(s, first).tokens(t)
		if again.Refresh != second.Refresh || again.Access == second.Access {
			t.Error("not the same successor, with a fresh access token")
		}
		third := a.refresh(s, second.Refresh).tokens(t).Refresh
		// A token two generations back is no retry, but reuse. A stranger who has it must
		// not be able to end the owner's grant.
		wantRefused(t, "a spent token of another client", thief.refresh(s, first), 400, "invalid_grant")
		wantRefused(t, "a live token of another client", thief.refresh(s, third), 400, "invalid_grant")
		for what, token := range map[string]string{
			"an access token": second.Access, "an ID token": second.ID, "rubbish": "x", "a truncated one": third[:len(third)-1],
			"one in another spelling": respell(third),
		} {
			wantRefused(t, what, a.refresh(s, token), 400, "invalid_grant")
		}
		wantRefused(t, "no token", a.post(s, url.Values{"grant_type": {"refresh_token"}}), 400, "invalid_request")
		wantRevoked(t, d, "app", false, "after strangers' attempts")
		wantRefused(t, "reuse", a.refresh(s, first), 400, "invalid_grant")
		wantRevoked(t, d, "app", true, "after reuse")
		wantRefused(t, "the newest after reuse", a.refresh(s, third), 400, "invalid_grant")
		if events := d.events(t, "grant.reuse"); len(events) != 1 || events[0].Details["client_id"] != "app" {
			t.Errorf("%+v", events)
		}

		// Without a grace, the previous token is reuse, too.
		strict := d.webClient("strict", "--refresh-grace", "0s")
		one := strict.tokens(s, s.person(), "minji").Refresh
		strict.refresh(s, one).tokens(t)
		wantRefused(t, "the one before, without grace", strict.refresh(s, one), 400, "invalid_grant")
		wantRevoked(t, d, "strict", true, "without grace")
		// So it is after the grace.
		brief := d.webClient("brief", "--refresh-grace", "1ms")
		one = brief.tokens(s, s.person(), "minji").Refresh
		brief.refresh(s, one).tokens(t)
		time.Sleep(20 * time.Millisecond)
		wantRefused(t, "the one before, after the grace", brief.refresh(s, one), 400, "invalid_grant")
		wantRevoked(t, d, "brief", true, "after the grace")
	})
}

func TestARefreshAsksForLessAndNeverForMore(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.must("api", "create", "--audience", "https://roles.test", "--name", "R", "--scope", "read", "--roles")
	a := d.webClient("app", "--audience", "https://roles.test")
	quiet := d.webClient("quiet", "--no-refresh-id-token")
	d.user("minji", "--role", "admin", "--role", "ops")
	p := s.person()
	set := a.redeem(s, p.signIn("minji", a.request("scope", "openid read write")+"&resource=https://api.test&resource=https://roles.test").Get("code")).tokens(t)
	aud := part(t, set.Access, 1)["aud"].([]any)
	if len(aud) != 2 || set.Scope != "openid read write" {
		t.Errorf("%v %s", aud, set.Scope)
	}
	for what, form := range map[string][]string{
		"a scope that was not granted": {"scope", "openid email"}, "an unknown one": {"scope", "admin"}, "a scope of another API": {"scope", "write", "resource", "https://roles.test"},
	} {
		wantRefused(t, what, a.refresh(s, set.Refresh, form...), 400, "invalid_scope")
	}
	wantRefused(t, "a resource that was not granted", a.refresh(s, set.Refresh, "resource", "https://other.test"), 400, "invalid_target")
	if g := d.grant(t, "app"); g.Generation != 1 {
		t.Errorf("a refusal rotated: %+v", g)
	}
	less := a.refresh(s, set.Refresh, "scope", "read", "resource", "https://roles.test").tokens(t)
	claims := part(t, less.Access, 1)
	if less.Scope != "read" || less.ID != "" || claims["aud"] != "https://roles.test" || len(claims["roles"].([]any)) != 2 {
		t.Errorf("%+v %v", less, claims)
	}
	// The refresh token still has all scopes and audiences.
	if all := a.refresh(s, less.Refresh).tokens(t); all.Scope != "openid read write" || all.ID == "" {
		t.Errorf("%+v", all)
	}
	if q := quiet.refresh(s, quiet.tokens(s, p, "minji").Refresh).tokens(t); q.ID != "" || q.Refresh == "" {
		t.Errorf("%+v", q)
	}
}

func TestWhatEndsAGrant(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s, second := d.start(), d.startAt(freeAddress(t))
		a := d.webClient("app")
		d.user("minji")
		d.user("junho")
		api := d.client("api")
		for what, end := range map[string]struct {
			do      func(p *person, set tokenSet)
			offline bool // whether a grant with offline_access ends as well
			back    func()
		}{
			"its own revocation": {func(*person, tokenSet) { d.must("revoke", "--grant", d.newest(t, "app").ID, "--reason", "test") }, true, nil},
			"its refresh token's": {func(_ *person, set tokenSet) {
				s.post("/oauth2/revoke", "", "", url.Values{"client_id": {"app"}, "token": {set.Refresh}})
			}, true, nil},
			"a cut of its user":   {func(*person, tokenSet) { d.must("revoke", "--user", "minji") }, true, nil},
			"a cut of its client": {func(*person, tokenSet) { d.must("revoke", "--client", "app") }, true, nil},
			"a cut of everything": {func(*person, tokenSet) { d.must("revoke", "--all") }, true, nil},
			"a new password": {func(*person, tokenSet) {
				if e := d.command(goodPassword, nil, "user", "set-password", "minji", "--password-stdin"); e.status != done {
					t.Fatal(e.stderr)
				}
			}, true, nil},
			"disabling the user":          {func(*person, tokenSet) { d.must("user", "disable", "minji") }, true, func() { d.must("user", "enable", "minji") }},
			"disabling the client":        {func(*person, tokenSet) { d.must("client", "disable", "app") }, true, func() { d.must("client", "enable", "app") }},
			"the end of its session":      {func(_ *person, set tokenSet) { d.must("revoke", "--session", part(t, set.ID, 1)["sid"].(string)) }, false, nil},
			"the end of all the sessions": {func(*person, tokenSet) { d.must("session", "end", "--user", "minji") }, false, nil},
			"signing out":                 {func(p *person, _ tokenSet) { p.get("/logout").submit("decision", "out") }, false, nil},
			"removing the application":    {func(p *person, _ tokenSet) { p.post(s.url+"/account/apps", url.Values{"client": {"app"}}) }, true, nil},
		} {
			for _, offline := range []bool{false, true} {
				p := s.person()
				scope := "openid read"
				if offline {
					scope += " offline_access"
				}
				others := a.tokens(s, s.person(), "junho")
				set := a.tokens(s, p, "minji", "scope", scope)
				code := p.get(a.request()).response().Get("code")
				if !second.active("api", api, set.Access) {
					t.Fatalf("%s: not active before", what)
				}
				end.do(p, set)
				ended := end.offline || !offline
				if got := a.refresh(second, set.Refresh); (got.status != http.StatusOK) != ended || got.status >= 500 {
					t.Errorf("%s, offline %t: refresh gets %d %s", what, offline, got.status, got.body)
				}
				if got := second.active("api", api, set.Access); got == ended {
					t.Errorf("%s, offline %t: active %t", what, offline, got)
				}
				if got := second.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access); (got.status != http.StatusOK) != ended {
					t.Errorf("%s, offline %t: userinfo %d", what, offline, got.status)
				}
				// A code from before is refused, too. The exceptions are ends of one
				// grant only, and the removal of the application, which another test
				// checks.
				if got := a.redeem(s, code); got.status == http.StatusOK && what != "its own revocation" && what != "its refresh token's" && what != "removing the application" || got.status >= 500 {
					t.Errorf("%s: a code from before is redeemed: %d", what, got.status)
				}
				if end.back != nil {
					end.back()
				}
				everyone := what == "a cut of its client" || what == "a cut of everything" || what == "disabling the client"
				if got := a.refresh(s, others.Refresh); (got.status != http.StatusOK) != (everyone && end.back == nil) {
					t.Errorf("%s: another user's refresh gets %d %s", what, got.status, got.body)
				}
				// The user can sign in again.
				if set := a.tokens(s, s.person(), "minji"); !s.active("api", api, set.Access) {
					t.Errorf("%s: a new sign-in does not stand", what)
				}
			}
		}
	})
}

// newest returns the newest grant of minji for a client.
func (d *deployment) newest(t testing.TB, client string) grantJSON {
	t.Helper()
	var list []grantJSON
	d.mustJSON(&list, "grant", "list", "--client", client, "--user", "minji")
	return list[0]
}

func TestATokenOfALostTimelineIsRefusedAndRevokesNothing(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		a := d.webClient("app")
		d.user("minji")
		first := a.tokens(s, s.person(), "minji").Refresh
		second := a.refresh(s, first).tokens(t).Refresh
		third := a.refresh(s, second).tokens(t).Refresh
		// This is as if a backup from before had been restored.
		storagetest.Exec(t, d.database, "UPDATE grants SET generation = 1")
		for _, token := range []string{second, third} {
			wantRefused(t, "a newer token", a.refresh(s, token), 400, "invalid_grant")
		}
		wantRevoked(t, d, "app", false, "after newer tokens")
		if !strings.Contains(s.log.String(), "was the database restored?") {
			t.Error("the log does not ask whether the database was restored")
		}
	})
}

func TestARefreshWhoseAnswerTheDatabaseLostIsRepeated(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s, asked := d.startHere()
		a := d.webClient("app")
		d.user("minji")
		token := a.tokens(s, s.person(), "minji").Refresh
		for range 3 {
			lost := false
			asked.FailAfter(func(statement string) error {
				if strings.Contains(statement, "UPDATE grants") {
					lost = true
					return http.ErrHandlerTimeout
				}
				return nil
			})
			wantUnavailable(t, "a refresh without an answer", a.refresh(s, token))
			asked.FailAfter(nil)
			if !lost {
				t.Fatal("nothing was lost")
			}
			generation := d.grant(t, "app").Generation
			next := a.refresh(s, token).tokens(t).Refresh
			if g := d.grant(t, "app"); g.Generation != generation || g.Revoked || next == token {
				t.Errorf("%+v", g)
			}
			token = next
		}
	})
}

func TestARefreshWritesOneStatement(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s, asked := d.startHere()
		a := d.webClient("app")
		d.user("minji")
		p := s.person()
		// The first grant of a process takes a block of indices, for this grant and later
		// ones.
		a.tokens(s, p, "minji")
		code := p.signIn("minji", a.request()).Get("code")
		asked.Take()
		token := a.redeem(s, code).tokens(t).Refresh
		begins, writes := 0, []string{}
		for _, statement := range asked.Take() {
			switch word := strings.Fields(statement)[0]; strings.ToUpper(word) {
			case "BEGIN":
				begins++
			case "SELECT", "COMMIT":
			default:
				writes = append(writes, word)
			}
		}
		// The code is used, the grant is stored, and the audit log says so.
		if begins != 1 || strings.Join(writes, " ") != "UPDATE INSERT INSERT" {
			t.Errorf("redeeming a code: %d transactions, %v", begins, writes)
		}
		for range 20 {
			next := a.refresh(s, token).tokens(t).Refresh
			var wrote []string
			for _, statement := range asked.Take() {
				if !strings.HasPrefix(strings.TrimSpace(statement), "SELECT") {
					wrote = append(wrote, strings.Join(strings.Fields(statement)[:2], " "))
				}
			}
			if strings.Join(wrote, "; ") != "UPDATE grants" {
				t.Fatalf("a refresh wrote %q", wrote)
			}
			token = next
		}
	})
}

func TestEveryAcknowledgedRotationOutlivesKillingTheServer(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start()
		a := d.webClient("app")
		d.user("minji")
		const families = 4
		current := make([]string, families)
		spent := make([]string, families)
		p := s.person()
		for i := range current {
			current[i] = a.tokens(s, p, "minji").Refresh
		}
		for range 3 {
			var group sync.WaitGroup
			var mu sync.Mutex
			count, kill := 0, make(chan struct{})
			for i := range families {
				group.Go(func() {
					for range 200 {
						r, err := http.NewRequest(http.MethodPost, s.url+"/oauth2/token", strings.NewReader(url.Values{
							"grant_type": {"refresh_token"}, "refresh_token": {current[i]}, "client_id": {"app"},
						}.Encode()))
						if err != nil {
							panic(err)
						}
						r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
						answer, err := send(r)
						if err != nil || answer.status != http.StatusOK {
							return // killed: the next round asks again
						}
						var set tokenSet
						mustUnmarshal(t, answer.body, &set)
						mu.Lock()
						spent[i], current[i] = current[i], set.Refresh
						if count++; count == 340 {
							close(kill)
						}
						mu.Unlock()
					}
				})
			}
			<-kill
			s.kill()
			group.Wait()
			s = d.start()
			for i := range current {
				// The token of the last acknowledged rotation is the current one; or one
				// more rotation followed, whose answer was lost.
				next := a.refresh(s, current[i]).tokens(t).Refresh
				spent[i], current[i] = current[i], next
			}
		}
		var list []grantJSON
		if d.mustJSON(&list, "grant", "list", "--client", "app"); len(list) != families {
			t.Errorf("%d grants", len(list))
		}
		for _, g := range list {
			if g.Revoked || g.Generation < 150 {
				t.Errorf("%+v", g)
			}
		}
	})
}

// respell changes unused bits of the last base64url character.
func respell(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return token[:len(token)-1] + string(alphabet[strings.IndexByte(alphabet, token[len(token)-1])^1])
}

// TestATokenThatIsAheadOfItsRowIsReadAgain: another server issued the token a moment ago,
// and the database of this one does not have that row yet.
func TestATokenThatIsAheadOfItsRowIsReadAgain(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		d.must("migrate", "up")
		later := atomic.Int64{}
		d.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		s, asked := d.startHere()
		a := d.webClient("app")
		d.user("minji")
		token := a.tokens(s, s.person(), "minji").Refresh
		token = a.refresh(s, token).tokens(t).Refresh
		id := d.newest(t, "app").ID
		for what, row := range map[string]struct{ behind, caughtUp string }{
			"an older row": {"UPDATE grants SET generation = 1", "UPDATE grants SET generation = (as before)"},
			"no row":       {"UPDATE grants SET id = 'elsewhere'", "UPDATE grants SET id = '" + id + "'"},
		} {
			for _, old := range []bool{false, true} {
				later.Store(0)
				if old {
					later.Store(int64(2 * time.Minute))
				}
				caughtUp := strings.ReplaceAll(row.caughtUp, "(as before)", fmt.Sprint(storagetest.Count(t, d.database, "SELECT generation FROM grants")))
				storagetest.Exec(t, d.database, row.behind)
				reads := 0
				asked.FailWith(func(statement string) error {
					if strings.Contains(statement, "FROM grants AS g WHERE g.id") {
						if reads++; reads == 3 {
							storagetest.Exec(t, d.database, caughtUp)
						}
					}
					return nil
				})
				answer := a.refresh(s, token)
				asked.FailWith(nil)
				if old {
					// For a token that is older than a minute, a missing row is lost for
					// good. So the server does not read it again.
					wantRefused(t, what, answer, 400, "invalid_grant")
					if reads != 1 {
						t.Errorf("%s of an old token was read %d times", what, reads)
					}
					storagetest.Exec(t, d.database, caughtUp)
					continue
				}
				if token = answer.tokens(t).Refresh; reads < 3 {
					t.Errorf("%s was read %d times", what, reads)
				}
			}
		}
		wantRevoked(t, d, "app", false, "after tokens that were ahead")
	})
}
