package processes

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"

	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/verify"
)

// BenchmarkServer measures the server as it is run in production: a release build in a
// process of its own, with the default settings, which logs each request to a file. The
// cost of a request is the CPU time of that process, of all threads and in the kernel,
// divided by the time of one RSA-2048 signature. That unit, S, makes machines
// comparable. The results are in docs/performance.md.
func BenchmarkServer(b *testing.B) {
	binary := release(b)
	b.Run("Signature", benchmarkSignature)
	b.Run("Token", func(b *testing.B) { benchmarkToken(b, binary) })
	b.Run("Introspection", func(b *testing.B) {
		for _, e := range storagetest.Engines() {
			b.Run(e.Name, func(b *testing.B) { benchmarkIntrospection(b, binary, e.NewURL(b)) })
		}
	})
	b.Run("Refresh", func(b *testing.B) {
		for _, e := range storagetest.Engines() {
			b.Run(e.Name, func(b *testing.B) { benchmarkRefresh(b, binary, e.NewURL(b)) })
		}
	})
	b.Run("SignIn", func(b *testing.B) { benchmarkSignIn(b, binary) })
	b.Run("RefusedSignIn", func(b *testing.B) { benchmarkRefusedSignIn(b, binary) })
	b.Run("Storm", func(b *testing.B) { benchmarkStorm(b, binary) })
	b.Run("JWKS", func(b *testing.B) { benchmarkJWKS(b, binary) })
	b.Run("StatusList", func(b *testing.B) { benchmarkStatusList(b, binary) })
	b.Run("Revocation", func(b *testing.B) { benchmarkRevocation(b, binary) })
	b.Run("Ready", func(b *testing.B) { benchmarkReady(b, binary) })
	b.Run("MillionGrants", func(b *testing.B) {
		for _, e := range storagetest.Engines() {
			b.Run(e.Name, func(b *testing.B) { benchmarkMillionGrants(b, binary, e.NewURL(b)) })
		}
	})
	b.Run("HundredThousandTokens", func(b *testing.B) { benchmarkHundredThousandTokens(b, binary) })
}

func benchmarkSignature(b *testing.B) {
	sign := signer(b)
	for b.Loop() {
		sign()
	}
}

func benchmarkToken(b *testing.B, binary string) {
	s := newReleased(b, binary, "").start()
	ask := s.tokenRequest()
	b.Run("client_credentials", func(b *testing.B) { s.load(b, ask) })
	for _, algorithm := range []string{"PS256", "ES256", "EdDSA", "HS256"} {
		d := newReleased(b, binary, "")
		s := d.start()
		d.must("api", "create", "--audience", "https://api.test", "--name", "API", "--scope", "read write", "--signing-alg", algorithm)
		ask := s.tokenRequest()
		b.Run(algorithm, func(b *testing.B) { s.load(b, ask) })
	}
}

// benchmarkIntrospection introspects valid tokens as the API that they are for: the
// same token over and over, as APIs do while it is valid; and each token once, so that
// its signature is checked for the first time.
func benchmarkIntrospection(b *testing.B, binary, database string) {
	s := newReleased(b, binary, database).start()
	secret, asker := s.d.client("app"), s.d.client("api")
	about := func(token string) request {
		ask := s.formRequest("/oauth2/introspect", "api", asker, url.Values{"token": {token}})
		ask.body = `{"active":true,`
		return ask
	}
	one := about(s.token("app", secret))
	b.Run("again", func(b *testing.B) { s.load(b, one) })
	b.Run("first", func(b *testing.B) {
		texts := make([]string, b.N+connections)
		for i := range texts {
			texts[i] = about(s.token("app", secret)).text
		}
		each := one
		each.texts = texts
		s.load(b, each)
	})
}

// families is how many grants are refreshed in turn.
const families = 100

// benchmarkRefresh refreshes a hundred grants over and over, each with its latest
// refresh token, and counts the rows afterwards.
func benchmarkRefresh(b *testing.B, binary, database string) {
	s := newReleased(b, binary, database).start()
	s.d.user("minji")
	p := s.person()
	for _, scope := range []string{"read", "openid read"} {
		a := s.d.webClient("app-" + strings.ReplaceAll(scope, " ", "-"))
		// Two connections never refresh the same grant.
		var chains [connections][]string
		for i := range families {
			chains[i%connections] = append(chains[i%connections], a.tokens(s.server, p, "minji", "scope", scope).Refresh)
		}
		text := func(token string) string {
			form := url.Values{"grant_type": {"refresh_token"}, "client_id": {a.id}, "refresh_token": {token}}.Encode()
			return fmt.Sprintf("POST /oauth2/token HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", s.address, len(form), form)
		}
		b.Run(scope, func(b *testing.B) {
			wires := s.connect(b)
			rows := storagetest.Rows(b, s.d.database)
			refresh := func(n int) {
				var sending sync.WaitGroup
				for i, w := range wires {
					chain := chains[i]
					sending.Go(func() {
						for turn := range (n + i) / connections { // these numbers add up to n
							at := turn % len(chain)
							body, err := w.exchange(text(chain[at]), request{status: http.StatusOK, body: `{"access_token":"ey`})
							var set tokenSet
							if err == nil {
								err = json.Unmarshal([]byte(body), &set)
							}
							if err != nil {
								b.Error(err)
								return
							}
							chain[at] = set.Refresh
						}
					})
				}
				sending.Wait()
			}
			s.measure(b, refresh)
			b.ReportMetric(float64(storagetest.Rows(b, s.d.database)-rows), "rows-added")
		})
	}
}

// benchmarkSignIn checks a password and begins a login session.
func benchmarkSignIn(b *testing.B, binary string) {
	s := newReleased(b, binary, "").start()
	s.d.user("minji")
	form := url.Values{"username": {"minji"}, "password": {goodPassword}}.Encode()
	ask := request{status: http.StatusSeeOther, text: fmt.Sprintf(
		"POST /login HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", s.address, len(form), form)}
	b.Run("password", func(b *testing.B) { s.load(b, ask) })
	hasher, err := argon2.New(argon2.WithVariantID(), argon2.WithM(19*1024), argon2.WithT(2), argon2.WithP(1))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("argon2id-alone", func(b *testing.B) {
		for b.Loop() {
			if _, err := hasher.Hash(goodPassword); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchmarkRefusedSignIn measures a refused sign-in, which must cost the same for every
// user name.
func benchmarkRefusedSignIn(b *testing.B, binary string) {
	d := newReleased(b, binary, "")
	d.settings = []string{"INGAM_THROTTLE_SIGN_IN_FAILURES=1000", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1"}
	s := d.start()
	d.signInApp("mobile")
	d.user("minji")
	d.user("gone")
	d.must("user", "disable", "gone")
	for _, c := range []struct{ who, user, password string }{
		{"unknown", "nobody", "wrong"}, {"wrong", "minji", "wrong"}, {"disabled", "gone", goodPassword},
	} {
		b.Run(c.who, func(b *testing.B) {
			body := fmt.Sprintf(`{"id":%q,"pw":%q,"client_id":"mobile"}`, c.user, c.password)
			ask := request{status: http.StatusUnauthorized, body: `{"error":"invalid_grant"`}
			for i := range b.N + connections {
				ask.texts = append(ask.texts, fmt.Sprintf("POST /login HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: 10.1.%d.%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
					s.address, i/250, i%250, len(body), body))
			}
			s.load(b, ask)
		})
	}
}

// benchmarkStorm refreshes one grant over and over, first alone, and then during 500
// concurrent sign-ins with wrong passwords, each for another account and from another
// address.
func benchmarkStorm(b *testing.B, binary string) {
	const crowd = 500
	d := newReleased(b, binary, "")
	d.settings = []string{"INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1"}
	s := d.start()
	d.signInApp("mobile")
	d.user("minji")
	a := d.webClient("app")
	token := a.tokens(s.server, s.person(), "minji", "scope", "openid read").Refresh
	w := s.connect(b)[0]
	refresh := func() time.Duration {
		form := url.Values{"grant_type": {"refresh_token"}, "client_id": {a.id}, "refresh_token": {token}}.Encode()
		began := time.Now()
		body, err := w.exchange(fmt.Sprintf("POST /oauth2/token HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
			s.address, len(form), form), request{status: http.StatusOK, body: `{"access_token":"ey`})
		took := time.Since(began)
		var set tokenSet
		if err == nil {
			err = json.Unmarshal([]byte(body), &set)
		}
		if err != nil {
			b.Fatal(err)
		}
		token = set.Refresh
		// There is a pause between two refreshes, as between those of many apps.
		time.Sleep(5 * time.Millisecond)
		return took
	}
	report := func(b *testing.B, took []time.Duration) {
		slices.Sort(took)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(milliseconds(took[len(took)/2]), "ms-p50")
		b.ReportMetric(milliseconds(took[len(took)*99/100]), "ms-p99")
		b.ReportMetric(milliseconds(took[len(took)-1]), "ms-max")
	}
	b.Run("alone", func(b *testing.B) {
		var took []time.Duration
		for range 300 * b.N {
			took = append(took, refresh())
		}
		report(b, took)
	})
	addresses := 0
	b.Run(fmt.Sprintf("beside-%d", crowd), func(b *testing.B) {
		var took []time.Duration
		var lookedAt, turnedAway atomic.Int64
		for range b.N {
			var storm sync.WaitGroup
			for range crowd {
				addresses++
				body := fmt.Sprintf(`{"id":"nobody%d","pw":"wrong","client_id":"mobile"}`, addresses)
				text := fmt.Sprintf("POST /login HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: 10.%d.%d.%d\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
					s.address, addresses>>16, addresses>>8&255, addresses&255, len(body), body)
				storm.Go(func() {
					conn, err := net.Dial("tcp", s.address)
					if err != nil {
						b.Error(err)
						return
					}
					defer conn.Close()
					conn.SetDeadline(time.Now().Add(time.Minute))
					io.WriteString(conn, text)
					answer, err := io.ReadAll(conn)
					switch {
					case strings.HasPrefix(string(answer), "HTTP/1.1 401 "):
						lookedAt.Add(1)
					case strings.HasPrefix(string(answer), "HTTP/1.1 503 "):
						turnedAway.Add(1)
					default:
						b.Errorf("%v: %s", err, answer)
					}
				})
			}
			over := make(chan struct{})
			go func() { storm.Wait(); close(over) }()
			for raging := true; raging; {
				took = append(took, refresh())
				select {
				case <-over:
					raging = false
				default:
				}
			}
		}
		report(b, took)
		b.ReportMetric(float64(lookedAt.Load())/float64(b.N), "looked-at")
		b.ReportMetric(float64(turnedAway.Load())/float64(b.N), "turned-away")
	})
}

func benchmarkJWKS(b *testing.B, binary string) {
	s := newReleased(b, binary, "").start()
	const path = "/.well-known/jwks.json"
	etag := s.get(path).header.Get("ETag")
	get := "GET " + path + " HTTP/1.1\r\nHost: " + s.address + "\r\n"
	b.Run("200", func(b *testing.B) {
		s.load(b, request{text: get + "\r\n", status: http.StatusOK, body: `{"keys":[{`})
	})
	b.Run("304", func(b *testing.B) {
		s.load(b, request{text: get + "If-None-Match: " + etag + "\r\n\r\n", status: http.StatusNotModified})
	})
}

// benchmarkStatusList fetches the status list that a token refers to, as polling
// verifiers do, and in the same run introspects the token, as a resource server without
// the list would.
func benchmarkStatusList(b *testing.B, binary string) {
	s := newReleased(b, binary, "").start()
	secret, asker := s.d.client("app"), s.d.client("api")
	token := s.token("app", secret)
	list := part(b, token, 1)["status"].(map[string]any)["status_list"].(map[string]any)["uri"].(string)
	path := strings.TrimPrefix(list, s.d.issuer)
	get := "GET " + path + " HTTP/1.1\r\nHost: " + s.address + "\r\nAccept: application/statuslist+jwt\r\n"
	b.Run("200", func(b *testing.B) { s.load(b, request{text: get + "\r\n", status: http.StatusOK, body: "ey"}) })
	b.Run("304", func(b *testing.B) {
		etag := s.get(path).header.Get("ETag")
		s.load(b, request{text: get + "If-None-Match: " + etag + "\r\n\r\n", status: http.StatusNotModified})
	})
	b.Run("introspection", func(b *testing.B) {
		ask := s.formRequest("/oauth2/introspect", "api", asker, url.Values{"token": {token}})
		ask.body = `{"active":true,`
		s.load(b, ask)
	})
}

// benchmarkRevocation revokes tokens and measures how long it takes until offline
// verifiers refuse them, each for itself: from the revocation request to the first
// refusal.
func benchmarkRevocation(b *testing.B, binary string) {
	for name, mode := range map[string]verify.Status{"poll": verify.StatusPoll, "stream": verify.StatusStream} {
		for _, verifiers := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("%s/%d", name, verifiers), func(b *testing.B) {
				s := newReleased(b, binary, "").start()
				secret, api := s.d.client("app"), s.d.client("api")
				s.token("app", secret) // this opens the status list that the verifiers fetch at their start
				all := make([]*verify.Verifier, verifiers)
				for i := range all {
					v, err := verify.New(b.Context(), verify.Config{
						Issuer: s.d.issuer, Audience: "https://api.test", Status: mode, ClientID: "api", ClientSecret: api,
						Name: fmt.Sprint("v", i), Logger: slog.New(slog.DiscardHandler),
					})
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(v.Close)
					all[i] = v
				}
				var mu sync.Mutex
				var delays []time.Duration
				for range b.N {
					token := s.token("app", secret)
					for _, v := range all {
						if _, err := v.Verify(b.Context(), token); err != nil {
							b.Fatal(err)
						}
					}
					cut := time.Now()
					if got := s.post("/oauth2/revoke", "app", secret, url.Values{"token": {token}}); got.status != http.StatusOK {
						b.Fatalf("%d %s", got.status, got.body)
					}
					var refusing sync.WaitGroup
					for _, v := range all {
						refusing.Go(func() {
							for {
								_, err := v.Verify(b.Context(), token)
								if errors.Is(err, verify.ErrRevoked) {
									mu.Lock()
									delays = append(delays, time.Since(cut))
									mu.Unlock()
									return
								}
								if err != nil {
									b.Error(err)
									return
								}
								// The pauses are long enough for a hundred verifiers on
								// two cores.
								time.Sleep(max(2*time.Millisecond, time.Duration(verifiers)*200*time.Microsecond))
							}
						})
					}
					refusing.Wait()
				}
				slices.Sort(delays)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(milliseconds(delays[len(delays)/2]), "ms-p50")
				b.ReportMetric(milliseconds(delays[len(delays)*99/100]), "ms-p99")
				b.ReportMetric(milliseconds(delays[len(delays)-1]), "ms-max")
			})
		}
	}
}

// benchmarkReady starts the server again and again on a database that already has its
// schema and keys.
func benchmarkReady(b *testing.B, binary string) {
	d := newReleased(b, binary, "")
	d.start().stop()
	b.Run("restart", func(b *testing.B) {
		var took []time.Duration
		for range b.N {
			began := time.Now()
			s := d.launch()
			for !s.isReady() {
				time.Sleep(time.Millisecond)
			}
			took = append(took, time.Since(began))
			b.StopTimer()
			s.stop()
			b.StartTimer()
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(milliseconds(slices.Min(took)), "ms-min")
		b.ReportMetric(milliseconds(median(took)), "ms-median")
	})
}

// benchmarkMillionGrants measures with a million grants how long a start and a cut take:
// from the start until the server is ready and until it has the status lists, and from a
// cut of all grants until all are listed.
func benchmarkMillionGrants(b *testing.B, binary, database string) {
	d := newReleased(b, binary, database)
	d.settings = []string{"INGAM_STATUS_LIST_SIZE=4194304"}
	d.user("minji")
	a := d.webClient("web")
	s := d.start()
	token := a.tokens(s.server, s.person(), "minji").Access
	path, index := statusOf(b, token)
	s.stop()
	storagetest.DoubleGrants(b, d.database, 20)
	last := index + 1<<20 - 1

	var ready, lists []time.Duration
	for range b.N {
		began := time.Now()
		s = d.launch()
		for !s.isReady() {
			time.Sleep(time.Millisecond)
		}
		ready = append(ready, time.Since(began))
		for s.get(path).status != http.StatusOK {
			time.Sleep(time.Millisecond)
		}
		lists = append(lists, time.Since(began))
		b.StopTimer()
		s.stop()
		b.StartTimer()
	}
	s = d.start()
	d.must("revoke", "--user", "minji")
	cut := time.Now()
	// There is no list while it takes longer to read a cut than an old list may be
	// served.
	for s.get(path).status != http.StatusOK || !s.bit(b, path, index) || !s.bit(b, path, last) {
		time.Sleep(10 * time.Millisecond)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(median(ready)), "ms-ready")
	b.ReportMetric(milliseconds(median(lists)), "ms-lists")
	b.ReportMetric(milliseconds(time.Since(cut)), "ms-listed")
}

// benchmarkHundredThousandTokens measures what remains after issuing: in memory, and in
// the database.
func benchmarkHundredThousandTokens(b *testing.B, binary string) {
	const tokens = 100_000
	s := newReleased(b, binary, "").start()
	ask := s.tokenRequest()
	s.send(b, s.connect(b), ask, connections)
	stored := s.stored()
	b.ResetTimer()
	s.send(b, s.connect(b), ask, tokens)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(s.memory("VmRSS"), "MB-resident")
	b.ReportMetric(s.memory("VmHWM"), "MB-peak")
	b.ReportMetric(float64(s.stored()-stored)/tokens, "stored-B/token")
}

// release builds the binary as `make build` does, and returns its path.
func release(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "ingam")
	build := exec.Command("go", "build", "-C", root, "-trimpath", "-tags", "netgo osusergo sqlite_omit_load_extension",
		"-ldflags", "-s -w", "-o", binary, "./cmd/ingam")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// released is a deployment that the release build serves.
type released struct{ *deployment }

func newReleased(b *testing.B, binary, database string) released {
	b.Helper()
	d := emptyDeployment(b, database)
	d.binary, d.settings = binary, nil // the defaults
	d.must("migrate", "up")
	return released{d}
}

// measured is a server process whose CPU time and memory can be read.
type measured struct {
	*server
	address string
}

func (d released) start() *measured {
	d.t.Helper()
	s := d.launch()
	s.awaitReady()
	return s
}

// launch differs from deployment.launch in that the server does nothing but its own
// work: it runs no migration, and logs to a file instead of through this process.
func (d released) launch() *measured {
	d.t.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "server.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	address := strings.TrimPrefix(d.issuer, "http://")
	s := &measured{&server{d: d.deployment, url: d.issuer, log: &logBuffer{}, waited: make(chan struct{})}, address}
	s.cmd = exec.Command(d.binary, "serve")
	s.cmd.Dir, s.cmd.Env = d.dir, d.environ("INGAM_LISTEN="+address)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.waited)
	}()
	d.t.Cleanup(s.end)
	return s
}

// end kills the server, unless it was stopped, and checks that cpuOf agrees with the
// CPU time that the kernel reports for a process that has ended.
func (s *measured) end() {
	select {
	case <-s.waited:
		return
	default:
	}
	read := s.cpu()
	s.kill()
	if used := s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime(); (used - read).Abs() > 3*clockTick {
		s.d.t.Errorf("the server used %s of CPU time by getrusage and %s by /proc", used, read)
	}
}

// isReady asks for readiness once, on a connection of its own.
func (s *measured) isReady() bool {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	resp, err := c.Get(s.url + "/health/ready")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// clockTick is the unit of the times in /proc/PID/stat (USER_HZ).
const clockTick = 10 * time.Millisecond

// cpuOf returns the CPU time, user and system, that the server's process has used.
// getrusage returns the same counters, but only after the process has ended, so it
// would include the start and the warm-up. A clock tick is exact enough for a load of
// seconds.
func cpuOf(t testing.TB, s *server) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// The second field is the name, which may contain anything. The third one comes after
	// its parenthesis; utime and stime are the 14th and 15th (proc_pid_stat(5)).
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks time.Duration
	for _, field := range fields[14-3 : 16-3] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * clockTick
}

func (s *measured) cpu() time.Duration { return cpuOf(s.d.t, s.server) }

// memory reads a line of /proc/PID/status, in MB.
func (s *measured) memory(line string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.d.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n"+line+":")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		s.d.t.Fatalf("%s: %v", line, err)
	}
	return kib * 1024 / 1e6
}

// stored returns the size of the SQLite database with its write-ahead log.
func (s *measured) stored() (size int64) {
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(strings.TrimPrefix(s.d.database, "sqlite:") + suffix)
		if err != nil {
			s.d.t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// connections is how many requests run concurrently.
const connections = 8

// request is a request to send, and what its answer must contain.
type request struct {
	text string
	// texts, if set, are sent instead of text, each once.
	texts  []string
	status int
	body   string // how the answer's body begins
}

// split returns one request with the first n texts, and one with the rest.
func (r request) split(n int) (first, rest request) {
	first, rest = r, r
	if r.texts != nil {
		first.texts, rest.texts = r.texts[:n], r.texts[n:]
	}
	return first, rest
}

func (s *measured) tokenRequest() request {
	secret := s.d.client("app")
	ask := s.formRequest("/oauth2/token", "app", secret, url.Values{"grant_type": {"client_credentials"}})
	ask.body = `{"access_token":"ey`
	return ask
}

func (s *measured) formRequest(path, id, secret string, form url.Values) request {
	body := form.Encode()
	r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	var text strings.Builder
	if err := r.Write(&text); err != nil {
		s.d.t.Fatal(err)
	}
	return request{text: text.String(), status: http.StatusOK}
}

// load sends b.N requests and reports the cost of one. It pauses now and then to
// measure the time of a signature, so that other load on the machine slows down both
// alike.
func (s *measured) load(b *testing.B, r request) {
	wires := s.connect(b)
	warming, r := r.split(connections)
	s.send(b, wires, warming, connections)
	s.measure(b, func(n int) {
		var now request
		now, r = r.split(n)
		s.send(b, wires, now, n)
	})
}

// measure is load with any function that sends n requests.
func (s *measured) measure(b *testing.B, send func(n int)) {
	const rounds = 10
	sign := signer(b)
	var signatures []time.Duration
	before := s.cpu()
	b.ResetTimer()
	for round := range rounds {
		send(b.N*(round+1)/rounds - b.N*round/rounds)
		b.StopTimer()
		for range 20 {
			began := time.Now()
			sign()
			signatures = append(signatures, time.Since(began))
		}
		b.StartTimer()
	}
	b.StopTimer()
	each := float64(s.cpu()-before) / float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(each/float64(median(signatures)), "S/op")
	b.ReportMetric(each/1e3, "µs-CPU/op")
	b.ReportMetric(float64(median(signatures))/1e3, "µs-S")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// send sends n requests over the connections.
func (s *measured) send(b *testing.B, wires []*wire, r request, n int) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var sending sync.WaitGroup
	for _, w := range wires {
		sending.Go(func() {
			for {
				i := left.Add(-1)
				if i < 0 {
					return
				}
				text := r.text
				if r.texts != nil {
					text = r.texts[i]
				}
				if _, err := w.exchange(text, r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// wire is an HTTP client that uses as little as possible of the CPUs that it shares
// with the server.
type wire struct {
	net.Conn
	in *bufio.Reader
}

func (s *measured) connect(b *testing.B) []*wire {
	b.Helper()
	var wires []*wire
	for range connections {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(5 * time.Minute))
		wires = append(wires, &wire{conn, bufio.NewReaderSize(conn, 16<<10)})
	}
	return wires
}

// exchange reads only as much of an answer as is needed to find its end and to check
// it.
func (w *wire) exchange(text string, want request) (string, error) {
	if _, err := io.WriteString(w, text); err != nil {
		return "", err
	}
	status, length := "", 0
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		if len(line) == 0 {
			break
		}
		if status == "" {
			status = string(line)
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return "", err
			}
		}
	}
	peeked, err := w.in.Peek(length)
	if err != nil {
		return "", err
	}
	body := string(peeked)
	if !strings.HasPrefix(status, fmt.Sprintf("HTTP/1.1 %d ", want.status)) || !strings.HasPrefix(body, want.body) {
		return "", fmt.Errorf("%s: %s", status, body)
	}
	_, err = w.in.Discard(length)
	return body, err
}

// signer returns a function that makes one signature of the unit S: RS256 with 2048
// bits, by the standard library, in one thread.
func signer(b *testing.B) func() {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("what is signed does not matter"))
	return func() {
		if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]); err != nil {
			b.Error(err)
		}
	}
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
