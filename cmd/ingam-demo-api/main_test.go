package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestMain makes the test binary act as the command if a variable is set.
func TestMain(m *testing.M) {
	if os.Getenv("INGAM_DEMO_API_TEST_IS_COMMAND") != "" {
		main()
	}
	os.Exit(m.Run())
}

// issuer is an authorization server, with only the parts that this API uses. It has one
// status list. All its tokens are revoked as soon as the stream says so.
type issuer struct {
	*httptest.Server
	signer jose.Signer
	lists  jose.Signer
	events chan string
	acks   chan string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &issuer{events: make(chan string, 8), acks: make(chan string, 8)}
	signer := func(typ jose.ContentType) jose.Signer {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key},
			(&jose.SignerOptions{}).WithHeader("kid", "k").WithType(typ))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	f.signer, f.lists = signer("at+jwt"), signer("statuslist+jwt")
	mux := http.NewServeMux()
	f.Server = httptest.NewServer(mux)
	document := func(path string, body func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(body()) })
	}
	document("/.well-known/oauth-authorization-server", func() any {
		return map[string]string{"issuer": f.URL, "jwks_uri": f.URL + "/jwks", "status_list_aggregation_endpoint": f.URL + "/lists",
			"status_events_endpoint": f.URL + "/events", "status_ack_endpoint": f.URL + "/ack"}
	})
	document("/jwks", func() any {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}}
	})
	document("/lists", func() any { return map[string][]string{"status_lists": {f.URL + "/status/0"}} })
	mux.HandleFunc("GET /status/0", func(w http.ResponseWriter, _ *http.Request) {
		var packed bytes.Buffer
		z := zlib.NewWriter(&packed)
		z.Write(make([]byte, 16))
		z.Close()
		now := time.Now()
		io.WriteString(w, f.sign(t, f.lists, map[string]any{
			"iss": f.URL, "sub": f.URL + "/status/0", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "ttl": 5,
			"status_list": map[string]any{"bits": 1, "lst": base64.RawURLEncoding.EncodeToString(packed.Bytes())},
		}))
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "api" || secret != "geheim" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "event: hello\nid: 1\ndata: {\"listener\":\"L\"}\n\n")
		for {
			w.(http.Flusher).Flush()
			select {
			case text := <-f.events:
				io.WriteString(w, text)
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("POST /ack", func(w http.ResponseWriter, r *http.Request) {
		f.acks <- r.FormValue("id")
		w.WriteHeader(http.StatusNoContent)
	})
	return f
}

func (f *issuer) sign(t *testing.T, s jose.Signer, claims map[string]any) string {
	t.Helper()
	payload, _ := json.Marshal(claims)
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (f *issuer) token(t *testing.T, scope string, index int) string {
	now := time.Now()
	return f.sign(t, f.signer, map[string]any{
		"iss": f.URL, "aud": "http://127.0.0.1:9/orders", "sub": "minji", "client_id": "shop", "scope": scope,
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": fmt.Sprint(index),
		"status": map[string]any{"status_list": map[string]any{"idx": index, "uri": f.URL + "/status/0"}},
	})
}

// process is the command as a running process.
type process struct {
	*exec.Cmd
	url string
	log *lines
}

// lines are what a process has written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(s + "\n")
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), log: &lines{}}
	p.Env = append(append(os.Environ(), "INGAM_DEMO_API_TEST_IS_COMMAND=1", "INGAM_DEMO_API_LISTEN=127.0.0.1:0"), environ...)
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	listening := make(chan string)
	go func() {
		defer close(listening)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.log.add(s.Text())
			var record struct{ Msg, Address string }
			if json.Unmarshal(s.Bytes(), &record) == nil && record.Msg == "listening" {
				listening <- record.Address
			}
		}
	}()
	address, ok := <-listening
	if !ok {
		t.Fatalf("it did not start: %s", p.log)
	}
	p.url = "http://" + address
	return p
}

func (p *process) get(t *testing.T, path, token string) (int, string, http.Header) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", p.url+path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.log)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(body)), resp.Header
}

func TestTheAPIServesWhomItShouldAndStopsWhenAsked(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	defer f.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"INGAM_DEMO_API_ISSUER=" + f.URL, "INGAM_DEMO_API_AUDIENCE=http://127.0.0.1:9/orders", "INGAM_DEMO_API_MAX_STALENESS=1m"},
		"-status", "stream", "-client-id", "api", "-client-secret-file", secret)
	if id := <-f.acks; id != "1" {
		t.Errorf("acknowledged %s", id)
	}
	token := f.token(t, "read", 3)
	check := func(path, token string, status int, contains string) http.Header {
		t.Helper()
		got, body, header := p.get(t, path, token)
		if got != status || !strings.Contains(body, contains) {
			t.Errorf("%s: %d %s, want %d %s", path, got, body, status, contains)
		}
		return header
	}
	if h := check("/hello", "", 401, "needs an access token"); !strings.Contains(h.Get("WWW-Authenticate"), `resource_metadata="http://127.0.0.1:9/.well-known/oauth-protected-resource/orders"`) {
		t.Errorf("challenge %v", h)
	}
	check("/hello", token, 200, `{"sub":"minji","client_id":"shop","scope":"read"}`)
	check("/hello/write", token, 403, "insufficient_scope")
	check("/hello/write", f.token(t, "read write", 4), 200, `"scope":"read write"`)
	check("/hello?access_token="+token, "", 400, "invalid_request")
	check("/.well-known/oauth-protected-resource/orders", "", 200, `"authorization_servers":["`+f.URL+`"]`)
	check("/health", "", 200, `"ready":true`)

	f.events <- fmt.Sprintf("event: set\nid: 2\ndata: {\"set\":[{\"uri\":%q,\"idx\":[3]}]}\n\n", f.URL+"/status/0")
	if id := <-f.acks; id != "2" {
		t.Errorf("acknowledged %s", id)
	}
	check("/hello", token, 401, "revoked")
	check("/state", "", 200, `"last_event_id":2`)

	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if log := p.log.String(); strings.Contains(log, token[:20]) || strings.Contains(log, "geheim") || !strings.Contains(log, `"status":403`) {
		t.Errorf("the log:\n%s", log)
	}
}

func TestTheAPIComesUpWithoutItsIssuer(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	f.Close()
	p := start(t, nil, "-issuer", f.URL, "-audience", "orders")
	if status, body, _ := p.get(t, "/health", ""); status != 503 || !strings.Contains(body, "could not be fetched yet") {
		t.Errorf("health %d %s", status, body)
	}
	if status, _, h := p.get(t, "/hello", f.token(t, "read", 1)); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("hello %d %v", status, h)
	}
}

func TestTheAPISaysWhatIsWrongWithItsSettings(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	for want, args := range map[string][]string{
		"Issuer is not set":      nil,
		"none of none, poll":     {"-status", "push"},
		"no such file":           {"-client-secret-file", "/nonexistent"},
		"unexpected argument":    {"serve"},
		"\"*\" is not an origin": {"-cors-origin", "*"},
		"a/\" is not an origin":  {"-cors-origin", "https://b,https://a/"},
		"StatusStream needs":     {"-issuer", "https://id.example.com", "-audience", "a", "-status", "stream"},
		"INGAM_DEMO_API_STATUS":  {"-issuer", "https://id.example.com"},
	} {
		lookup := none
		if strings.HasPrefix(want, "INGAM") {
			lookup = func(name string) (string, bool) { return "push", name == want }
		}
		var stderr strings.Builder
		if status := run(t.Context(), args, lookup, &stderr); status != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%v: %d, %s", args, status, &stderr)
		}
	}
}

func TestScriptsOfTheOriginsThatAreNamedMayCallTheAPI(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	defer f.Close()
	common := []string{"-issuer", f.URL, "-audience", "http://127.0.0.1:9/orders", "-status", "none"}
	open := start(t, []string{"INGAM_DEMO_API_CORS_ORIGIN=https://a.example,https://b.example"}, common...)
	flags := start(t, nil, append(common, "-cors-origin", "https://a.example", "-cors-origin", "https://b.example")...)
	closed := start(t, nil, common...)
	ask := func(p *process, method, path, origin, token string) (int, http.Header) {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), method, p.url+path, nil)
		r.Header.Set("Origin", origin)
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", "GET")
			r.Header.Set("Access-Control-Request-Headers", "authorization")
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	token := f.token(t, "read", 3)
	for _, p := range []*process{open, flags} {
		for _, origin := range []string{"https://a.example", "https://b.example"} {
			status, h := ask(p, "OPTIONS", "/hello", origin, "")
			if status != 204 || h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Headers") != "authorization" || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %d %v", origin, status, h)
			}
			for sent, want := range map[string]int{token: 200, "": 401} {
				if status, h := ask(p, "GET", "/hello", origin, sent); status != want || h.Get("Access-Control-Allow-Origin") != origin {
					t.Errorf("%s: %d %v, want %d", origin, status, h, want)
				}
			}
		}
		for _, c := range [][2]string{{"/hello", "https://evil.example"}, {"/hello", "http://a.example"}, {"/hello", "null"}, {"/state", "https://a.example"}, {"/hello/write", "https://a.example"}} {
			for _, method := range []string{"OPTIONS", "GET"} {
				if _, h := ask(p, method, c[0], c[1], token); h.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s %s from %s: %v", method, c[0], c[1], h)
				}
			}
		}
	}
	if _, h := ask(closed, "GET", "/hello", "https://a.example", token); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without the flag: %v", h)
	}
}
