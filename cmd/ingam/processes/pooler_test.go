package processes

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/storage/storagetest/between"
)

// TestThroughPgBouncerInTransactionModeNothingIsLost checks that the server works behind a
// pooler that runs each transaction in one of two database sessions.
func TestThroughPgBouncerInTransactionModeNothingIsLost(t *testing.T) {
	t.Parallel()
	database := ""
	for _, e := range storagetest.Servers() {
		if e.Name == "PostgreSQL" {
			database = e.NewURL(t)
		}
	}
	d := emptyDeployment(t, between.PgBouncer(t, database))
	var migrating sync.WaitGroup
	for range 2 {
		migrating.Go(func() {
			if e := d.program("", nil, "migrate", "up"); e.status != done {
				t.Error(e.stderr)
			}
		})
	}
	migrating.Wait()
	s := d.start()
	began := len(s.log.String()) // before it was ready, it may have answered 503
	secret, asker, a := d.client("app"), d.client("api"), d.webClient("web")
	d.user("minji")
	tokens := make([]string, 4)
	var all sync.WaitGroup
	for i := range tokens {
		p := s.person()
		all.Go(func() {
			set := a.tokens(s, p, "minji")
			for range 10 {
				got := a.refresh(s, set.Refresh)
				if got.status != http.StatusOK {
					t.Errorf("a refresh: %d %s", got.status, got.body)
					return
				}
				mustUnmarshal(t, got.body, &set)
				token := s.token("app", secret)
				for what, token := range map[string]string{"a client's": token, "a user's": set.Access} {
					if !s.active("api", asker, token) {
						t.Errorf("%s token is not active", what)
					}
				}
			}
			tokens[i] = set.Access
		})
	}
	all.Wait()
	d.must("revoke", "--user", "minji")
	for _, token := range tokens {
		if s.active("api", asker, token) {
			t.Error("a token outlives the cut of its user")
		}
	}
	if log := s.log.String(); strings.Contains(log[began:], `"status":503`) || !strings.Contains(log, "pooler") {
		t.Errorf("the log does not say that there is a pooler, or has a 503: %s", s.log.tail(4<<10))
	}
	// What a transaction sets must end with the transaction, because other programs
	// use the same sessions.
	for _, setting := range []string{"lock_timeout", "idle_in_transaction_session_timeout"} {
		if n := storagetest.Count(t, d.database+"&default_query_exec_mode=exec", "SELECT COUNT(*) FROM pg_settings WHERE name = '"+setting+"' AND source = 'session'"); n != 0 {
			t.Errorf("%s stays set", setting)
		}
	}

	// If the database URL has another mode, the error says what is wrong.
	s.stop()
	d.database += "&default_query_exec_mode=cache_statement"
	said := ""
	for range 10 { // the first ones leave prepared statements in the sessions
		said += d.command("", nil, "api", "list").stderr
	}
	wantSaid(t, said, "needs default_query_exec_mode=exec in the database URL")
}
