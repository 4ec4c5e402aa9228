package processes

import (
	"crypto"
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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"

	"github.com/ingam/ingam/cmd/ingam/load"
	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/verify"
)

// BenchmarkServer measures what ingam bench does not: people who sign in, storms,
// revocations, starts, a million grants, memory. The server is as it is run in production: a
// release build in a process of its own, with the default settings, which logs each request
// to a file. The unit of its CPU time is S, the time of one RSA-2048 signature, which makes
// machines comparable. The results are in docs/performance.md.
func BenchmarkServer(b *testing.B) {
	binary := release(b)
	b.Run("SignIn", func(b *testing.B) { benchmarkSignIn(b, binary) })
	b.Run("RefusedSignIn", func(b *testing.B) { benchmarkRefusedSignIn(b, binary) })
	b.Run("Storm", func(b *testing.B) { benchmarkStorm(b, binary) })
	b.Run("Revocation", func(b *testing.B) { benchmarkRevocation(b, binary) })
	b.Run("Ready", func(b *testing.B) { benchmarkReady(b, binary) })
	b.Run("MillionGrants", func(b *testing.B) {
		for _, e := range storagetest.Engines() {
			b.Run(e.Name, func(b *testing.B) { benchmarkMillionGrants(b, binary, e.NewURL(b)) })
		}
	})
	b.Run("HundredThousandTokens", func(b *testing.B) { benchmarkHundredThousandTokens(b, binary) })
}

// benchmarkSignIn checks a password and begins a login session.
func benchmarkSignIn(b *testing.B, binary string) {
	s := newReleased(b, binary, "").start()
	s.d.user("minji")
	ask := s.target.Form("/login", url.Values{"username": {"minji"}, "password": {goodPassword}})
	b.Run("password", func(b *testing.B) {
		s.load(b, load.Repeat(ask, connections), load.Answer{Status: http.StatusSeeOther})
	})
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
			var texts []string
			for i := range b.N + connections {
				texts = append(texts, s.target.Post("/login", "application/json", body, "X-Forwarded-For", fmt.Sprintf("10.1.%d.%d", i/250, i%250)))
			}
			s.load(b, load.Each(texts, connections), load.Answer{Status: http.StatusUnauthorized, Begins: `{"error":"invalid_grant"`})
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
		began := time.Now()
		body, err := w.Exchange(s.target.Form("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {a.id}, "refresh_token": {token}}), issues)
		took := time.Since(began)
		var set tokenSet
		if err == nil {
			err = json.Unmarshal(body, &set)
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
				text := s.target.Post("/login", "application/json", body,
					"X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", addresses>>16, addresses>>8&255, addresses&255), "Connection", "close")
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
	ask := s.target.Form("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, "Authorization", load.Basic("app", s.d.client("app")))
	send := func(n int) {
		if _, err := (load.Plan{Wires: s.connect(b), Series: load.Repeat(ask, connections), Want: issues, Requests: n}).Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	send(connections)
	stored := s.stored()
	b.ResetTimer()
	send(tokens)
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
	target  load.Target
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
	at, err := url.Parse(d.issuer)
	if err != nil {
		d.t.Fatal(err)
	}
	target, err := load.To(at)
	if err != nil {
		d.t.Fatal(err)
	}
	s := &measured{&server{d: d.deployment, url: d.issuer, log: &logBuffer{}, waited: make(chan struct{})}, address, target}
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
	if used := s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime(); (used - read).Abs() > 30*time.Millisecond {
		s.d.t.Errorf("the server used %s of CPU time by getrusage and %s by its clock", used, read)
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

// cpuOf returns the CPU time that the server's process has used.
func cpuOf(t testing.TB, s *server) time.Duration {
	t.Helper()
	used, err := load.CPU(s.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return used
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

// issues is how an answer with an access token begins.
var issues = load.Answer{Status: http.StatusOK, Begins: `{"access_token":"ey`}

func (s *measured) connect(b *testing.B) []*load.Wire {
	b.Helper()
	wires, err := s.target.Dial(b.Context(), connections)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { load.Close(wires) })
	return wires
}

// load sends b.N requests and reports the cost of one.
func (s *measured) load(b *testing.B, series []load.Series, want load.Answer) {
	b.Helper()
	standard, err := load.StandardSigner()
	if err != nil {
		b.Fatal(err)
	}
	plan := load.Plan{Wires: s.connect(b), Series: series, Want: want, Requests: connections}
	if _, err := plan.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	plan.Requests, plan.Signers = b.N, []crypto.Signer{standard}
	plan.CPU = func() (time.Duration, error) { return load.CPU(s.cmd.Process.Pid) }
	b.ResetTimer()
	r, err := plan.Run(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	each := float64(r.CPU) / float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(each/float64(r.Signatures[0]), "S/op")
	b.ReportMetric(each/1e3, "µs-CPU/op")
	b.ReportMetric(float64(r.Signatures[0])/1e3, "µs-S")
	b.ReportMetric(r.Rate(), "req/s")
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
