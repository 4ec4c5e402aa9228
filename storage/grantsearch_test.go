package storage_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// manyGrants stores total grants of user u to client c in session s, a second apart, and
// one of another user, client and session at each end.
func manyGrants(t testing.TB, url string, total int64) (s *storage.Store, newest time.Time) {
	t.Helper()
	s, ctx, now := storagetest.Open(t, url), t.Context(), time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ev := audit.Event{At: now}
	grant := func(user, client, session, id string) {
		must(s.CreateUser(ctx, accounts.User{ID: user, Username: user, CreatedAt: now}, ev))
		must(s.CreateClient(ctx, clients.Client{ID: client, Name: client, CreatedAt: now}, ev))
		u, err := s.User(ctx, user)
		must(err)
		must(s.BeginSession(ctx, sessions.Session{ID: session, UserID: user, UserEpoch: u.Epoch, CreatedAt: now, IdleAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)},
			sha256.Sum256([]byte(session)), sha256.Sum256([]byte(session)), ev))
		epochs, err := s.Epochs(ctx, session, client, now)
		must(err)
		must(s.BeginGrant(ctx, grants.Grant{
			UserEpoch: epochs.User, ClientEpoch: epochs.Client, ServerEpoch: epochs.Server,
			ID: id, ClientID: client, UserID: user, SessionID: session, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			Scopes: []string{"openid", "read", "write"}, Audiences: []string{"https://api.example.com"}, Methods: []string{"pwd"},
			Status: status.Ref{List: 1, Index: 1}, Refresh: grants.Refresh{Generation: 1, IssuedAt: now, ExpiresAt: now.Add(time.Hour)},
		}, now))
	}
	grant("u", "c", "s", strings.Repeat("g", 26))
	must(s.MultiplyGrants(ctx, total))
	storagetest.Exec(t, url, "UPDATE grants SET created_ms = created_ms - status_index * 1000")
	grant("v", "d", "t", "newest")
	grant("w", "e", "r", "oldest")
	storagetest.Exec(t, url, "UPDATE grants SET created_ms = 0 WHERE id = 'oldest'")
	// The former entries of the indices are removed, as each engine does by itself in time.
	if settle := map[storage.Engine]string{storage.PostgreSQL: "VACUUM ANALYZE grants", storage.MySQL: "OPTIMIZE TABLE grants"}[s.Engine()]; settle != "" {
		storagetest.Exec(t, url, settle)
	}
	return s, now
}

// begins is how each engine says that an index is read from a place on, or up to one.
var begins = map[storage.Engine]string{storage.SQLite: "created_ms", storage.PostgreSQL: "created_ms", storage.MySQL: `"access_type": "range"`}

// TestAPageOfGrantsIsReadInTheOrderOfAnIndex: so its rows alone are read, and nothing is
// sorted, however many grants there are.
func TestAPageOfGrantsIsReadInTheOrderOfAnIndex(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := storagetest.Migrated(t, e)
		_, newest := manyGrants(t, url, 1<<14)
		r := &storagetest.Recorder{}
		s := open(t, url, storage.Options{Wrap: r.Wrap})
		for index, q := range map[string]grants.Query{
			"grants_user_created": {UserID: "u"}, "grants_client_created": {ClientID: "c"},
			"grants_session_created": {SessionID: "s", UserID: "u"}, "grants_created": {},
		} {
			for name, narrow := range map[string]func(*grants.Query){
				"the first": func(*grants.Query) {},
				"a later":   func(q *grants.Query) { q.After = grants.Place{CreatedAt: newest.Add(-5000 * time.Second), ID: "g"} },
				"an older":  func(q *grants.Query) { q.Before = newest.Add(-5000 * time.Second) },
				"a newer":   func(q *grants.Query) { q.Since = newest.Add(-5 * time.Second) },
			} {
				q := q
				q.Limit = 10
				narrow(&q)
				r.Take()
				if _, err := s.SearchGrants(t.Context(), q, newest); err != nil {
					t.Fatal(err)
				}
				statement := r.Take()[0]
				plan := storage.Explain(t.Context(), s, statement, q)
				bounded := name == "the first" || strings.Contains(plan, begins[e.Kind])
				if !bounded || !strings.Contains(plan, index) || strings.Contains(strings.ToLower(plan), "sort") || strings.Contains(plan, "TEMP B-TREE") {
					t.Errorf("%s page of %s:\n%s\n%s", name, index, statement, plan)
				}
			}
		}
	})
}

// BenchmarkGrantSearch measures pages of a search among a million grants, all of them of
// one user, client and session: those of which every row is listed, one after the other,
// and those that look at as many rows as a page may and find none.
func BenchmarkGrantSearch(b *testing.B) {
	for _, e := range storagetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			s, now := manyGrants(b, storagetest.Migrated(b, e), 1<<20)
			for owner, q := range map[string]grants.Query{"user": {UserID: "u"}, "client": {ClientID: "c"}, "session": {SessionID: "s"}, "all": {}} {
				for what, narrow := range map[string]func(*grants.Query){
					"100":      func(q *grants.Query) { q.Limit = 100 },
					"1000":     func(q *grants.Query) { q.Limit = 1000 },
					"by-scope": func(q *grants.Query) { q.Limit, q.Scope = 100, "rare" },
					"by-state": func(q *grants.Query) { q.Limit, q.State = 100, grants.Ended },
					"by-time":  func(q *grants.Query) { q.Limit, q.Before = 100, now.Add(-600_000*time.Second) },
					"newest":   func(q *grants.Query) { q.Limit, q.Since = 100, now.Add(-10*time.Second) },
				} {
					b.Run(fmt.Sprintf("by-%s/%s", owner, what), func(b *testing.B) {
						q, slowest := q, time.Duration(0)
						narrow(&q)
						for b.Loop() {
							began := time.Now()
							page, err := s.SearchGrants(b.Context(), q, now)
							if err != nil {
								b.Fatal(err)
							}
							slowest = max(slowest, time.Since(began))
							q.After = page.Next
						}
						b.ReportMetric(float64(slowest.Microseconds())/1000, "ms-slowest")
					})
				}
			}
		})
	}
}
