package admin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
)

// TestOneBeginsOnceAndRegistersAgainWhatIsMissing: there is one first administrator. After an
// update, or with another issuer, what the admin API needs is registered again, and nobody
// becomes an administrator by it.
func TestOneBeginsOnceAndRegistersAgainWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	registry := clients.NewRegistry(h.store, h.catalog, time.Now, nil, clients.PKCERequired)
	operator := administration.Operator("test")
	const first, second = issuer + "/admin/v1", "https://other.example/admin/v1"
	begin := func(audience, user, password string) error {
		_, _, err := administration.NewBeginning(h.store, h.catalog, registry, h.users, audience).
			Begin(t.Context(), operator, accounts.User{Username: user}, password, "")
		return err
	}
	if err := begin(first, "minji", ""); !errors.Is(err, accounts.ErrNotFound) {
		t.Errorf("without a password: %v", err)
	}
	if _, err := h.catalog.Stored(t.Context(), first); err == nil {
		t.Error("something of what was refused stays")
	}
	if err := begin(first, "minji", goodPassword); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"minji", "juno"} {
		if err := begin(first, user, goodPassword); !errors.Is(err, administration.ErrBegun) {
			t.Errorf("%s begins again: %v", user, err)
		}
	}

	// As an older version made it, which knew fewer scopes.
	_, _, err := h.catalog.Update(t.Context(), first, func(a *apis.API) error {
		a.Scopes = []string{administration.All}
		return nil
	}, "", "test")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = registry.Create(t.Context(), clients.Client{
		ID: "job", Name: "Job", Auth: clients.SecretBasic, Grants: []string{clients.ClientCredentials}, Audiences: []string{first}, Scopes: []string{administration.All},
	}, "", "", "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := begin(first, "juno", goodPassword); !errors.Is(err, administration.ErrBegun) {
		t.Errorf("somebody else begins: %v", err)
	}
	if err := begin(first, "Minji", ""); err != nil {
		t.Errorf("the scopes of a newer version: %v", err)
	}
	if err := begin(second, "minji", ""); err != nil {
		t.Errorf("another issuer: %v", err)
	}
	api, err := h.catalog.Administration(t.Context())
	if err != nil || api.Audience != second || len(api.Scopes) != len(administration.Scopes) {
		t.Errorf("%+v, %v", api, err)
	}
	for _, id := range []string{"job", administration.LoginClient} {
		if c, err := registry.Stored(t.Context(), id); err != nil || !cmp.Equal(c.Audiences, []string{second}) {
			t.Errorf("%s: %+v, %v", id, c, err)
		}
	}
	all, err := h.users.List(t.Context(), accounts.Query{})
	if err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}
