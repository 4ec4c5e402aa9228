package processes

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/storage/storagetest/between"
)

// startHere starts a server, and returns a recorder of the statements that its requests
// run; those of background tasks are left out. The server uses the clock of the
// deployment.
func (d *deployment) startHere(extra ...string) (*server, *storagetest.Recorder) {
	d.t.Helper()
	r := &storagetest.Recorder{}
	return d.serveHere(r, append(extra, "INGAM_TEST_ASKS_OF=requests")...), r
}

// serveHere starts a server that passes all its statements through a recorder in this
// process.
func (d *deployment) serveHere(r *storagetest.Recorder, extra ...string) *server {
	d.t.Helper()
	if d.now != nil {
		extra = append(extra, "INGAM_TEST_CLOCK=yes")
	}
	here := *d
	if d.plain && d.binary == ingam {
		here.binary = plain // the released binary cannot report its statements
	}
	s := here.launch(strings.TrimPrefix(d.issuer, "http://"), append(extra, "INGAM_TEST_ASKS="+storagetest.Answer(d.t, r, func() time.Time { return d.now() }))...)
	d.t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if status := s.stop(); status != done {
			d.t.Errorf("the server ended with the status %d", status)
		}
	})
	s.awaitListening()
	return s
}

func TestWhatARequestAsksOfTheDatabase(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		d.must("migrate", "up")
		secret, web := d.client("app"), d.webClient("web")
		s, asked := d.startHere("INGAM_CHANGES_STALENESS=1m") // nothing changes meanwhile
		// A block of indices that is taken before the lists are read is replaced
		// afterwards. This must not happen while statements are counted.
		eventually(t, "the lists are read", time.Minute, func() bool { return s.get("/health/ready").json(t)["status_lists"] == "current" })
		want := func(what string, n int, begins ...string) {
			t.Helper()
			statements := asked.Take()
			if len(statements) != n*len(begins) {
				t.Fatalf("%d times %s asked the driver %d statements: %.2000q", n, what, len(statements), statements)
			}
			for i, statement := range statements {
				statement = strings.NewReplacer("`", "", `"`, "").Replace(strings.TrimSpace(statement))
				if begin := begins[i%len(begins)]; !strings.HasPrefix(strings.ToUpper(statement), begin) {
					t.Errorf("%s: statement %d is %q, not %s", what, i, statement, begin)
				}
			}
		}

		token := s.token("app", secret) // now the client is in memory
		asked.Take()
		const n = 100
		for range n {
			s.token("app", secret)
		}
		want("a token", n)
		for range n {
			if !s.active("app", secret, token) {
				t.Fatal("the token is not active")
			}
		}
		want("an introspection", n, "SELECT")
		d.user("minji")
		p := s.person()
		p.get("/login").submit("username", "minji", "password", goodPassword)
		theirs := web.tokens(s, p, "minji").Access
		asked.Take()
		for range n {
			if !s.active("app", secret, theirs) {
				t.Fatal("the token is not active")
			}
		}
		want("an introspection of what a user allowed another client", n, "SELECT")
		for scope, statements := range map[string][]string{
			"read": {"SELECT", "UPDATE GRANTS"}, "openid read": {"SELECT", "UPDATE GRANTS"},
			"openid profile email": {"SELECT", "SELECT", "UPDATE GRANTS"}, // the user's claims
		} {
			set := web.tokens(s, p, "minji", "scope", scope)
			asked.Take()
			for range 3 {
				set = web.refresh(s, set.Refresh).tokens(t)
			}
			want("a refresh for "+scope, 3, statements...)
			if set.ID == "" {
				continue
			}
			if got := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			want("userinfo", 1, "SELECT", "SELECT")
		}
		for range n {
			p.get("/logout") // the page shows whose session it is
		}
		want("a page of a login session", n, "SELECT")
		for range n {
			s.get("/.well-known/jwks.json")
			s.get("/.well-known/openid-configuration")
		}
		want("the key set and the metadata", n)
		wrong := func(status, n int) {
			t.Helper()
			for range n {
				if a := s.post("/oauth2/token", "app", "wrong", url.Values{"grant_type": {"client_credentials"}}); a.status != status {
					t.Fatalf("%d %s", a.status, a.body)
				}
			}
		}
		wrong(http.StatusUnauthorized, 20)
		want("a wrong secret, which may be newer than the copy in memory", 20, "SELECT")
		wrong(http.StatusTooManyRequests, n)
		want("a wrong secret after too many", n)
		if a := s.post("/oauth2/revoke", "app", secret, url.Values{"token": {token}}); a.status != http.StatusOK {
			t.Fatal(a)
		}
		want("a revocation", 1, "BEGIN", "UPDATE CHANGE_SEQ", "INSERT INTO REVOKED_TOKENS", "INSERT INTO CHANGES", "INSERT INTO AUDIT_EVENTS", "COMMIT")
	})
}

// wantUnavailable checks the answer of a server whose database fails: neither a success
// nor a verdict on a token.
func wantUnavailable(t *testing.T, what string, a answer) {
	t.Helper()
	if a.status != http.StatusServiceUnavailable || a.json(t)["error"] != "temporarily_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %s, Retry-After %q", what, a.status, a.body, a.header.Get("Retry-After"))
	}
}

func TestAFaultBeneathTheDriverIsA503AndNotAVerdict(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s, asked := d.startHere()
		secret := d.client("app")
		token, other := s.token("app", secret), s.token("app", secret)
		revoke := func(token string) answer {
			return s.post("/oauth2/revoke", "app", secret, url.Values{"token": {token}})
		}
		grant := url.Values{"grant_type": {"client_credentials"}}

		// Each statement of a request fails in turn.
		for _, at := range []string{"BEGIN", "change_seq", "revoked_tokens", "changes", "audit_events"} {
			asked.FailWith(func(statement string) error {
				if strings.Contains(statement, at) {
					return errors.New("broken for a test: " + token)
				}
				return nil
			})
			wantUnavailable(t, "a revocation that fails at "+at, revoke(token))
		}
		asked.FailWith(func(string) error { return errors.New("broken for a test") })
		wantUnavailable(t, "an introspection", s.post("/oauth2/introspect", "app", secret, url.Values{"token": {token}}))
		wantUnavailable(t, "a client that is not in memory", s.post("/oauth2/token", "unknown", secret, grant))
		wantUnavailable(t, "a secret that may be newer than what is in memory", s.post("/oauth2/token", "app", "wrong", grant))
		asked.FailWith(nil)
		if !s.active("app", secret, token) {
			t.Error("a revocation that was answered with a fault has happened")
		}

		// The server cannot know whether a commit without an answer happened. Here it
		// did.
		asked.FailWith(func(statement string) error {
			if statement == "COMMIT" {
				return errors.New("broken for a test")
			}
			return nil
		})
		wantUnavailable(t, "a revocation without an answer to its commit", revoke(other))
		asked.FailWith(nil)
		if s.active("app", secret, other) {
			t.Error("the revocation that was committed does not hold")
		}
		if a := revoke(other); a.status != http.StatusOK {
			t.Errorf("trying again: %d %s", a.status, a.body)
		}
		for _, secretive := range []string{token, other, secret} {
			if strings.Contains(s.log.String(), secretive) {
				t.Error("the log holds a token or a secret")
			}
		}
	})
}

func TestADatabaseThatStopsInTheMiddleIsA503UntilItIsBack(t *testing.T) {
	t.Parallel()
	for _, e := range storagetest.Servers() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			direct := started.New(t, e)
			through, relay := between.NewRelay(t, direct)
			d := deploymentAt(t, direct)
			d.must("migrate", "up")
			secret := d.client("app")
			s := d.start("INGAM_DATABASE="+through, "INGAM_HTTP_REQUEST_TIMEOUT=1s")
			token := s.token("app", secret)
			form := url.Values{"token": {token}}
			grant := url.Values{"grant_type": {"client_credentials"}}

			t.Run("silent", func(t *testing.T) {
				// The statement arrives, and its answer does not.
				heal := relay.Silence()
				wantUnavailable(t, "an introspection", s.post("/oauth2/introspect", "app", secret, form))
				wantUnavailable(t, "a client that is not in memory", s.post("/oauth2/token", "unknown", secret, grant))
				heal()
				eventually(t, "introspection answers again", time.Minute, func() bool {
					return s.post("/oauth2/introspect", "app", secret, form).status == http.StatusOK
				})
			})
			t.Run("gone", func(t *testing.T) {
				for range 3 {
					relay.Stop()
					wantUnavailable(t, "an introspection", s.post("/oauth2/introspect", "app", secret, form))
					wantUnavailable(t, "a revocation", s.post("/oauth2/revoke", "app", secret, form))
					// Until the copies in memory are too old, tokens are issued from
					// them.
					eventually(t, "nothing is issued from memory any more", time.Minute, func() bool {
						a := s.post("/oauth2/token", "app", secret, grant)
						if a.status != http.StatusOK {
							wantUnavailable(t, "a token", a)
						}
						return a.status != http.StatusOK
					})
					wantUnavailable(t, "readiness", s.get("/health/ready"))
					if a := s.get("/health/live"); a.status != http.StatusOK {
						t.Errorf("liveness: %d %s", a.status, a.body)
					}
					if a := s.get("/.well-known/jwks.json"); a.status != http.StatusOK || !strings.Contains(a.body, kidOf(t, token)) {
						t.Errorf("the key set: %d %s", a.status, a.body)
					}
					if err := relay.Start(); err != nil {
						t.Fatal(err)
					}
					s.awaitReady()
					if !s.active("app", secret, token) || !s.active("app", secret, s.token("app", secret)) {
						t.Error("not as before")
					}
				}
			})
			if events := d.events(t, "cut.token"); len(events) != 0 {
				t.Errorf("a refused revocation left %v", events)
			}
		})
	}
}

func TestConnectionsThatFellSilentHoldNothingForLong(t *testing.T) {
	t.Parallel()
	for _, e := range storagetest.Servers() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			direct := started.New(t, e)
			through, relay := between.NewRelay(t, direct)
			d := deploymentAt(t, direct)
			d.must("migrate", "up")
			secret, other := d.client("app"), d.client("other")
			s := d.start("INGAM_DATABASE="+through, "INGAM_HTTP_REQUEST_TIMEOUT=1s")
			token := s.token("app", secret)
			path, index := statusOf(t, token)
			listed := func(as bool) bool {
				got := s.get(path)
				return got.status == http.StatusOK && s.bitOf(t, got, path, index) == as
			}
			if !listed(false) {
				t.Fatal("the list is not as it should be")
			}
			for range 2 {
				relay.Forget()
				d.must("client", "disable", "app")
				// The driver for MySQL would give up after 30 s, pgx would not give up at
				// all.
				const soon = 20 * time.Second
				eventually(t, "the cut is listed", soon, func() bool { return listed(true) })
				eventually(t, "the server is ready", soon, func() bool {
					a := s.get("/health/ready")
					return a.status == http.StatusOK && a.json(t)["status_lists"] == "current"
				})
				eventually(t, "requests are answered", soon, func() bool {
					return s.post("/oauth2/introspect", "other", other, url.Values{"token": {token}}).status == http.StatusOK
				})
				d.must("client", "enable", "app")
				eventually(t, "the token stands", soon, func() bool { return listed(false) })
			}
			for _, of := range []string{"copies in memory", "the status lists"} {
				began, ended := strings.Count(s.log.String(), "cannot read the change sequence in time: "+of), strings.Count(s.log.String(), "can be read again: "+of)
				if began == 0 || began > 2 || ended != began {
					t.Errorf("the log says %d times that %s are behind, and %d times that they have caught up", began, of, ended)
				}
			}
		})
	}
}

// events lists the audit events of one action.
func (d *deployment) events(t testing.TB, action string) []eventJSON {
	t.Helper()
	var events []eventJSON
	d.mustJSON(&events, "audit", "list", "--action", action, "--limit", "5000")
	return events
}
