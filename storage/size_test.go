package storage_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestGrantsAreMultipliedToAnyNumberAndCounted(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := storagetest.Migrated(t, e)
		s, ctx, now := storagetest.Open(t, url), t.Context(), time.Now()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.MultiplyGrants(ctx, 5)) // there is nothing to copy
		ev := audit.Event{At: now, Actor: audit.Server, Action: audit.UserCreated}
		must(s.CreateUser(ctx, accounts.User{ID: "u", Username: "u", CreatedAt: now}, ev))
		must(s.CreateClient(ctx, clients.Client{ID: "c", Name: "c", Auth: clients.None, CreatedAt: now}, ev))
		u, err := s.User(ctx, "u")
		must(err)
		must(s.BeginSession(ctx, sessions.Session{ID: "l", UserID: "u", UserEpoch: u.Epoch, AuthenticatedAt: now, CreatedAt: now, SeenAt: now, IdleAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)},
			sha256.Sum256([]byte("secret")), sha256.Sum256([]byte("device")), ev))
		must(s.SaveCode(ctx, sha256.Sum256([]byte("x")), grants.Code{ClientID: "c", SessionID: "l", ExpiresAt: now.Add(time.Minute)}, now))
		code, err := s.Code(ctx, sha256.Sum256([]byte("x")))
		must(err)
		must(s.RedeemCode(ctx, sha256.Sum256([]byte("x")), now, grants.Grant{
			UserEpoch: code.UserEpoch, ClientEpoch: code.ClientEpoch, ServerEpoch: code.ServerEpoch,
			ID: "g", ClientID: "c", UserID: "u", SessionID: "l", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			Status: status.Ref{List: 1, Index: 7}, Refresh: grants.Refresh{Generation: 1},
		}))
		before, err := s.Size(ctx)
		must(err)
		if before.Bytes <= 0 || before.Rows < 5 {
			t.Errorf("%+v", before)
		}
		must(s.MultiplyGrants(ctx, 13))
		after, err := s.Size(ctx)
		must(err)
		if after.Rows-before.Rows != 12 {
			t.Errorf("%d rows more", after.Rows-before.Rows)
		}
		if n := storagetest.Count(t, url, "SELECT COUNT(DISTINCT status_index) FROM grants"); n != 13 {
			t.Errorf("%d indices for 13 grants", n)
		}
	})
}

func TestADatabaseWithTablesOfOthersIsNotBlank(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := e.NewURL(t)
		s := storagetest.Open(t, url)
		for _, want := range []bool{true, false} {
			if blank, err := s.Blank(t.Context()); err != nil || blank != want {
				t.Errorf("blank: %t, %v; want %t", blank, err, want)
			}
			if want {
				storagetest.Exec(t, url, "CREATE TABLE orders (id int)")
			}
		}
	})
}
