package processes

import (
	"crypto/rand"
	"fmt"
	"net/http"
	neturl "net/url"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// awaitUnwritable waits until the server is not ready and gives what as the reason.
func (s *server) awaitUnwritable(what string) {
	s.d.t.Helper()
	// This takes 10 s at most on a machine that is not busy.
	eventually(s.d.t, "the server says that the database is not written to: "+what, 30*time.Second, func() bool {
		a := s.get("/health/ready")
		return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" && strings.Contains(a.body, what)
	})
}

// wantLogged checks how many times the server logged that it could not write, and that it
// could write again.
func (s *server) wantLogged(times int, what string) {
	s.d.t.Helper()
	began, ended := strings.Count(s.log.String(), "cannot write to the database: "+what), strings.Count(s.log.String(), "the database can be written to again")
	if began != times || ended != times {
		s.d.t.Errorf("the log says %d times that the database cannot be written to, and %d times that it can be again, want %d", began, ended, times)
	}
}

func TestAServerWhoseDatabaseTakesNoWritesIsNotReady(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		d := emptyDeployment(t, "")
		s := d.start()
		secret := d.client("app")
		token := s.token("app", secret)
		for range 2 {
			// Another process holds the write lock.
			release := storagetest.Lock(t, d.database, map[storage.Engine][]string{storage.SQLite: {"BEGIN IMMEDIATE"}})
			s.awaitUnwritable("it is locked")
			if !s.active("app", secret, token) {
				t.Error("what is only read is not answered")
			}
			release()
			s.awaitReady()
		}
		s.wantLogged(2, "it is locked")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		d := emptyDeployment(t, storagetest.Engines()[1].NewURL(t))
		s := d.start()
		// This address overrides the setting of the database.
		u := databaseOf(t, d.database)
		query := u.Query()
		query.Set("default_transaction_read_only", "off")
		u.RawQuery = query.Encode()
		name, direct := u.Path[1:], u.String()
		// Sessions keep the setting that they began with, so they are ended.
		const anew = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
		storagetest.Exec(t, direct, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
		storagetest.Exec(t, direct, anew)
		s.awaitUnwritable("it is read-only")
		// A server that starts now is not ready either, and says why.
		other := d.launch(freeAddress(t))
		other.awaitUnwritableFrom(t)
		storagetest.Exec(t, direct, "ALTER DATABASE "+name+" RESET default_transaction_read_only")
		storagetest.Exec(t, direct, anew)
		s.awaitReady()
		other.awaitReady()
		s.wantLogged(1, "it is read-only")
		other.wantLogged(1, "it is read-only")
	})
	t.Run("MySQL", func(t *testing.T) {
		t.Parallel()
		d := emptyDeployment(t, storagetest.Engines()[2].NewURL(t))
		d.start().stop() // this creates the schema and the keys
		u := databaseOf(t, d.database)
		user, password := "ingam_"+strings.ToLower(rand.Text()[:12]), rand.Text()
		exec := func(format string) {
			t.Helper()
			storagetest.Exec(t, d.database, fmt.Sprintf(format, u.Path[1:], "'"+user+"'@'%'"))
		}
		storagetest.Exec(t, d.database, "CREATE USER '"+user+"'@'%' IDENTIFIED BY '"+password+"'")
		defer storagetest.Exec(t, d.database, "DROP USER '"+user+"'@'%'")
		exec("GRANT SELECT ON %s.* TO %s")
		limited := *u
		limited.User = neturl.UserPassword(user, password)
		s := d.launch(strings.TrimPrefix(d.issuer, "http://"), "INGAM_DATABASE="+limited.String())
		s.awaitUnwritableFrom(t)
		exec("GRANT INSERT, UPDATE, DELETE ON %s.guesses TO %s")
		s.awaitReady()
		exec("REVOKE INSERT, UPDATE, DELETE ON %s.guesses FROM %s")
		s.awaitUnwritable("it is read-only")
		exec("GRANT INSERT, UPDATE, DELETE ON %s.guesses TO %s")
		s.awaitReady()
		s.wantLogged(2, "it is read-only")
	})
}

// awaitUnwritableFrom waits until a server says that it cannot write, from its start on.
// It must not be ready before.
func (s *server) awaitUnwritableFrom(t *testing.T) {
	t.Helper()
	eventually(t, "the server says that the database is read-only", time.Minute, func() bool {
		resp, err := http.Get(s.url + "/health/live")
		if err != nil {
			return false
		}
		resp.Body.Close()
		a := s.get("/health/ready")
		if a.status != http.StatusServiceUnavailable {
			t.Fatalf("it starts and says %d %s", a.status, a.body)
		}
		// On a busy machine the server may fall behind for a moment, and say that
		// instead.
		return strings.Contains(a.body, "it is read-only")
	})
}

func databaseOf(t *testing.T, database string) *neturl.URL {
	t.Helper()
	u, err := neturl.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
