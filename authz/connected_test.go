package authz_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// connections has users and applications, and their consents and grants.
type connections struct {
	*testing.T
	ctx      context.Context
	store    *storage.Store
	of       *authz.Connected
	registry *clients.Registry
	consents *consents.Consents
	catalog  *catalog.Catalog
	recorder *storagetest.Recorder
	grants   int
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }

const now = 100 // hours after noon

func newConnections(t *testing.T) *connections {
	t.Helper()
	recorder := &storagetest.Recorder{}
	store, err := storage.Open(t.Context(), storagetest.Engines()[0].NewURL(t), storage.Options{Wrap: recorder.Wrap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	own, err := apis.NewOwn()
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return at(now) }
	fresh := func() bool { return true }
	catalog := catalog.New(store, own, clock, fresh)
	registry := clients.NewRegistry(store, catalog, clock, fresh, clients.PKCERequired)
	allowed := consents.New(store, clock)
	rules := &grants.Rules{APIs: catalog, Clients: registry, Issuer: "https://id.test", AccessTTL: time.Minute, Now: clock}
	c := &connections{T: t, ctx: t.Context(), store: store, catalog: catalog, recorder: recorder, registry: registry, consents: allowed,
		of: authz.NewConnected(registry, rules, allowed, store, clock),
	}
	c.must(store.Migrate(c.ctx))
	for _, u := range []string{"minji", "junho"} {
		c.must(store.CreateUser(c.ctx, accounts.User{ID: u, Username: u}, audit.Event{At: noon}))
	}
	for _, a := range []string{"a", "b"} {
		c.must(store.CreateAPI(c.ctx, apis.API{ID: a, Audience: a, Scopes: []string{"read", "write"}}, audit.Event{At: noon}))
	}
	return c
}

func (c *connections) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *connections) client(n clients.Client) {
	c.Helper()
	if n.Scopes == nil {
		n.Scopes = []string{"openid", "email", "offline_access", "read", "write"}
	}
	n.Audiences, n.CreatedAt = []string{"a", "b"}, noon
	c.must(c.store.CreateClient(c.ctx, n, audit.Event{At: noon}))
}

func (c *connections) consent(user, client string, hours int, permissions ...string) {
	c.Helper()
	c.must(c.store.AddConsent(c.ctx, consents.Consent{UserID: user, ClientID: client, Scopes: permissions, GrantedAt: at(hours)}, audit.Event{At: at(hours)}))
}

// grant stores a grant of a user to a client, in a session of its own.
func (c *connections) grant(user, client string, hours int, permissions ...string) (id string) {
	c.Helper()
	c.grants++
	id = fmt.Sprint("g", c.grants)
	u, err := c.store.User(c.ctx, user)
	c.must(err)
	hash := sha256.Sum256([]byte(id))
	c.must(c.store.BeginSession(c.ctx, sessions.Session{ID: id, UserID: user, UserEpoch: u.Epoch, IdleAt: at(1000), ExpiresAt: at(1000)}, hash, hash, audit.Event{At: noon}))
	c.must(c.store.SaveCode(c.ctx, hash, grants.Code{ClientID: client, SessionID: id, ExpiresAt: at(1000)}, at(hours)))
	code, err := c.store.Code(c.ctx, hash)
	c.must(err)
	g := grants.Grant{
		ID: id, ClientID: client, UserID: user, SessionID: id, Permissions: permission.ParseAll(permissions), CreatedAt: at(hours), ExpiresAt: at(1000),
		UserEpoch: code.UserEpoch, ClientEpoch: code.ClientEpoch, ServerEpoch: code.ServerEpoch,
		Refresh: grants.Refresh{Generation: 1, IssuedAt: at(hours), ExpiresAt: at(900), KeyID: "k", Version: 1},
	}
	c.must(c.store.RedeemCode(c.ctx, hash, at(hours), g))
	return id
}

// connected returns the connections of a user, after the server's copies are up to date.
func (c *connections) connected(user string) []consents.Connection {
	c.Helper()
	c.must(c.catalog.Follow(c.ctx, nil))
	c.must(c.registry.Follow(c.ctx, nil))
	connected, err := c.of.Of(c.ctx, user)
	c.must(err)
	return connected
}

func (c *connections) want(user string, want ...consents.Connection) {
	c.Helper()
	if diff := cmp.Diff(want, c.connected(user), cmpopts.EquateEmpty()); diff != "" {
		c.Errorf("-want +got:\n%s", diff)
	}
}

func TestAConnectionSaysSinceWhenAndWhenItWasLastUsed(t *testing.T) {
	t.Parallel()
	c := newConnections(t)
	c.client(clients.Client{ID: "print", Name: "Photo Print", RedirectURIs: []string{"https://print.example.com/cb"}})
	c.client(clients.Client{ID: "own", Name: "the app", RedirectURIs: []string{"com.example.app:/cb"}, FirstParty: true})
	c.client(clients.Client{ID: "asked", Name: "Asked", RedirectURIs: []string{"http://127.0.0.1/cb"}})
	c.client(clients.Client{ID: "theirs", Name: "Theirs"})
	c.consent("minji", "print", 2, "openid")
	c.consent("minji", "print", 50, "a read") // more, later
	c.consent("minji", "asked", 3, "openid")
	first := c.grant("minji", "own", 10, "openid", "b read")
	c.grant("minji", "own", 20, "openid", "a write")
	revoked := c.grant("minji", "print", 60, "openid")
	c.must(c.store.RevokeGrant(c.ctx, revoked, audit.Event{At: at(60)}))
	// Consents and grants of another user do not count for this one.
	c.consent("junho", "theirs", 1, "openid")
	c.consent("junho", "print", 1, "a write")
	c.grant("junho", "own", 1, "email")
	c.grant("junho", "print", 90, "a write")
	c.want("minji",
		consents.Connection{ClientID: "asked", Name: "Asked", Since: at(3), Permissions: []string{"openid"}},
		consents.Connection{ClientID: "print", Name: "Photo Print", Home: "print.example.com", Since: at(2), LastUsed: at(60), Permissions: []string{"openid", "a read"}},
		consents.Connection{ClientID: "own", Name: "the app", Since: at(10), LastUsed: at(20), Permissions: []string{"openid", "a write", "b read"}},
	)
	c.want("junho",
		consents.Connection{ClientID: "print", Name: "Photo Print", Home: "print.example.com", Since: at(1), LastUsed: at(90), Permissions: []string{"a write"}},
		consents.Connection{ClientID: "own", Name: "the app", Since: at(1), LastUsed: at(1), Permissions: []string{"email"}},
		consents.Connection{ClientID: "theirs", Name: "Theirs", Since: at(1), Permissions: []string{"openid"}},
	)
	c.want("nobody")

	// Since is now that of the grant that still gives access.
	c.must(c.store.RevokeGrant(c.ctx, first, audit.Event{At: at(60)}))
	if got := c.connected("minji")[2]; !got.Since.Equal(at(20)) || slices.Contains(got.Permissions, "b read") {
		t.Errorf("%+v", got)
	}
	// A consent that comes after the grants does not change Since.
	c.consent("minji", "own", 70, "openid")
	if got := c.connected("minji")[2]; !got.Since.Equal(at(20)) {
		t.Errorf("%+v", got)
	}
	// After TakeBack the connection is gone, and a new one has a new Since.
	c.must(c.consents.TakeBack(c.ctx, "minji", "own"))
	c.must(c.consents.TakeBack(c.ctx, "minji", "print"))
	if got := c.connected("minji"); len(got) != 1 || got[0].ClientID != "asked" {
		t.Errorf("%+v", got)
	}
	c.consent("minji", "print", 80, "email")
	if got := c.connected("minji")[1]; !got.Since.Equal(at(80)) || !slices.Equal(got.Permissions, []string{"email"}) {
		t.Errorf("%+v", got)
	}
	if len(c.connected("junho")) != 3 {
		t.Error("what somebody else allowed was taken back")
	}
}

func TestAConnectionShowsWhatIsLeftOfWhatWasAllowed(t *testing.T) {
	t.Parallel()
	c := newConnections(t)
	c.client(clients.Client{ID: "print"})
	c.client(clients.Client{ID: "own", FirstParty: true})
	c.consent("minji", "print", 1, "openid", "email", "a read", "a write", "b read")
	c.grant("minji", "own", 1, "openid", "a read", "b write")
	// The grant has more than the consent: the client was first-party for a while.
	c.grant("minji", "print", 2, "offline_access", "a read", "b write")
	scopes := func(of string, list ...string) func() {
		return func() {
			if of == "a" || of == "b" {
				c.must(c.store.UpdateAPI(c.ctx, of, func(a *apis.API) (*audit.Event, error) { a.Scopes = list; return &audit.Event{At: noon}, nil }))
				return
			}
			c.must(c.store.UpdateClient(c.ctx, of, func(u *clients.Client, _ []apis.API) (*audit.Event, error) {
				u.Scopes = list
				return &audit.Event{At: noon}, nil
			}))
		}
	}
	audiences := func(list ...string) func() {
		return func() {
			c.must(c.store.UpdateClient(c.ctx, "print", func(u *clients.Client, _ []apis.API) (*audit.Event, error) {
				u.Audiences = list
				return &audit.Event{At: noon}, nil
			}))
		}
	}
	for _, step := range []struct {
		what       string
		do         func()
		print, own string
	}{
		{"nothing", func() {}, "openid, email, a read, a write, b read, offline_access, b write", "openid, a read, b write"},
		{"an API stops to offer a scope", scopes("a", "write"), "openid, email, a write, b read, offline_access, b write", "openid, b write"},
		{"a client may not have scopes", scopes("print", "openid", "read"), "openid, b read", "openid, b write"},
		{"nor an API", audiences("a"), "openid", "openid, b write"},
		{"nor any scope", scopes("print", "read"), "", "openid, b write"},
		{"the API is given back", audiences("b", "a"), "b read", "openid, b write"},
		{"all is given back", func() { scopes("a", "read", "write")(); scopes("print", "openid", "email", "read", "write")() }, "openid, email, a read, a write, b read, b write", "openid, a read, b write"},
	} {
		step.do()
		got := c.connected("minji")
		if len(got) != 2 || strings.Join(got[1].Permissions, ", ") != step.print || strings.Join(got[0].Permissions, ", ") != step.own {
			t.Errorf("%s: %+v", step.what, got)
		}
	}
}

func TestDisabledApplicationsAreShownAndDeletedOnesAreNot(t *testing.T) {
	t.Parallel()
	c := newConnections(t)
	for _, id := range []string{"asked", "own", "gone", "gone own"} {
		c.client(clients.Client{ID: id, Name: id, FirstParty: strings.HasSuffix(id, "own")})
	}
	c.consent("minji", "asked", 1, "a read")
	c.consent("minji", "gone", 1, "a read")
	c.grant("minji", "own", 2, "a read")
	c.grant("minji", "gone own", 2, "a read")
	for _, id := range []string{"asked", "own"} {
		c.must(c.store.SetClientDisabled(c.ctx, id, true, audit.Event{At: noon}))
	}
	for _, id := range []string{"gone", "gone own"} {
		c.must(c.store.DeleteClient(c.ctx, id, nil, audit.Event{At: noon}))
	}
	want := []consents.Connection{
		{ClientID: "asked", Name: "asked", Disabled: true, Since: at(1), Permissions: []string{"a read"}},
		{ClientID: "own", Name: "own", Disabled: true, Since: at(2), LastUsed: at(2), Permissions: []string{"a read"}},
	}
	c.want("minji", want...)
	// A consent may be stored at the moment at which the client is deleted. It can be
	// taken back.
	c.consent("minji", "gone", 3, "a read")
	left := consents.Connection{ClientID: "gone", Name: "gone", Since: at(3)}
	c.want("minji", want[0], left, want[1])
	c.must(c.consents.TakeBack(c.ctx, "minji", "gone"))
	c.want("minji", want...)
	// A new application with the id of a deleted one was not used by anybody.
	c.must(c.store.CreateClient(c.ctx, clients.Client{ID: "gone own", Name: "Another", CreatedAt: at(3)}, audit.Event{At: noon}))
	c.want("minji", want...)
	for i, id := range []string{"asked", "own"} {
		c.must(c.store.SetClientDisabled(c.ctx, id, false, audit.Event{At: noon}))
		want[i].Disabled = false
	}
	c.want("minji", want...)
}

func TestConnectionsCostTwoStatementsHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	c := newConnections(t)
	for i := range 12 {
		id := fmt.Sprint("c", i)
		c.client(clients.Client{ID: id, Scopes: []string{"openid"}}) // the other permissions are lost
		if i%2 == 0 {
			c.consent("minji", id, 1, "openid", "a read", "deleted read")
		}
		for range 3 {
			c.grant("minji", id, 2, "openid", "a read", "deleted read")
		}
	}
	if got := c.connected("minji"); len(got) != 12 {
		t.Fatalf("%+v", got)
	}
	c.recorder.Take()
	got, err := c.of.Of(c.ctx, "minji")
	if statements := c.recorder.Take(); err != nil || len(got) != 12 || len(statements) != 2 {
		t.Errorf("%d connections for %q: %v", len(got), statements, err)
	}
	c.recorder.FailWith(func(string) error { return context.DeadlineExceeded })
	if got, err := c.of.Of(c.ctx, "minji"); err == nil || got != nil {
		t.Errorf("of a database that is away: %v", got)
	}
}
