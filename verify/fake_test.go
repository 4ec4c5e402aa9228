package verify_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/verify"
)

const audience = "https://api.example.com"

// rsaKeys are made once, because that takes long.
var rsaKeys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i := range keys {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = k
	}
	return keys
})

// issuer is an authorization server with the parts that a resource server uses. Its network
// is a pipe, so that it also works with the fake time of synctest.
type issuer struct {
	t         testing.TB
	url       string
	client    *http.Client
	transport *http.Transport

	mu sync.Mutex
	// down is whether the issuer is unreachable.
	down bool
	// published are the kids in the key set: k0, k1, k2.
	published []string
	maxAge    int
	lists     map[string]*fakeList
	hits      map[string]int
	// answers replace the usual responses of some paths.
	answers map[string]http.HandlerFunc

	streams chan *fakeStream
	acks    chan string
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	f := &issuer{
		t: t, published: []string{"k0"}, maxAge: 300,
		lists: map[string]*fakeList{}, hits: map[string]int{}, answers: map[string]http.HandlerFunc{},
		streams: make(chan *fakeStream, 16), acks: make(chan string, 64),
	}
	l := &pipes{make(chan net.Conn), make(chan struct{}), sync.Once{}}
	s := httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	s.Listener.Close()
	s.Listener = l
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.Start()
	f.url = s.URL + "/realm"
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		f.mu.Lock()
		down := f.down
		f.mu.Unlock()
		if down {
			return nil, fmt.Errorf("connection refused")
		}
		return l.dial(ctx)
	}}
	f.client, f.transport = &http.Client{Transport: transport}, transport
	t.Cleanup(func() {
		s.CloseClientConnections()
		transport.CloseIdleConnections()
		s.Close()
	})
	return f
}

// pipes is a network in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *issuer) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// stop makes the issuer unreachable. start makes it reachable again.
func (f *issuer) stop() {
	f.with(func() { f.down = true })
	f.transport.CloseIdleConnections()
}

func (f *issuer) start() { f.with(func() { f.down = false }) }

func (f *issuer) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits[path]
}

func (f *issuer) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.hits[r.URL.Path]++
	answer, down := f.answers[r.URL.Path], f.down
	f.mu.Unlock()
	switch {
	case down:
		panic(http.ErrAbortHandler)
	case answer != nil:
		answer(w, r)
	case r.URL.Path == "/.well-known/oauth-authorization-server/realm":
		f.json(w, map[string]any{
			"issuer": f.url, "jwks_uri": f.url + "/jwks",
			"status_list_aggregation_endpoint": f.url + "/lists",
			"status_events_endpoint":           f.url + "/events",
			"status_ack_endpoint":              f.url + "/ack",
			"introspection_endpoint":           f.url + "/introspect",
		})
	case r.URL.Path == "/realm/jwks":
		f.jwks(w, r)
	case r.URL.Path == "/realm/lists":
		f.mu.Lock()
		uris := []string{}
		for path := range f.lists {
			uris = append(uris, strings.TrimSuffix(f.url, "/realm")+path)
		}
		f.mu.Unlock()
		f.json(w, map[string]any{"status_lists": uris})
	case strings.HasPrefix(r.URL.Path, "/realm/status/"):
		f.list(w, r)
	case r.URL.Path == "/realm/events":
		f.events(w, r)
	case r.URL.Path == "/realm/ack":
		if !f.authenticated(w, r) {
			return
		}
		ack := r.FormValue("listener") + " " + r.FormValue("id")
		if leaving := r.FormValue("leaving"); leaving != "" {
			ack += " leaving " + leaving
		}
		f.acks <- ack
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

func (f *issuer) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (f *issuer) jwks(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, kid := range f.published {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: rsaKeys()[kid[1]-'0'].Public(), KeyID: kid, Algorithm: "RS256", Use: "sig"})
	}
	etag := fmt.Sprintf("%q", strings.Join(f.published, "-"))
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", f.maxAge))
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	f.json(w, set)
}

func (f *issuer) authenticated(w http.ResponseWriter, r *http.Request) bool {
	// RFC 6749 section 2.3.1 requires both to be urlencoded.
	if id, secret, _ := r.BasicAuth(); id != "api%3A1" || secret != "s%26cret" {
		w.WriteHeader(http.StatusUnauthorized)
		return false
	}
	return true
}

// verifier starts a verifier, after change has changed its configuration.
func (f *issuer) verifier(change func(*verify.Config)) *verify.Verifier {
	f.t.Helper()
	c := verify.Config{
		Issuer: f.url, Audience: audience, HTTPClient: f.client, Logger: slog.New(slog.DiscardHandler),
		ClientID: "api:1", ClientSecret: "s&cret", Name: "test",
	}
	if change != nil {
		change(&c)
	}
	v, err := verify.New(context.Background(), c)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(v.Close)
	return v
}

func polling(c *verify.Config) { c.Status = verify.StatusPoll }

// patient polls and accepts old statuses, so that a slow machine does not fail the test.
func patient(c *verify.Config) { c.Status, c.MaxStaleness = verify.StatusPoll, time.Hour }

func streaming(c *verify.Config) { c.Status = verify.StatusStream }
