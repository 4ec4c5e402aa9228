package authorization_test

import (
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

const issuer = "https://id.test"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// house is an authorization endpoint on a real store, with one API.
type house struct {
	*testing.T
	store    *storage.Store
	registry *clients.Registry
	endpoint *authorization.Endpoint
}

func newHouse(t *testing.T) *house {
	t.Helper()
	store, err := storage.Open(t.Context(), storagetest.Engines()[0].NewURL(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.CreateAPI(t.Context(), apis.API{ID: "a", Audience: "a", Scopes: []string{"read", "write"}}, audit.Event{At: noon}); err != nil {
		t.Fatal(err)
	}
	own, err := apis.NewOwn()
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return noon }
	catalog := catalog.New(store, own, clock, nil)
	registry := clients.NewRegistry(store, catalog, clock, nil, clients.PKCERequired)
	rules := &grants.Rules{APIs: catalog, Clients: registry, Issuer: issuer, AccessTTL: time.Minute, Now: clock}
	return &house{t, store, registry, authorization.New(tokens.NewIssuer(issuer, "", nil, clock), registry, rules, consents.New(store, clock), store, nil, clock)}
}

// client registers a client that may use the scope read.
func (h *house) client(c clients.Client) *clients.Client {
	h.Helper()
	c.Scopes, c.Audiences, c.Name = []string{"read"}, []string{"a"}, c.ID
	if c.Auth == "" {
		c.Auth = clients.None
	}
	if _, _, err := h.registry.Create(h.Context(), c, "", "", "test"); err != nil {
		h.Fatal(err)
	}
	client, err := h.registry.Client(h.Context(), c.ID)
	if err != nil {
		h.Fatal(err)
	}
	return client
}
