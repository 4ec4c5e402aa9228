package processes

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
)

// onEachEngine runs a test on a new database of each engine, on which a server has run
// once.
func onEachEngine(t *testing.T, test func(t *testing.T, d *deployment)) {
	for _, e := range storagetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, deploymentAt(t, started.New(t, e)))
		})
	}
}

// onEachEmptyEngine runs a test on an empty database of each engine.
func onEachEmptyEngine(t *testing.T, test func(t *testing.T, d *deployment)) {
	for _, e := range storagetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, emptyDeployment(t, e.NewURL(t)))
		})
	}
}

// wantOneOfEach checks that each ring has exactly one key that signs and one that will
// sign next.
func wantOneOfEach(t *testing.T, d *deployment) {
	t.Helper()
	var list []keyJSON
	d.mustJSON(&list, "key", "list")
	count := map[string]int{}
	for _, k := range list {
		count[k.Ring+" "+k.State]++
	}
	for _, what := range []string{"tokens active", "tokens published", "refresh active", "refresh published"} {
		if count[what] != 1 {
			t.Errorf("%d keys are %s, want 1: %v", count[what], what, count)
		}
	}
}

func TestTwoServersThatStartAtOnceOnAnEmptyDatabaseShareOneSetOfKeys(t *testing.T) {
	t.Parallel()
	onEachEmptyEngine(t, func(t *testing.T, d *deployment) {
		first := d.launch(strings.TrimPrefix(d.issuer, "http://"))
		second := d.launch(freeAddress(t))
		first.awaitReady()
		second.awaitReady()
		wantOneOfEach(t, d)
		var list []keyJSON
		d.mustJSON(&list, "key", "list")
		// One of the servers makes another ring within a second, to sign the audit log.
		if list = slices.DeleteFunc(list, func(k keyJSON) bool { return k.Ring == "audit" }); len(list) != 4 {
			t.Errorf("%d keys, want 4", len(list))
		}
		if a, b := first.get("/.well-known/jwks.json"), second.get("/.well-known/jwks.json"); a.body != b.body || a.header.Get("ETag") != b.header.Get("ETag") {
			t.Errorf("the servers publish different keys:\n%s\n%s", a.body, b.body)
		}
		secret := d.client("app")
		if !second.active("app", secret, first.token("app", secret)) {
			t.Error("one server does not take the other's token")
		}
	})
}

func TestRotationsFromTheCommandLineReachEveryServerAndHappenOnce(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		first, second := d.start(), d.startAt(freeAddress(t))
		secret := d.client("app")
		old := signingKey(t, d)
		before := first.token("app", secret)

		// Several rotations without --force run at once. They refuse, because the
		// next key was published just now, and verifiers may not know it yet.
		d.must("key", "rotate", "--now", "--force", "--reason", "test")
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() { d.program("", nil, "key", "rotate", "--now") })
		}
		group.Wait()
		wantOneOfEach(t, d)
		current := signingKey(t, d)
		if current == old {
			t.Fatal("nothing was rotated")
		}
		for _, s := range []*server{first, second} {
			eventually(t, "a server signs with the new key", time.Minute, func() bool { return kidOf(t, s.token("app", secret)) == current })
			if !s.active("app", secret, before) {
				t.Error("a token of the retired key is refused")
			}
		}

		// Two rotations with --force run at once. Both may rotate, but they must
		// never both change the same key.
		for range 2 {
			group.Go(func() { d.program("", nil, "key", "rotate", "--now", "--force") })
		}
		group.Wait()
		wantOneOfEach(t, d)
	})
}

func TestWithdrawnKeysAreDeadOnlineAtOnceAndLeaveEveryKeySet(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		first, second := d.start(), d.startAt(freeAddress(t))
		secret := d.client("app")
		token := first.token("app", secret)
		kid := kidOf(t, token)
		if e := d.command("", nil, "key", "withdraw", kid); e.status != 1 || !strings.Contains(e.stderr, "--force") {
			t.Errorf("with a successor that verifiers cannot know: status %d, %s", e.status, e.stderr)
		}
		if !second.active("app", secret, token) {
			t.Error("a refused withdrawal withdrew")
		}
		d.must("key", "withdraw", kid, "--force", "--reason", "it leaked")
		for _, s := range []*server{first, second} {
			if s.active("app", secret, token) {
				t.Error("a token of the withdrawn key is active")
			}
			if strings.Contains(s.get("/.well-known/jwks.json").body, kid) {
				t.Error("the withdrawn key is published")
			}
			if got := kidOf(t, s.token("app", secret)); got == kid {
				t.Error("the withdrawn key signs")
			}
		}
		wantOneOfEach(t, d)
		if e := d.command("", nil, "key", "withdraw", kid); e.status != 1 {
			t.Errorf("once more: status %d", e.status)
		}
	})
}

func TestCutsHoldOnEveryServerAndWhatIsIssuedAfterwardsLives(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		first, second := d.start(), d.startAt(freeAddress(t))
		both := []*server{first, second}
		secret, other := d.client("app"), d.client("other")
		wantActive := func(what, id, secret, token string, want bool) {
			t.Helper()
			for _, s := range both {
				if s.active(id, secret, token) != want {
					t.Errorf("%s: active is not %t at %s", what, want, s.url)
				}
			}
		}

		one, two := first.token("app", secret), first.token("app", secret)
		if e := d.command(one, nil, "revoke", "--token-stdin", "--reason", "test"); e.status != 0 {
			t.Fatal(e.stderr)
		}
		wantActive("a cut token", "app", secret, one, false)
		wantActive("another one", "app", secret, two, true)

		theirs := second.token("other", other)
		d.must("revoke", "--client", "app", "--reason", "test")
		wantActive("a token of the cut client", "app", secret, two, false)
		wantActive("a token of another client", "other", other, theirs, true)
		for _, s := range both {
			wantActive("a token after the cut", "app", secret, s.token("app", secret), true)
		}

		three := first.token("app", secret)
		d.must("revoke", "--all", "--reason", "test")
		wantActive("a token after everything was cut", "app", secret, three, false)
		wantActive("a token of another client, too", "other", other, theirs, false)
		for _, s := range both {
			wantActive("a token after that", "app", secret, s.token("app", secret), true)
		}

		four := second.token("app", secret)
		d.must("client", "disable", "app")
		wantActive("a token of the disabled client", "other", other, four, false)
		for _, s := range both {
			if a := s.post("/oauth2/token", "app", secret, url.Values{"grant_type": {"client_credentials"}}); a.status != http.StatusUnauthorized {
				t.Errorf("the disabled client: %d %s", a.status, a.body)
			}
		}
		d.must("client", "enable", "app")
		wantActive("its token after it was enabled", "app", secret, four, true)

		d.must("client", "delete", "app")
		wantActive("a token of the deleted client", "other", other, four, false)
		again := d.client("app")
		wantActive("its token after another was registered under its id", "app", again, four, false)
		wantActive("the new one's token", "app", again, first.token("app", again), true)
	})
}

func TestKillingServersAndCommandsInTheMiddleOfRotationsLeavesTheRingsWhole(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start()
		secret := d.client("app")
		var tokens []string
		for range 6 {
			tokens = append(tokens, s.token("app", secret))
			cmd := exec.Command(d.binary, "key", "rotate", "--now", "--force")
			cmd.Dir, cmd.Env = d.dir, d.environ()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(rand.N(400 * time.Millisecond))
			cmd.Process.Kill()
			s.kill()
			cmd.Wait()
			s = d.start()
			wantOneOfEach(t, d)
		}
		jwks := s.get("/.well-known/jwks.json").body
		for _, token := range tokens {
			if !strings.Contains(jwks, kidOf(t, token)) {
				t.Errorf("the key %s of a token that is alive is not published", kidOf(t, token))
			}
			if !s.active("app", secret, token) {
				t.Error("a token from before is refused")
			}
		}
	})
}

func TestEveryAcknowledgedCutOutlivesKillingTheServer(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start()
		secret := d.client("app")
		const cuts, killings = 1000, 3
		var (
			mu           sync.Mutex
			acknowledged []string
			unanswered   []string
		)
		for round := range killings {
			tokens := make(chan string, cuts/killings+1)
			for range cap(tokens) {
				tokens <- s.token("app", secret)
			}
			close(tokens)
			kill := 30 + rand.IntN(cap(tokens)-60) // the server is killed after that many acknowledgements
			done := make(chan struct{})
			var group sync.WaitGroup
			count := 0
			for range 4 {
				group.Go(func() {
					for token := range tokens {
						r, err := http.NewRequest(http.MethodPost, s.url+"/oauth2/revoke", strings.NewReader(url.Values{"token": {token}}.Encode()))
						if err != nil {
							panic(err)
						}
						r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
						r.SetBasicAuth("app", secret)
						a, err := send(r)
						mu.Lock()
						if err == nil && a.status == http.StatusOK {
							acknowledged = append(acknowledged, token)
							if count++; count == kill {
								close(done)
							}
						} else {
							unanswered = append(unanswered, token)
						}
						mu.Unlock()
					}
				})
			}
			<-done
			s.kill()
			group.Wait()
			s = d.start()
			t.Logf("round %d: killed after %d of %d", round, kill, cuts/killings)
		}
		audited := map[string]int{}
		for _, e := range d.events(t, "cut.token") {
			audited[e.Subject]++
		}
		for _, token := range acknowledged {
			if s.active("app", secret, token) {
				t.Error("an acknowledged cut does not hold")
			}
			if n := audited[part(t, token, 1)["jti"].(string)]; n != 1 {
				t.Errorf("an acknowledged cut has %d audit events", n)
			}
		}
		for _, token := range unanswered {
			// The cut may have been made or not. The audit must agree with
			// introspection.
			if cut := audited[part(t, token, 1)["jti"].(string)] > 0; s.active("app", secret, token) == cut {
				t.Errorf("an unanswered cut: audited %t, active %t", cut, !cut)
			}
		}
		t.Logf("%d cuts acknowledged, %d unanswered", len(acknowledged), len(unanswered))
	})
}

func TestAServerThatIsStoppedFinishesWhatItIsDoing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start()
	secret := d.client("app")
	under := s.beginTokenRequest("app", secret)
	s.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "the server stops listening", time.Minute, func() bool {
		_, err := http.Get(s.url + "/health/live")
		return err != nil
	})
	if a := under.finish(); a.status != http.StatusOK {
		t.Errorf("the request under way: %d %s", a.status, a.body)
	}
	<-s.waited
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestAServerThatDrainsSaysSoAndStillServes(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start("INGAM_HTTP_DRAIN_DELAY=1h")
	secret := d.client("app")
	s.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "readiness turns", time.Minute, func() bool { return s.get("/health/ready").status == http.StatusServiceUnavailable })
	s.token("app", secret)
}

func TestATokenOfAKeyThatAServerDoesNotKnowYetIsNotRefused(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start("INGAM_CHANGES_STALENESS=1m") // it polls every 15 s
		secret := d.client("app")
		d.must("key", "rotate", "--now", "--force")
		other := d.startAt(freeAddress(t))
		token := other.token("app", secret)
		if !s.active("app", secret, token) {
			t.Error("it is inactive where its key is not known")
		}
	})
}

func TestASecondSignalEndsTheServerAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	// A request that is under way may take longer than this test runs.
	s := d.start("INGAM_HTTP_READ_TIMEOUT=1h", "INGAM_HTTP_SHUTDOWN_TIMEOUT=1h")
	s.beginTokenRequest("app", d.client("app"))
	s.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "the first signal is heard", time.Minute, func() bool { return strings.Contains(s.log.String(), "stopping") })
	// A signal is sent again and again, because one that arrives before the first was
	// handled is merged with it.
	eventually(t, "it ends", time.Minute, func() bool {
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.waited:
			return true
		default:
			return false
		}
	})
	if code := s.cmd.ProcessState.ExitCode(); code == 0 {
		t.Error("it pretends to have finished the request under way")
	}
}

// halfRequest is a request whose first half was sent to the server.
type halfRequest struct {
	t    testing.TB
	conn net.Conn
	rest string
}

// beginTokenRequest sends a token request without its end, and returns when the server
// waits for the rest.
func (s *server) beginTokenRequest(id, secret string) halfRequest {
	s.d.t.Helper()
	body := url.Values{"grant_type": {"client_credentials"}}.Encode()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.d.t.Fatal(err)
	}
	s.d.t.Cleanup(func() { conn.Close() })
	// The server says 100 Continue when it begins to read the body. From then on the
	// request is certainly under way.
	fmt.Fprintf(conn, "POST /oauth2/token HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		conn.RemoteAddr(), base64.StdEncoding.EncodeToString([]byte(id+":"+secret)), len(body))
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	heard := make([]byte, len(goOn))
	if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != goOn {
		s.d.t.Fatalf("%q %v", heard, err)
	}
	io.WriteString(conn, body[:len(body)/2])
	return halfRequest{s.d.t, conn, body[len(body)/2:]}
}

func (h halfRequest) finish() answer {
	h.t.Helper()
	io.WriteString(h.conn, h.rest)
	resp, err := http.ReadResponse(bufio.NewReader(h.conn), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(b)}
}
