package verify_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
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

// rsaKeys are made once: that takes long.
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

// issuer is an authorization server as far as a resource server sees it. Its
// network is a pipe, so that it also works where time is not real.
type issuer struct {
	t         testing.TB
	url       string
	client    *http.Client
	transport *http.Transport

	mu sync.Mutex
	// down: nothing answers.
	down bool
	// published are the kids in the key set: k0, k1, k2.
	published []string
	maxAge    int
	lists     map[string]*fakeList
	hits      map[string]int
	// answers replace what a path answers.
	answers map[string]http.HandlerFunc

	streams chan *fakeStream
	acks    chan string
}

// fakeList is a status list; change makes it another than it should be.
type fakeList struct {
	bits     int
	bytes    []byte
	ttl      int
	issuedAt time.Time
	kid      string
	typ      string
	change   func(claims map[string]any)
	// broken: the signature is somebody else's.
	broken bool
}

// fakeStream is an open status stream.
type fakeStream struct {
	last string
	name string
	// instance is what tells the process from its replicas.
	instance string
	out      chan string
	cut      chan struct{}
	gone     <-chan struct{}
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

// stop makes the issuer unreachable, and start reachable again.
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

func (f *issuer) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lists[r.URL.Path]
	if l == nil || r.Header.Get("Accept") != "application/statuslist+jwt" {
		http.NotFound(w, r)
		return
	}
	etag := fmt.Sprintf("\"%x\"", sha256.Sum256(l.bytes))
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Type", "application/statuslist+jwt")
	if r.Header.Get("If-None-Match") == etag && l.change == nil {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	issuedAt := l.issuedAt
	if issuedAt.IsZero() {
		issuedAt = time.Now()
	}
	claims := map[string]any{
		"iss": f.url, "sub": strings.TrimSuffix(f.url, "/realm") + r.URL.Path,
		"iat": issuedAt.Unix(), "exp": issuedAt.Add(time.Hour).Unix(), "ttl": l.ttl,
		"status_list": map[string]any{"bits": l.bits, "lst": pack(l.bytes)},
	}
	if l.change != nil {
		l.change(claims)
	}
	token := sign(f.t, l.kid, l.typ, claims)
	if l.broken {
		token = token[:strings.LastIndex(token, ".")+1] + base64.RawURLEncoding.EncodeToString(make([]byte, 256))
	}
	io.WriteString(w, token)
}

func pack(raw []byte) string {
	var b bytes.Buffer
	z, _ := zlib.NewWriterLevel(&b, zlib.BestCompression)
	z.Write(raw)
	z.Close()
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

func (f *issuer) authenticated(w http.ResponseWriter, r *http.Request) bool {
	// As RFC 6749 section 2.3.1 has it, urlencoded.
	if id, secret, _ := r.BasicAuth(); id != "api%3A1" || secret != "s%26cret" {
		w.WriteHeader(http.StatusUnauthorized)
		return false
	}
	return true
}

func (f *issuer) events(w http.ResponseWriter, r *http.Request) {
	if !f.authenticated(w, r) {
		return
	}
	s := &fakeStream{
		last: r.Header.Get("Last-Event-ID"), name: r.URL.Query().Get("verifier"), instance: r.URL.Query().Get("instance"),
		out: make(chan string, 64), cut: make(chan struct{}), gone: r.Context().Done(),
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	f.streams <- s
	for {
		select {
		case text := <-s.out:
			io.WriteString(w, text)
			w.(http.Flusher).Flush()
		case <-s.cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

func (s *fakeStream) hello(id int, listener string) {
	s.out <- fmt.Sprintf("event: hello\nid: %d\ndata: {\"listener\":%q}\n\n", id, listener)
}

// set says that indices were set; id 0: there is more to come of this one.
func (s *fakeStream) set(id int, uri string, indices ...int) {
	number := ""
	if id != 0 {
		number = fmt.Sprintf("id: %d\n", id)
	}
	data, _ := json.Marshal(map[string]any{"set": []any{map[string]any{"uri": uri, "idx": indices}}})
	s.out <- fmt.Sprintf("event: set\n%sdata: %s\n\n", number, data)
}

func (s *fakeStream) reload(id int) { s.out <- fmt.Sprintf("event: reload\nid: %d\ndata: {}\n\n", id) }
func (s *fakeStream) heartbeat()    { s.out <- ":\n\n" }

// addList adds a list of a thousand statuses and returns its address.
func (f *issuer) addList(n int) (uri string, l *fakeList) {
	l = &fakeList{bits: 1, bytes: make([]byte, 125), ttl: 5, kid: "k0", typ: "statuslist+jwt"}
	path := fmt.Sprintf("/realm/status/%d", n)
	f.with(func() { f.lists[path] = l })
	return strings.TrimSuffix(f.url, "/realm") + path, l
}

func (f *issuer) revoke(l *fakeList, index int) {
	f.with(func() {
		l.bytes = bytes.Clone(l.bytes)
		l.bytes[index/8] |= 1 << (index % 8)
	})
}

// sign makes a JWS.
func sign(t testing.TB, kid, typ string, claims any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if raw, is := claims.(string); is {
		payload = []byte(raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signWith(t, jose.SigningKey{Algorithm: jose.RS256, Key: rsaKeys()[kid[1]-'0']}, map[string]any{"kid": kid, "typ": typ}, payload)
}

func signWith(t testing.TB, key jose.SigningKey, header map[string]any, payload []byte) string {
	t.Helper()
	o := &jose.SignerOptions{}
	for name, value := range header {
		o.WithHeader(jose.HeaderKey(name), value)
	}
	s, err := jose.NewSigner(key, o)
	if err != nil {
		t.Fatal(err)
	}
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

// claims are those of a good token, with changes; nil takes one away.
func (f *issuer) claims(changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": f.url, "sub": "minji", "aud": audience, "exp": time.Now().Add(15 * time.Minute).Unix(),
		"iat": time.Now().Unix(), "jti": "t1", "client_id": "shop", "scope": "read write",
		"gid": "g1", "auth_time": time.Now().Add(-time.Minute).Unix(), "acr": "1", "roles": []string{"admin"},
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func (f *issuer) token(changes map[string]any) string {
	return sign(f.t, "k0", "at+jwt", f.claims(changes))
}

// listed makes a good token with that status.
func (f *issuer) listed(uri string, index int) string {
	return f.token(status(uri, index))
}

func status(uri any, index any) map[string]any {
	return map[string]any{"status": map[string]any{"status_list": map[string]any{"idx": index, "uri": uri}}}
}

// verifier starts one, with a configuration that is changed.
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

// patient polls, and does not mind when the machine that runs the test is slow.
func patient(c *verify.Config) { c.Status, c.MaxStaleness = verify.StatusPoll, time.Hour }

func streaming(c *verify.Config) { c.Status = verify.StatusStream }
