package storage_test

import (
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestAnUpdateOfTextsKeepsThoseOfLanguagesOfTomorrow(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		s, ctx := storagetest.New(t, e), t.Context()
		ev := audit.Event{At: time.Now()}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.CreateAPI(ctx, apis.API{ID: "x", Audience: "x", Scopes: []string{"a", "b"}}, ev))
		_, err := storage.Pool(s).ExecContext(ctx, `UPDATE apis SET options = '{"of_tomorrow": 1, "scope_texts": {"a": {"ja": "読む"}, "b": {"en": "see"}}}'`)
		must(err)
		for _, c := range []struct {
			edit func(*apis.API)
			want string
		}{
			{func(a *apis.API) { a.Roles = true }, `{"of_tomorrow":1,"roles":true,"scope_texts":{"a":{"ja":"読む"},"b":{"en":"see"}}}`},
			{func(a *apis.API) { a.SetScopeText("a", "en", "read") }, `{"of_tomorrow":1,"roles":true,"scope_texts":{"a":{"en":"read","ja":"読む"},"b":{"en":"see"}}}`},
			{func(a *apis.API) { a.Roles, a.ScopeTexts = false, nil }, `{"of_tomorrow":1}`},
		} {
			must(s.UpdateAPI(ctx, "x", func(a *apis.API) (*audit.Event, error) { c.edit(a); return &ev, nil }))
			var got string
			must(storage.Pool(s).QueryRowContext(ctx, "SELECT options FROM apis").Scan(&got))
			if got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		}
	})
}

func TestAnUpdateKeepsTheOptionsThatANewerBinaryStored(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		s, ctx := storagetest.New(t, e), t.Context()
		ev := audit.Event{At: time.Now()}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.CreateAPI(ctx, apis.API{ID: "x", Audience: "x"}, ev))
		must(s.CreateClient(ctx, clients.Client{ID: "x"}, ev))
		for table, key := range map[string]string{"apis": "roles", "clients": "no_refresh_id_token"} {
			_, err := storage.Pool(s).ExecContext(ctx, "UPDATE "+table+` SET options = '{"of_tomorrow": {"n": 9007199254740993}, "`+key+`": true}'`)
			must(err)
		}
		// The options are switched off, and on again.
		for _, want := range []map[string]string{
			{"apis": `{"of_tomorrow":{"n":9007199254740993}}`, "clients": `{"of_tomorrow":{"n":9007199254740993}}`},
			{
				"apis":    `{"of_tomorrow":{"n":9007199254740993},"roles":true}`,
				"clients": `{"no_refresh_id_token":true,"of_tomorrow":{"n":9007199254740993}}`,
			},
		} {
			must(s.UpdateAPI(ctx, "x", func(a *apis.API) (*audit.Event, error) { a.Roles = !a.Roles; return &ev, nil }))
			must(s.UpdateClient(ctx, "x", func(c *clients.Client, _ []apis.API) (*audit.Event, error) {
				c.NoRefreshIDToken = !c.NoRefreshIDToken
				return &ev, nil
			}))
			for table := range want {
				var got string
				must(storage.Pool(s).QueryRowContext(ctx, "SELECT options FROM "+table).Scan(&got))
				if got != want[table] {
					t.Errorf("%s: %s", table, got)
				}
			}
		}
	})
}
