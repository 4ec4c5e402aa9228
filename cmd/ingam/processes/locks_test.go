package processes

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestWritesThatWaitForALockLeaveTheRestAlone checks that the server still answers other
// requests while a lock in the database holds up all refreshes. Building an index takes
// such a lock, and so does another process that writes to the SQLite file.
func TestWritesThatWaitForALockLeaveTheRestAlone(t *testing.T) {
	t.Parallel()
	onEachEmptyEngine(t, func(t *testing.T, d *deployment) {
		const many, further = 32, 4
		engine := databaseOf(t, d.database).Scheme
		d.must("migrate", "up")
		secret, a := d.client("app"), d.webClient("web")
		d.user("minji")
		s := d.start("INGAM_HTTP_REQUEST_TIMEOUT=8s", "INGAM_CHANGES_STALENESS=2s")
		p := s.person()
		p.get("/login").submit("username", "minji", "password", goodPassword)
		var refresh []string
		for range many {
			refresh = append(refresh, a.tokens(s, p, "minji").Refresh)
		}
		token := s.token("app", secret)
		// The first token of a client takes status indices, which is a write, so
		// each client gets one token before the lock. The update then makes the
		// server read the client from the database again.
		secrets := map[string]string{}
		for i := range further {
			id := fmt.Sprint("further-", i)
			secrets[id] = d.client(id)
			s.token(id, secrets[id])
			d.must("client", "update", id, "--name", "another")
		}
		events := len(d.events(t, "cut.grant")) + len(d.events(t, "cut.user"))

		release := storagetest.Lock(t, d.database, map[storage.Engine][]string{
			storage.SQLite:     {"BEGIN IMMEDIATE"},
			storage.PostgreSQL: {"BEGIN", "LOCK TABLE grants IN SHARE MODE"},
			storage.MySQL:      {"LOCK TABLES grants READ"},
		})
		answers := make([]answer, many)
		var waiting sync.WaitGroup
		for i, token := range refresh {
			waiting.Go(func() { answers[i] = a.refresh(s, token) })
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			waiting.Wait()
		}()
		for rounds, done := 0, false; !done; rounds++ {
			select {
			case <-over:
				done = true
			case <-time.After(50 * time.Millisecond):
			}
			if !s.active("app", secret, token) {
				t.Fatal("the token is not active")
			}
			for id, secret := range secrets {
				delete(secrets, id)
				s.token(id, secret)
				break
			}
			got := s.get("/health/ready")
			if storage.Engine(engine) == storage.SQLite && strings.Contains(got.body, "it is locked") {
				continue // SQLite locks the whole database
			}
			if got.status != http.StatusOK || got.json(t)["status_lists"] != "current" {
				t.Fatalf("after %d rounds: %d %s", rounds, got.status, got.body)
			}
		}
		if len(secrets) > 0 {
			t.Errorf("the refreshes did not wait: %v", answers[0])
		}
		for _, a := range answers {
			wantUnavailable(t, "a refresh", a)
		}
		// No statement waits in the database any more, although the lock is still
		// held. (SQLite has no server in which statements could wait.)
		if count := map[string]string{
			"postgres": "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
			"mysql":    "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND command = 'Query' AND id <> CONNECTION_ID()",
		}[engine]; count != "" {
			eventually(t, "no statement waits in the database", 20*time.Second, func() bool { return storagetest.Count(t, d.database, count) == 0 })
		}

		release()
		for i, token := range refresh {
			// The first refresh may have rotated the token, and only its
			// answer was lost. Then this request is a retry.
			if got := a.refresh(s, token); got.status != http.StatusOK {
				t.Fatalf("refresh %d: %d %s", i, got.status, got.body)
			}
		}
		if n := len(d.events(t, "cut.grant")) + len(d.events(t, "cut.user")); n != events {
			t.Errorf("%d events of cuts more", n-events)
		}
	})
}
