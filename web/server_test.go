package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/engine"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/web/admin"
	"github.com/ingam/ingam/web/metrics"
	"github.com/ingam/ingam/web/pages"
)

// server is the handler on a real database, composed as the command serve does it.
type server struct {
	t       testing.TB
	handler http.Handler
	issuer  string
	log     *logged

	store    *storage.Store
	users    *accounts.Users
	registry *clients.Registry
	catalog  *catalog.Catalog
	cuts     *revocation.Cuts
	// later is how much later than it is the admin API reads a cursor.
	later time.Duration
}

// logged is a log that several goroutines can write to.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// begun makes databases with signing keys, sealed with masterKey; making keys takes long.
var (
	begun     = &storagetest.Copies{Prepare: begin}
	masterKey []byte
)

func begin(t testing.TB, e storagetest.Engine, url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.key")
	if err := masterkey.Write(file, ""); err != nil {
		t.Fatal(err)
	}
	var err error
	if masterKey, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	store, err := storage.Open(t.Context(), url, storage.Options{})
	if err == nil {
		err = errors.Join(store.Migrate(t.Context()), ringOf(t, store).Maintain(t.Context()), store.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func openMaster(t testing.TB) *masterkey.Key {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(file, masterKey, 0o600); err != nil {
		t.Fatal(err)
	}
	master, err := masterkey.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return master
}

const day = 24 * time.Hour

func ringOf(t testing.TB, store *storage.Store) *keys.Keyring {
	t.Helper()
	return keys.New(store, openMaster(t), keys.Policy{
		Bits: 2048, RotateEvery: 30 * day, JWKSMaxAge: 5 * time.Minute, VerifierCache: 10 * time.Minute, Staleness: 2 * time.Second,
		Skew: 30 * time.Second, LongestToken: day, LongestRefresh: 90 * day, LongestGrace: 10 * time.Minute, LongestHint: 90 * day,
	}, time.Now)
}

// following reloads the key rings when there are changes.
type following struct{ ring *keys.Keyring }

func (f following) Follow(ctx context.Context, _ []changes.Change) error { return f.ring.Reload(ctx) }

// wellness says that the server is healthy.
type wellness struct{ *storage.Store }

func (wellness) Draining() bool     { return false }
func (wellness) Unwritable() string { return "" }

// newServer composes a server for an issuer. A test can change its settings.
func newServer(t testing.TB, issuer string, change ...func(*Settings)) *server {
	t.Helper()
	s := &server{t: t, issuer: issuer, log: &logged{}}
	ctx, log := t.Context(), slog.New(slog.NewJSONHandler(s.log, nil))
	store := storagetest.Open(t, begun.New(t, storagetest.Engines()[0]))
	s.store = store
	master, ring := openMaster(t), ringOf(t, store)
	own, err := apis.NewOwn()
	if err != nil {
		t.Fatal(err)
	}
	watcher, listWatcher := changes.NewWatcher(store, 2*time.Second, log), changes.NewWatcher(store, 2*time.Second, log)
	s.catalog = catalog.New(store, own, time.Now, watcher.Fresh)
	s.registry = clients.NewRegistry(store, s.catalog, time.Now, watcher.Fresh, clients.PKCERequired)
	epoch, cuts := revocation.NewEpoch(store, watcher.Fresh), revocation.NewCuts(store, time.Now)
	base, stream, listening := status.Base(issuer+PathStatusLists+"/"), listeners.NewStream(), listeners.NewConnections()
	statusLists := lists.New(store, lists.Settings{
		Issuer: issuer, Base: base, Stream: stream, MaxAge: 15 * time.Second, Now: time.Now,
		Behind: listWatcher.Behind, Age: listWatcher.Age, Built: listWatcher.Loaded, Listed: func(time.Duration) {},
		Sign: func(claims []byte) (string, error) { return ring.Sign(keys.Tokens, lists.TokenType, claims) },
	})
	watcher.Tell(following{ring}, s.catalog, s.registry, epoch)
	listWatcher.Tell(statusLists)
	for _, w := range []*changes.Watcher{watcher, listWatcher} {
		if err := w.Poll(ctx); err != nil {
			t.Fatal(err)
		}
		go w.Run(ctx)
	}

	hasher, err := passwords.New(1, passwords.Cost{Memory: 8, Passes: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.users = accounts.NewUsers(store, hasher, time.Now)
	logins := sessions.New(store, day, 30*day, time.Now)
	guesses := throttle.New(store, hasher.AtOnce(), 3, 15*time.Minute, time.Now)
	rules := &grants.Rules{APIs: s.catalog, Clients: s.registry, Issuer: issuer, AccessTTL: 15 * time.Minute, Now: time.Now}
	tokens := tokens.NewIssuer(issuer, base, ring, time.Now)
	types := grants.New(grants.Parts{
		Rules: rules, Epoch: epoch, Cuts: cuts, Issuer: tokens, Store: store, Users: s.users,
		Lists: statusLists, Indices: indices.New(store, statusLists, 15*time.Minute, 1<<16, time.Now),
		Lives: grants.Lives{Refresh: 7 * day, Grant: 30 * day, Grace: 30 * time.Second}, Now: time.Now, Log: log,
	})
	authenticator := clients.NewAuthenticator(s.registry, 3, time.Hour, time.Now)
	consents := consents.New(store, time.Now)
	notes := masterkey.NewNotes(master, "authorization request", authorization.NoteLife, time.Now)
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := pages.New(u.Path, pages.House{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	p := Parts{
		Settings: Settings{
			Issuer: issuer, RequestTimeout: time.Minute, MaxBody: 4096, CORSOrigins: []string{"*"},
			JWKSMaxAge: 5 * time.Minute, RefreshTTL: 7 * day, GrantTTL: 30 * day,
		},
		Clients: Clients{s.registry, authenticator, rules},
		Endpoints: Endpoints{
			Authorization: authorization.New(tokens, s.registry, rules, consents, store, notes, time.Now),
			Token:         engine.New(types),
			Introspection: authz.NewIntrospector(authenticator, tokens, s.registry, rules, types, cuts),
			Revocation:    authz.NewRevoker(authenticator, tokens, types, cuts),
			UserInfo:      authz.NewUserInfo(tokens, s.registry, rules, s.users, cuts),
			EndSession:    authz.NewEndSession(tokens, s.registry),
			FirstParty:    authz.NewFirstParty(authenticator, tokens, types, store, cuts, logins),
		},
		People: People{
			SignIn: signin.New(s.users, logins, hasher, guesses, masterkey.NewNotes(master, "new password", signin.NoteLife, time.Now), store, time.Now), Sessions: logins, Consents: consents,
			Connected: authz.NewConnected(s.registry, rules, consents, store, time.Now), Pages: shown,
		},
		Statuses: Statuses{
			Lists: statusLists, Stream: stream, Events: authz.NewStatusEvents(authenticator, s.registry, store), Listeners: store, Connections: listening,
		},
		Process: Process{
			Keys: ring, Watcher: watcher, Health: wellness{store}, Observer: metrics.New(metrics.Words{}), Log: log, Now: time.Now,
		},
	}
	for _, c := range change {
		c(&p.Settings)
	}
	rules.Users = s.users
	p.Administration = admin.Parts{
		Version: "test", Cursors: masterkey.NewNotes(master, "cursor", time.Hour, func() time.Time { return time.Now().Add(s.later) }),
		APIs: administration.NewAPIs(s.catalog, s.registry, cuts), Clients: administration.NewClients(s.registry, s.catalog, cuts, issuer),
	}
	p.Administrators = authz.NewAdministrators(issuer+admin.Path, tokens, s.registry, rules, s.users, cuts)
	s.cuts = cuts
	if s.handler, err = New(p); err != nil {
		t.Fatal(err)
	}
	return s
}

const goodPassword = "correct horse battery staple"

// user creates a user with the password goodPassword.
func (s *server) user(name string) {
	s.t.Helper()
	if _, err := s.users.Create(s.t.Context(), accounts.User{Username: name}, goodPassword, "system"); err != nil {
		s.t.Fatal(err)
	}
}

// client registers a client and returns its secret.
func (s *server) client(c clients.Client) (secret string) {
	s.t.Helper()
	if c.Auth == "" {
		c.Auth = clients.SecretBasic
	}
	c.Name = c.ID
	_, secret, err := s.registry.Create(s.t.Context(), c, "", "", "system")
	if err != nil {
		s.t.Fatal(err)
	}
	return secret
}

// answer is the response to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) cookies() []*http.Cookie { return (&http.Response{Header: a.header}).Cookies() }

// ask sends a request. fields are names and values of headers in turn. A POST is a form,
// unless a field gives another Content-Type.
func (s *server) ask(method, path, body string, fields ...string) answer {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, s.issuer, strings.NewReader(body))
	u, err := url.Parse(path)
	if err != nil {
		s.t.Fatal(err)
	}
	r.URL, r.RequestURI = u, path
	if method == http.MethodPost {
		r.Header.Set("Content-Type", urlencoded)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "Content-Type" {
			r.Header.Del(fields[i])
		}
		r.Header.Add(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{w.Code, w.Result().Header, string(b)}
}

// signIn signs a user in and returns the Cookie header of their browser.
func (s *server) signIn(base, name string) (cookie string) {
	s.t.Helper()
	a := s.ask(http.MethodPost, base+pathLogin, url.Values{"username": {name}, "password": {goodPassword}}.Encode())
	if a.status != http.StatusSeeOther || len(a.cookies()) != 2 {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	var all []string
	for _, c := range a.cookies() {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}
