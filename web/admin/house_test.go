package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/web/admin"
)

const (
	issuer = "https://id.example.com/base"
	// lists is the base of the addresses of its status lists.
	lists status.Base = issuer + "/oauth2/status/"
)

// house is the admin API on a real database.
type house struct {
	testing.TB
	url      string // of the database
	store    *storage.Store
	catalog  *catalog.Catalog
	registry *clients.Registry
	rings    *keys.Keyring
	users    *accounts.Users
	handler  http.Handler
}

func newHouse(t testing.TB) *house {
	t.Helper()
	url := storagetest.Migrated(t, storagetest.Engines()[0])
	store := storagetest.Open(t, url)
	own, err := apis.NewOwn()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(store, own, time.Now, nil)
	registry := clients.NewRegistry(store, c, time.Now, nil, clients.PKCERequired)
	hasher, err := passwords.New(0, passwords.Cost{Memory: 8, Passes: 1})
	if err != nil {
		t.Fatal(err)
	}
	cuts := revocation.NewCuts(store, time.Now)
	users := accounts.NewUsers(store, hasher, time.Now)
	rings := newRings(t, store)
	log := chain.New(store, rings, time.Now)
	search := grants.NewSearch(store, users, registry, cuts, time.Now)
	signedIn := sessions.New(store, time.Hour, 3*time.Hour, time.Now)
	ofAPIs, ofClients := administration.NewAPIs(c, registry, cuts), administration.NewClients(registry, c, cuts, issuer)
	ofUsers := administration.NewUsers(users, cuts, administration.IDTokens{Own: own, Issuer: issuer, Bits: 2048})
	return &house{t, url, store, c, registry, rings, users, admin.New(admin.Parts{
		Issuer: issuer, Version: "test", Now: time.Now,
		Failed:    func(_ context.Context, err error) { t.Errorf("fault: %v", err) },
		Cursors:   openCursors{},
		AccessTTL: 15 * time.Minute, APIs: ofAPIs, Clients: ofClients, Users: ofUsers,
		Apply:     administration.NewApply(store, ofAPIs, ofClients, ofUsers),
		Keys:      administration.NewKeys(rings, log),
		Audit:     administration.NewAudit(store, users, registry, log),
		LinkOf:    func(token string) string { return "link of " + token },
		Sessions:  signedIn,
		Overviews: administration.NewOverviews(store, administration.NewKeys(rings, log), time.Now),
		Grants:    search,
		Access: authz.NewAccess(authz.NewConnected(registry, &grants.Rules{APIs: c, Issuer: issuer, AccessTTL: time.Minute, Now: time.Now}, consents.New(store, time.Now), store, time.Now),
			users, registry, store),
		Cuts: administration.NewCuts(administration.CutParts{
			Cuts: cuts, Clients: registry, Users: users, Sessions: signedIn, HasGrant: search.Has,
			Tokens: tokens.NewIssuer(issuer, lists, rings, time.Now), Store: store, Issuer: issuer, Lists: lists, Now: time.Now,
		}),
	}, "/base")}
}

// newRings returns key rings that have no keys until they are maintained.
func newRings(t testing.TB, store *storage.Store) *keys.Keyring {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.key")
	if err := masterkey.Write(file, ""); err != nil {
		t.Fatal(err)
	}
	master, err := masterkey.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return keys.New(store, master, keys.Policy{Bits: 2048, RotateEvery: 30 * 24 * time.Hour, JWKSMaxAge: 5 * time.Minute}, time.Now)
}

// openCursors are cursors that a test can read.
type openCursors struct{}

func (openCursors) Seal(note, about []byte) (string, error) {
	return string(about) + "|" + string(note), nil
}

func (openCursors) Open(text string, about []byte) ([]byte, bool) {
	note, ok := strings.CutPrefix(text, string(about)+"|")
	return []byte(note), ok
}

// answer is what the API sent.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// with are the headers of a request.
type with map[string]string

// as sends a request of a caller; nobody, if by is nil.
func (h *house) as(by *administration.Caller, method, path, body string, headers with) answer {
	h.Helper()
	ctx := h.Context()
	if by != nil {
		ctx = administration.With(ctx, *by)
	}
	r := httptest.NewRequestWithContext(ctx, method, issuer+admin.Path+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		h.Fatal(err)
	}
	h.wantDeclared(r, w.Code, w.Header().Get("Content-Type"))
	a := answer{status: w.Code, header: w.Header(), text: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			h.Fatalf("%s %s: %d %q: %v", method, path, w.Code, text, err)
		}
	}
	return a
}

// operator sends a request of the operator.
func (h *house) operator(method, path, body string, headers with) answer {
	h.Helper()
	o := administration.Operator(audit.Operator("test"))
	return h.as(&o, method, path, body, headers)
}

// want checks the status of an answer, and the type of a problem.
func (h *house) want(a answer, status int, kind string) {
	h.Helper()
	if got, _ := a.body["type"].(string); a.status != status || status >= 400 && got != "urn:ingam:problem:"+kind {
		h.Errorf("%d %v, want %d %s", a.status, a.text, status, kind)
	}
	if status >= 400 && a.header.Get("Content-Type") != "application/problem+json" {
		h.Errorf("a problem of type %s", a.header.Get("Content-Type"))
	}
}

// pointers returns the members that a problem names.
func (a answer) pointers() (at []string) {
	flaws, _ := a.body["errors"].([]any)
	for _, flaw := range flaws {
		for _, name := range []string{"pointer", "parameter"} {
			if p, ok := flaw.(map[string]any)[name].(string); ok {
				at = append(at, p)
			}
		}
	}
	slices.Sort(at)
	return at
}

// kind returns the name of a problem.
func (a answer) kind() string {
	kind, _ := a.body["type"].(string)
	return strings.TrimPrefix(kind, "urn:ingam:problem:")
}

// members returns the names of the members of an answer.
func (a answer) members() []string { return slices.Sorted(maps.Keys(a.body)) }

// queryOf escapes a value of a query.
func queryOf(value string) string { return url.QueryEscape(value) }
