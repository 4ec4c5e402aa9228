package processes

import (
	"crypto"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/cmd/ingam/load"
)

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
