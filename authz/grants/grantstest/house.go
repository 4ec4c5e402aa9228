// Package grantstest sets up the grant types for tests of the packages that issue tokens.
// They run in the test's process, on a database of their own, and without fakes. The
// package contains no tests.
package grantstest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// House has the grant types and all that they need. It has two APIs: https://api.test
// offers read and write; https://roles.test offers read and asks for roles.
type House struct {
	*testing.T
	Store *storage.Store
	// URL is that of the database.
	URL   string
	Types *grants.Types
	APIs  *catalog.Catalog

	registry *clients.Registry
	ahead    atomic.Int64
}

// Issuer is the issuer of the tokens.
const Issuer = "https://id.test"

// New returns a House on SQLite, in a file that is removed at the end of the test. It uses
// no copies in memory, like a server that cannot follow the change sequence.
func New(t *testing.T) *House {
	t.Helper()
	url := withKeys.New(t, storagetest.Engines()[0])
	h := &House{T: t, URL: url, Store: storagetest.Open(t, url)}
	never := func() bool { return false }
	own, err := apis.NewOwn()
	h.Must(err)
	offered := catalog.New(h.Store, own, h.Now, never)
	for _, a := range []apis.API{
		{Audience: "https://api.test", Name: "API", Scopes: []string{"read", "write"}},
		{Audience: "https://roles.test", Name: "Roles", Scopes: []string{"read"}, Roles: true},
	} {
		_, err := offered.Create(t.Context(), a, "", audit.Server)
		h.Must(err)
	}
	h.registry = clients.NewRegistry(h.Store, offered, h.Now, never, clients.PKCERequired)
	ring := ringOf(t, h.Store, h.Now)
	h.Must(ring.Reload(t.Context()))
	h.APIs, offered.Rings, h.registry.Rings = offered, ring, ring
	built := make(chan struct{})
	close(built)
	base := status.Base(Issuer + "/lists/")
	all := lists.New(h.Store, lists.Settings{
		Issuer: Issuer, Base: base, Stream: listeners.NewStream(), MaxAge: time.Minute, Now: h.Now,
		Behind: func() time.Duration { return 0 }, Age: func() time.Duration { return 0 },
		Built: func() <-chan struct{} { return built }, Listed: func(time.Duration) {},
		Sign: func(claims []byte) (string, error) { return ring.Sign(keys.Tokens, lists.TokenType, claims) },
	})
	h.Must(all.Follow(t.Context(), nil))
	h.Types = grants.New(grants.Parts{
		Rules: &grants.Rules{APIs: offered, Clients: h.registry, Issuer: Issuer, AccessTTL: 15 * time.Minute, Now: h.Now},
		Epoch: revocation.NewEpoch(h.Store, never), Cuts: revocation.NewCuts(h.Store, h.Now), Issuer: tokens.NewIssuer(Issuer, base, ring, h.Now), Store: h.Store,
		Users: accounts.NewUsers(h.Store, nil, h.Now),
		Lists: all, Indices: indices.New(h.Store, all, 15*time.Minute, 1<<14, h.Now),
		Lives: grants.Lives{Refresh: 7 * 24 * time.Hour, Grant: 30 * 24 * time.Hour, Grace: 30 * time.Second},
		Now:   h.Now, Log: slog.New(slog.DiscardHandler),
	})
	return h
}

// withKeys makes databases that already have signing keys. Making the keys takes longer
// than everything else.
var withKeys = &storagetest.Copies{Prepare: func(t testing.TB, e storagetest.Engine, url string) {
	t.Helper()
	s, err := storage.Open(t.Context(), url, storage.Options{})
	if err == nil {
		err = errors.Join(s.Migrate(t.Context()), ringOf(t, s, time.Now).Maintain(t.Context()), s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}}

// master is the master key of all houses of a process.
var master = sync.OnceValues(func() (*masterkey.Key, error) {
	dir, err := os.MkdirTemp("", "master")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := masterkey.Write(dir+"/key", ""); err != nil {
		return nil, err
	}
	return masterkey.Open(dir + "/key")
})

func ringOf(t testing.TB, s *storage.Store, now func() time.Time) *keys.Keyring {
	t.Helper()
	key, err := master()
	if err != nil {
		t.Fatal(err)
	}
	return keys.New(s, key, keys.Policy{
		Bits: 2048, RotateEvery: 90 * 24 * time.Hour, JWKSMaxAge: time.Minute, LongestToken: time.Hour, LongestRefresh: 7 * 24 * time.Hour, LongestGrace: time.Minute,
	}, now)
}

// OtherRing returns the key rings of another server on the same database, which has not read
// them yet.
func (h *House) OtherRing() *keys.Keyring {
	h.Helper()
	return ringOf(h.T, h.Store, h.Now)
}

// Must ends the test if there is an error.
func (h *House) Must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// Now returns the time in the house.
func (h *House) Now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

// Later advances the time in the house. The clock of the database does not follow.
func (h *House) Later(d time.Duration) { h.ahead.Add(int64(d)) }

// Callback is the redirect URI of clients.
const Callback = "https://app.test/callback"

// Client creates a client that may use all scopes and APIs here; change can alter it.
func (h *House) Client(id string, change ...func(*clients.Client)) *clients.Client {
	h.Helper()
	c := clients.Client{
		ID: id, Name: id, Grants: []string{clients.AuthorizationCode, clients.RefreshToken, clients.ClientCredentials}, Auth: clients.SecretBasic,
		RedirectURIs: []string{Callback}, Scopes: []string{"openid", "email", "offline_access", "read", "write"}, Audiences: []string{"https://api.test", "https://roles.test"},
	}
	for _, f := range change {
		f(&c)
	}
	_, _, err := h.registry.Create(h.Context(), c, "", "", audit.Server)
	h.Must(err)
	return h.Again(id)
}

// Again reads a client from the registry.
func (h *House) Again(id string) *clients.Client {
	h.Helper()
	c, err := h.registry.Client(h.Context(), id)
	h.Must(err)
	return c
}

// User creates a user whose id is the name.
func (h *House) User(name string, roles ...string) {
	h.Helper()
	email := name + "@people.test"
	h.Must(h.Store.CreateUser(h.Context(), accounts.User{ID: name, Username: name, Email: email, Roles: roles, CreatedAt: h.Now()}, h.event(audit.UserCreated, name)))
}

func (h *House) event(what audit.Action, of string) audit.Event {
	return audit.Event{At: h.Now(), Actor: audit.Server, Action: what, Subject: of}
}

// SignIn begins a login session of a user.
func (h *House) SignIn(user string) grants.SignIn {
	h.Helper()
	u, err := h.Store.User(h.Context(), user)
	h.Must(err)
	now, id := h.Now(), rand.Text()
	h.Must(h.Store.BeginSession(h.Context(), sessions.Session{
		ID: id, UserID: user, UserEpoch: u.Epoch, AuthenticatedAt: now, Methods: []string{"pwd"}, CreatedAt: now, SeenAt: now,
		IdleAt: now.Add(24 * time.Hour), ExpiresAt: now.Add(30 * 24 * time.Hour),
	}, sha256.Sum256([]byte(id)), sha256.Sum256([]byte("device of "+id)), h.event(audit.SessionBegun, id)))
	return grants.SignIn{SessionID: id, UserID: user, AuthenticatedAt: now, Methods: []string{"pwd"}}
}

// Verifier is the code_verifier of all codes.
const Verifier = "a-verifier-that-is-long-enough-for-everybody-1"

// Code issues a code in a login session, for openid and read at https://api.test; change
// can alter it.
func (h *House) Code(in grants.SignIn, client string, change ...func(*grants.Code)) string {
	h.Helper()
	challenge := sha256.Sum256([]byte(Verifier))
	c := grants.Code{
		ClientID: client, RedirectURI: Callback, SessionID: in.SessionID, Scopes: []string{"openid", "read"}, Audiences: []string{"https://api.test"},
		Permissions: []permission.Permission{{Scope: "openid"}, {Audience: "https://api.test", Scope: "read"}},
		Nonce:       "n", Challenge: base64.RawURLEncoding.EncodeToString(challenge[:]),
		AuthenticatedAt: in.AuthenticatedAt, Methods: in.Methods, ExpiresAt: h.Now().Add(grants.CodeLife),
	}
	for _, f := range change {
		f(&c)
	}
	code := rand.Text()
	h.Must(h.Store.SaveCode(h.Context(), sha256.Sum256([]byte(code)), c, h.Now()))
	return code
}

// Ask asks for tokens. parameters are names and values in turn; an empty value means none.
func (h *House) Ask(client *clients.Client, grantType string, parameters ...string) (grants.Issued, error) {
	r := grants.Request{Client: client, GrantType: grantType, Parameters: url.Values{}}
	for i := 0; i < len(parameters); i += 2 {
		if r.Parameters.Del(parameters[i]); parameters[i+1] != "" {
			r.Parameters.Set(parameters[i], parameters[i+1])
		}
	}
	grant, err := h.Types.Of(r)
	if err != nil {
		return grants.Issued{}, err
	}
	return grant.Grant(h.Context(), r)
}

// Redeem redeems a code with its redirect URI and verifier; parameters can replace these.
func (h *House) Redeem(client *clients.Client, code string, parameters ...string) (grants.Issued, error) {
	all := append([]string{"code", code, "redirect_uri", Callback, "code_verifier", Verifier}, parameters...)
	return h.Ask(client, clients.AuthorizationCode, all...)
}

// Refresh redeems a refresh token.
func (h *House) Refresh(client *clients.Client, token string, parameters ...string) (grants.Issued, error) {
	return h.Ask(client, clients.RefreshToken, append([]string{"refresh_token", token}, parameters...)...)
}

// State returns all grants as a text, so that tests can find out whether anything has
// changed.
func (h *House) State() string {
	h.Helper()
	all := ""
	page, err := h.Store.SearchGrants(h.Context(), grants.Query{Limit: 1000}, h.Now())
	h.Must(err)
	for _, g := range page.Grants {
		g.Age = 0
		all += fmt.Sprintf("%+v\n", g)
	}
	return all
}
