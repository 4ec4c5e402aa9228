package processes

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
)

// deployment is one database with one master key, and the servers and commands that use
// them.
type deployment struct {
	t         testing.TB
	dir       string
	database  string
	masterKey string
	issuer    string
	binary    string
	// plain servers do not have the race detector: see oneAtATime.
	plain bool
	// now is the clock of servers in this process; nil means the real one.
	now func() time.Time
	// settings are for all servers and commands, arguments for servers only.
	settings, arguments []string
}

// newDeployment returns a deployment in which a server has run once: its database is a
// copy of one that has the schema and the first keys, and belongs to no issuer yet.
// Tests of the very first start use emptyDeployment.
func newDeployment(t testing.TB) *deployment {
	t.Helper()
	return deploymentAt(t, started.New(t, storagetest.Engines()[0]))
}

// started makes copies of a database on which a server has run once. The original is
// renewed after five minutes, because tests do not expect keys that are older.
var started = &storagetest.Copies{Fresh: 5 * time.Minute, Prepare: func(t testing.TB, _ storagetest.Engine, url string) {
	t.Helper()
	d := deploymentAt(t, url)
	d.start().stop()
	storagetest.Exec(t, url, "UPDATE server SET issuer = NULL")
}}

// sharedMasterKey is the master key that seals the keys in those databases.
var sharedMasterKey = sync.OnceValues(func() ([]byte, error) {
	path := filepath.Join(dir, "master.key")
	if out, err := exec.Command(ingam, "master-key", "new", "--out", path).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(path)
})

// deploymentAt returns a deployment with a database that is a copy from started.
func deploymentAt(t testing.TB, database string) *deployment {
	t.Helper()
	d := newFolder(t, database)
	key, err := sharedMasterKey()
	if err == nil {
		err = os.WriteFile(d.masterKey, key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// emptyDeployment returns a deployment with a master key of its own and an empty
// database, which is a SQLite file if none is named.
func emptyDeployment(t testing.TB, database string) *deployment {
	t.Helper()
	d := newFolder(t, database)
	d.must("master-key", "new", "--out", d.masterKey)
	return d
}

// newFolder returns a deployment without a master key.
func newFolder(t testing.TB, database string) *deployment {
	t.Helper()
	dir := t.TempDir()
	if database == "" {
		database = "sqlite:" + filepath.Join(dir, "ingam.db")
	}
	return &deployment{
		t: t, dir: dir, database: database, masterKey: filepath.Join(dir, "master.key"),
		issuer: "http://" + freeAddress(t), binary: ingam,
		// Commands that revoke wait as long as the staleness, so it is short.
		settings: []string{
			"INGAM_CHANGES_STALENESS=500ms",
			// These are long, because a slow machine is not a fault of the
			// server.
			"INGAM_HTTP_REQUEST_TIMEOUT=50s", "INGAM_HTTP_WRITE_TIMEOUT=1m",
			// There are few connections, because many servers share one
			// database server.
			"INGAM_POOL_MAX_OPEN=8",
		},
	}
}

// nextPort is the next port that freeAddress tries. It begins at random, because other
// processes may look for ports too.
var nextPort = func() *atomic.Int32 {
	n := new(atomic.Int32)
	n.Store(mathrand.Int32N(lastPort - firstPort))
	return n
}()

const firstPort, lastPort = 20_000, 30_000

// freeAddress returns an address on which nothing listens, and that no other test gets. So
// a server may begin to listen later, or restart. The ports are below those that systems
// give to outgoing connections and to listeners without a port.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range lastPort - firstPort {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%(lastPort-firstPort))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// oneAtATime is for tests in which nothing happens concurrently: one client or browser
// talks to one server, and the test checks only the answers. The servers of such a
// deployment run the released binary if INGAM_TEST_COMMAND names it. It starts in a fifth
// of the time, but has no race detector. Tests with concurrent requests, several servers,
// cuts, streams or a process that ends must not call this.
func (d *deployment) oneAtATime() *deployment {
	d.plain = true
	return d
}

// plainBinary returns the binary that INGAM_TEST_COMMAND names, which 'make build' has
// made; without it, that of the tests.
func plainBinary() string {
	return cmp.Or(os.Getenv("INGAM_TEST_COMMAND"), plain)
}

func (d *deployment) environ(extra ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + d.dir,
		"INGAM_ISSUER=" + d.issuer,
		"INGAM_DATABASE=" + d.database,
		"INGAM_MASTER_KEY_FILE=" + d.masterKey,
	}
	for _, name := range []string{"GOCOVERDIR", "GORACE"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(append(env, d.settings...), extra...)
}

// ended is the result of a command.
type ended struct {
	stdout, stderr string
	status         int
}

// command runs a command on the deployment, with the given standard input. It runs in a
// process that runs many commands (see run), unless it must read the configuration of
// the folder in which it starts.
func (d *deployment) command(stdin string, extra []string, args ...string) ended {
	d.t.Helper()
	_, err := os.Stat(filepath.Join(d.dir, "ingam.yaml"))
	if err == nil || d.binary != ingam || args[0] == "serve" {
		return d.program(stdin, extra, args...)
	}
	return run(d.t, d.environ(extra...), stdin, args...)
}

// program runs a command as a process of its own, for example if several run concurrently
// and must not share memory.
func (d *deployment) program(stdin string, extra []string, args ...string) ended {
	d.t.Helper()
	binary := d.binary
	if binary == ingam {
		binary = plainBinary()
	}
	return program(d.t, binary, d.dir, d.environ(extra...), stdin, args...)
}

// program runs a process in a folder. Its environment has only the given variables.
func program(t testing.TB, binary, dir string, environ []string, stdin string, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, environ, strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("ingam %s: %v", strings.Join(args, " "), err)
	}
	return ended{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs a command that must succeed, and returns its standard output.
func (d *deployment) must(args ...string) string {
	d.t.Helper()
	e := d.command("", nil, args...)
	if e.status != 0 {
		d.t.Fatalf("ingam %s: exit status %d\n%s", strings.Join(args, " "), e.status, e.stderr)
	}
	return e.stdout
}

// mustJSON runs a command with --json and decodes its result.
func (d *deployment) mustJSON(into any, args ...string) {
	d.t.Helper()
	out := d.must(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		d.t.Fatalf("ingam %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

// client registers a client_credentials client that may request the scopes "read write"
// of the API https://api.test, which it also is, and returns its secret. It registers the
// API if it is missing.
func (d *deployment) client(id string, extra ...string) (secret string) {
	d.t.Helper()
	e := d.command("", nil, "api", "create", "--audience", "https://api.test", "--name", "Test API", "--scope", "read write")
	if e.status != 0 && !strings.Contains(e.stderr, "exists") {
		d.t.Fatalf("api create: %s", e.stderr)
	}
	var created struct {
		ClientSecret string `json:"client_secret"`
	}
	args := []string{"client", "create", "--id", id, "--name", id, "--grant", "client_credentials", "--scope", "read write", "--audience", "https://api.test", "--introspects", "https://api.test"}
	if !strings.Contains(strings.Join(extra, " "), "--auth") {
		args = append(args, "--auth", "client_secret_basic")
	}
	d.mustJSON(&created, append(args, extra...)...)
	return created.ClientSecret
}

// server is a running server process.
type server struct {
	d   *deployment
	url string // its address, which is the issuer unless this is a second server
	cmd *exec.Cmd
	log *logBuffer

	waited chan struct{}
	err    error
}

// start starts a server at the issuer's address and waits until it is ready.
func (d *deployment) start(extra ...string) *server {
	d.t.Helper()
	return d.startAt(strings.TrimPrefix(d.issuer, "http://"), extra...)
}

// startAt starts a server at another address, for example a second one of the same
// issuer.
func (d *deployment) startAt(address string, extra ...string) *server {
	d.t.Helper()
	s := d.launch(address, extra...)
	s.awaitReady()
	return s
}

// launch starts a server and does not wait.
func (d *deployment) launch(address string, extra ...string) *server {
	d.t.Helper()
	s := &server{d: d, url: "http://" + address, log: &logBuffer{}, waited: make(chan struct{})}
	binary := d.binary
	if d.plain && binary == ingam {
		binary = plainBinary()
	}
	s.cmd = exec.Command(binary, append([]string{"serve"}, d.arguments...)...)
	if !strings.HasPrefix(d.database, "sqlite:") {
		s.cmd.Args = append(s.cmd.Args, "--migrate")
	}
	s.cmd.Dir, s.cmd.Env = d.dir, d.environ(append([]string{"INGAM_LISTEN=" + address}, extra...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	s.mind()
	return s
}

// mind ends a server at the end of the test. The test fails if the race detector has
// reported something in the server's log.
func (s *server) mind() {
	go func() {
		s.err = s.cmd.Wait()
		close(s.waited)
	}()
	s.d.t.Cleanup(func() {
		s.kill()
		if log := s.log.String(); strings.Contains(log, "WARNING: DATA RACE") {
			s.d.t.Errorf("the server at %s:\n%s", s.url, log[strings.Index(log, "WARNING: DATA RACE"):])
		}
		if s.d.t.Failed() {
			s.d.t.Logf("the log of the server at %s:\n%s", s.url, s.log.tail(8<<10))
		}
	})
}

func (s *server) awaitReady() {
	s.d.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if resp, err := http.Get(s.url + "/health/ready"); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-s.waited:
			s.d.t.Fatalf("the server ended: %v\n%s", s.err, s.log.tail(8<<10))
		case <-time.After(20 * time.Millisecond):
		}
	}
	s.d.t.Fatalf("the server was not ready within a minute\n%s", s.log.tail(8<<10))
}

// awaitListening waits until the server answers, even if it is not ready.
func (s *server) awaitListening() {
	s.d.t.Helper()
	eventually(s.d.t, "the server listens", time.Minute, func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			conn.Close()
			return true
		}
		select {
		case <-s.waited:
			s.d.t.Fatalf("the server ended: %v\n%s", s.err, s.log.tail(8<<10))
		default:
		}
		return false
	})
}

// kill ends the server abruptly, as a power cut would.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.waited
}

// stop ends the server as an operator would, and returns its exit status.
func (s *server) stop() int {
	s.d.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.waited:
	case <-time.After(time.Minute):
		s.d.t.Fatal("the server did not stop within a minute")
	}
	return s.cmd.ProcessState.ExitCode()
}

// answer is the answer to a request.
type answer struct {
	status int
	header http.Header
	body   string
	// basic is set if the request used HTTP Basic.
	basic bool
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("not a JSON object: %d %q", a.status, a.body)
	}
	return m
}

// post posts a form, authenticated by HTTP Basic if id is not empty.
func (s *server) post(path, id, secret string, form url.Values) answer {
	s.d.t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	return s.do(r)
}

func (s *server) get(path string) answer {
	s.d.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.d.t.Fatal(err)
	}
	return s.do(r)
}

func (s *server) do(r *http.Request) answer {
	s.d.t.Helper()
	a, err := send(r)
	if err != nil {
		s.d.t.Fatal(err)
	}
	return a
}

// send sends a request and returns any error. Goroutines use it, because they must not end
// the test.
func send(r *http.Request) (answer, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b), strings.HasPrefix(strings.ToLower(r.Header.Get("Authorization")), "basic")}, err
}

// token gets an access token. The test fails if it gets none.
func (s *server) token(id, secret string, more ...string) string {
	s.d.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Add(more[i], more[i+1])
	}
	a := s.post("/oauth2/token", id, secret, form)
	if a.status != http.StatusOK {
		s.d.t.Fatalf("token: %d %s", a.status, a.body)
	}
	return a.json(s.d.t)["access_token"].(string)
}

// active introspects a token and reports whether it is active.
func (s *server) active(id, secret, token string) bool {
	s.d.t.Helper()
	a := s.post("/oauth2/introspect", id, secret, url.Values{"token": {token}})
	if a.status != http.StatusOK {
		s.d.t.Fatalf("introspect: %d %s", a.status, a.body)
	}
	return a.json(s.d.t)["active"].(bool)
}

// eventually waits until something is true that another process does later, such as
// following a change. within is much longer than the promised time, so that the test does
// not fail on a slow machine.
func eventually(t testing.TB, what string, within time.Duration, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not within %s: %s", within, what)
}

// logBuffer collects the output of a process.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) tail(n int) string {
	s := l.String()
	return s[max(0, len(s)-n):]
}

var _ fmt.Stringer = (*logBuffer)(nil)

// signingKey returns the kid of the key that signs in the published ring.
func signingKey(t testing.TB, d *deployment) string {
	t.Helper()
	var list []keyJSON
	d.mustJSON(&list, "key", "list")
	for _, k := range list {
		if k.Ring == "tokens" && k.State == "active" {
			return k.KID
		}
	}
	t.Fatalf("no key signs: %+v", list)
	return ""
}

// part decodes the header (0) or the payload (1) of a token.
func part(t testing.TB, token string, i int) map[string]any {
	t.Helper()
	var m map[string]any
	mustUnmarshal(t, written(t, token, i), &m)
	return m
}

// written returns the text of the header (0) or the payload (1) of a token.
func written(t testing.TB, token string, i int) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func kidOf(t testing.TB, token string) string {
	t.Helper()
	return part(t, token, 0)["kid"].(string)
}

// tamper returns the token with another client's id in it and the old signature.
func tamper(token string) string {
	parts := strings.Split(token, ".")
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	parts[1] = base64.RawURLEncoding.EncodeToString(bytes.Replace(b, []byte(`"sub":"`), []byte(`"sub":"x`), 1))
	return strings.Join(parts, ".")
}
