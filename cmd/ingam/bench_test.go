package main

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/cmd/ingam/load"
	"github.com/ingam/ingam/config"
)

// TestEveryGrantTypeIsMeasured, and all that can be measured has a name that --only takes.
func TestEveryGrantTypeIsMeasured(t *testing.T) {
	t.Parallel()
	s, err := newBenchTarget("http://127.0.0.1:1", 1)
	if err != nil {
		t.Fatal(err)
	}
	r := &benchRecords{secrets: map[string]string{}}
	var names, measured []string
	for _, c := range r.ownCases(s, "a token") {
		names, measured = append(names, c.name), append(measured, c.grant)
	}
	for _, grant := range grants.Supported {
		if !slices.Contains(measured, grant) {
			t.Errorf("ingam bench has no case of the grant type %s: add one in benchcases.go", grant)
		}
	}
	for _, name := range names {
		if !slices.Contains(benchNames, name) {
			t.Errorf("%s is not among the names", name)
		}
	}
}

func TestNothingIsSentToAnotherHost(t *testing.T) {
	t.Parallel()
	s, err := newBenchTarget("https://id.test/a", 1)
	if err != nil {
		t.Fatal(err)
	}
	if path, err := s.pathOf("https://id.test/a/token?x=1"); err != nil || path != "/a/token?x=1" {
		t.Errorf("%q %v", path, err)
	}
	for _, elsewhere := range []string{"https://evil.test/a", "http://id.test/a", "https://id.test:444/a", "https://id.test@evil.test/", "/a", "%"} {
		if path, err := s.pathOf(elsewhere); err == nil {
			t.Errorf("%q is taken for %q", elsewhere, path)
		}
	}
	if s.discovery != "/a/.well-known/openid-configuration" {
		t.Errorf("the metadata is looked for at %s", s.discovery)
	}
}

func TestTheStatusListIsFoundInATokenAndNowhereElse(t *testing.T) {
	t.Parallel()
	const payload = "eyJzdGF0dXMiOnsic3RhdHVzX2xpc3QiOnsiaWR4IjoxLCJ1cmkiOiJodHRwczovL2lkLnRlc3QvMSJ9fX0"
	if got := listOf("e30." + payload + ".x"); got != "https://id.test/1" {
		t.Errorf("%q", got)
	}
	for _, token := range []string{"", "opaque", "e30.e30.x", "e30.!.x", "e30." + payload} {
		if got := listOf(token); got != "" {
			t.Errorf("%q names %q", token, got)
		}
	}
}

func TestAMetricIsReadByItsWholeName(t *testing.T) {
	t.Parallel()
	const text = "# HELP a\na_total_more 1\na_total{x=\"y\"} 2\na_total 1.5e+06\n"
	if v, err := metric([]byte(text), "a_total"); err != nil || v != 1.5e6 {
		t.Errorf("%v %v", v, err)
	}
	if v, err := metric([]byte(text), "b"); err == nil {
		t.Errorf("%v", v)
	}
}

func TestTheServerIsStartedWithTheSettingsThatWereGiven(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	config.Flags(flags)
	if err := flags.Parse([]string{"--keys-bits=3072", "--database", "sqlite:x.db", "--http-cors-origins", "https://a.test", "--http-cors-origins", "https://b.test"}); err != nil {
		t.Fatal(err)
	}
	got, database := settingsIn(flags)
	if want := []string{"--http-cors-origins=https://a.test", "--http-cors-origins=https://b.test", "--keys-bits=3072"}; !slices.Equal(got, want) || !database {
		t.Errorf("%q %t", got, database)
	}
}

// TestAnOwnSignatureIsOneOfTheServersKeys: with 4096 bits it takes seven times as long.
func TestAnOwnSignatureIsOneOfTheServersKeys(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{2048, 3072} {
		b, err := newBench(&terminal{stderr: io.Discard}, benchOptions{}, "go", bits)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{2048, bits} {
			if key, ok := b.signers[i].Public().(*rsa.PublicKey); !ok || key.N.BitLen() != want {
				t.Errorf("with keys of %d bits, signer %d has %T of another size", bits, i, b.signers[i].Public())
			}
		}
	}
}

// strange is a server whose answers a test chooses by their path, and what ingam bench says
// of it.
func strange(t *testing.T, answers map[string]http.HandlerFunc, more ...string) (status int, stdout, stderr string) {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch answer := answers[r.URL.Path]; {
		case answer != nil:
			answer(w, r)
		case r.URL.Path == "/.well-known/openid-configuration":
			json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL, "token_endpoint": s.URL + "/token", "introspection_endpoint": s.URL + "/introspect", "jwks_uri": s.URL + "/keys"})
		case r.URL.Path == "/token":
			io.WriteString(w, `{"access_token":"ey"}`)
		default:
			io.WriteString(w, "{}")
		}
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("abcdefghijklmnopqrstuvwxyz0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, err bytes.Buffer
	status = run(t.Context(), append([]string{"bench", "--url", s.URL, "--client", "app", "--secret-file", file, "--requests", "2", "--connections", "1"}, more...), nil, nil, &out, &err)
	return status, out.String(), err.String()
}

func TestAStrangeServerIsToldOfPlainly(t *testing.T) {
	t.Parallel()
	fails := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for name, c := range map[string]struct {
		answers map[string]http.HandlerFunc
		status  int
		stderr  string
	}{
		"a client that may not introspect":  {map[string]http.HandlerFunc{"/introspect": fails(http.StatusForbidden)}, done, "may not introspect"},
		"keys that cannot be remembered":    {nil, done, "not measured: jwks-304"},
		"introspection that fails":          {map[string]http.HandlerFunc{"/introspect": fails(http.StatusServiceUnavailable)}, failed, "introspection: the server answers with status 503"},
		"introspection that is limited":     {map[string]http.HandlerFunc{"/introspect": fails(http.StatusTooManyRequests)}, failed, "introspection: the server answers with status 429"},
		"a status text that colours a line": {map[string]http.HandlerFunc{"/.well-known/openid-configuration": coloured}, failed, "500 Internal Server Error"},
		"another issuer of the same host": {map[string]http.HandlerFunc{
			"/.well-known/openid-configuration": func(w http.ResponseWriter, r *http.Request) {
				at := "http://" + r.Host
				json.NewEncoder(w).Encode(map[string]string{"issuer": at + "/other", "token_endpoint": at + "/other/token", "jwks_uri": at + "/keys"})
			},
			"/other/token": func(http.ResponseWriter, *http.Request) { t.Error("another issuer got the secret") },
		}, failed, "another issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, stderr := strange(t, c.answers)
			if status != c.status || !strings.Contains(stderr, c.stderr) || strings.Contains(stderr, "\x1b") {
				t.Errorf("status %d, %q", status, stderr)
			}
		})
	}
}

// coloured answers with a status text that is a command to terminals.
func coloured(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 500 \x1b[31mred\r\nContent-Length: 0\r\n\r\n")
}

// TestAProcessThatIsIdleIsNotTheServer: its costs would be told as zero.
func TestAProcessThatIsIdleIsNotTheServer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is no such clock here")
	}
	idle := exec.Command("sleep", "60")
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	defer idle.Wait()
	defer idle.Process.Kill()
	time.Sleep(100 * time.Millisecond) // it uses some to start
	status, stdout, stderr := strange(t, nil, "--pid", strconv.Itoa(idle.Process.Pid))
	if status != failed || stdout != "" || !strings.Contains(stderr, "--pid") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
}

// TestAServerThatCannotLogIsNotMeasured: its figures would be too good.
func TestAServerThatCannotLogIsNotMeasured(t *testing.T) {
	t.Parallel()
	s := &benchServer{folder: t.TempDir()}
	if err := os.WriteFile(s.log(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.logs(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no full disk here")
	}
	if err := errors.Join(os.Remove(s.log()), os.Symlink("/dev/full", s.log())); err != nil {
		t.Fatal(err)
	}
	b, err := newBench(&terminal{stderr: io.Discard}, benchOptions{connections: 1, requests: 2}, "go", 2048)
	if err != nil {
		t.Fatal(err)
	}
	b.sound = s.logs
	answers := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer answers.Close()
	to, err := newBenchTarget(answers.URL, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.measure(t.Context(), to, to.repeat("jwks", to.Get("/"), load.Answer{Status: 200}), ""); err == nil || !strings.Contains(err.Error(), "cannot log") {
		t.Errorf("%v", err)
	}
}
