package storage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/migrations"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestAnEmptyDatabaseHasNoSchema(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		s := storagetest.Open(t, e.NewURL(t))
		if err := s.CheckSchema(t.Context()); !errors.Is(err, storage.ErrNoSchema) {
			t.Fatal(err)
		}
		status, err := s.MigrationStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]storage.MigrationStatus{{Version: 1, Name: "start"}, {Version: 2, Name: "people"}, {Version: 3, Name: "status"}, {Version: 4, Name: "first_party"}, {Version: 5, Name: "scopes"}, {Version: 6, Name: "email_form"}, {Version: 7, Name: "history"}, {Version: 8, Name: "issuer"}, {Version: 9, Name: "context_class"}, {Version: 10, Name: "introspects"}, {Version: 11, Name: "api_secrets"}, {Version: 12, Name: "secret_use"}, {Version: 13, Name: "audit_actions"}, {Version: 14, Name: "applied"}, {Version: 15, Name: "audit_chain"}, {Version: 16, Name: "password_links"}, {Version: 17, Name: "grant_lists"}, {Version: 18, Name: "session_lists"}}, status); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		// MigrationStatus has not created a table.
		if err := s.CheckSchema(t.Context()); !errors.Is(err, storage.ErrNoSchema) {
			t.Fatal(err)
		}
		var fault *storage.Fault
		if _, err := s.Clients(t.Context()); !errors.As(err, &fault) {
			t.Fatalf("reading what is not there: %v", err)
		}
	})
}

func TestServersThatStartAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		for range 2 {
			url := e.NewURL(t)
			start := time.Now()
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if out, err := migrateProcess(t, url).CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				})
				all.Go(func() {
					if err := migrateOnly(url); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			checkMigrated(t, url, start)
		}
	})
}

func TestAMigrationKilledInTheMiddleIsMadeGood(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		for range 4 {
			url := e.NewURL(t)
			start := time.Now()
			p := migrateProcess(t, url)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(rand.N(150 * time.Millisecond))
			_ = p.Process.Kill()
			_ = p.Wait()
			if err := migrateOnly(url); err != nil {
				t.Fatal(err)
			}
			checkMigrated(t, url, start)
		}
	})
}

// TestMySQLMigratesFromWhereverItStopped: MySQL commits each schema change by itself, so a
// process can be killed between any two statements.
func TestMySQLMigratesFromWhereverItStopped(t *testing.T) {
	t.Parallel()
	e := storagetest.Engines()[2]
	for statements := range 6 {
		url := e.NewURL(t)
		start := time.Now()
		s := storagetest.Open(t, url)
		for _, statement := range []string{
			"CREATE TABLE goose_db_version (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY," +
				" version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp datetime NULL DEFAULT CURRENT_TIMESTAMP)",
			"INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)",
			"CREATE TABLE change_seq (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL) ENGINE = InnoDB",
			"INSERT INTO change_seq (id, n) VALUES (1, 0)",
			"CREATE TABLE server (id BIGINT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, oldest_schema BIGINT NOT NULL)",
		}[:statements] {
			if _, err := storage.Pool(s).ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.CheckSchema(t.Context()); !errors.Is(err, storage.ErrNoSchema) {
			t.Fatalf("after %d statements: %v", statements, err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatalf("after %d statements: %v", statements, err)
		}
		checkMigrated(t, url, start)
	}
}

// until returns the schema of an older binary: the migrations up to a version.
func until(t *testing.T, e storagetest.Engine, version int64) fs.FS {
	t.Helper()
	now, err := migrations.FS(string(e.Kind))
	if err != nil {
		t.Fatal(err)
	}
	list, err := migrations.List(now)
	if err != nil {
		t.Fatal(err)
	}
	older := fstest.MapFS{}
	for _, f := range list[:version] {
		name := fmt.Sprintf("%05d_%s.sql", f.Version, f.Name)
		b, err := fs.ReadFile(now, name)
		if err != nil {
			t.Fatal(err)
		}
		older[name] = &fstest.MapFile{Data: b}
	}
	return older
}

// TestAddressesOfBeforeGetTheirForms: in the end each address has its form, wherever MySQL
// was stopped, and whatever an older version wrote in the meantime.
func TestAddressesOfBeforeGetTheirForms(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		long := strings.Repeat("l", 200-len("@example.com")) + "@example.com"
		addresses := map[string]string{
			"": "", "Minji@Example.COM": "minji@example.com", "o'neil+x@[192.0.2.1]": "o'neil+x@[192.0.2.1]", long: long, "l" + long: "",
			"ÜBER@example.com": "über@example.com", "\uff2bim@example.com": "kim@example.com", "김@example.com": "김@example.com", "🔑@example.com": "", "minji@example.com": "minji@example.com",
		}
		// done are the statements of the migration that have already run.
		done := map[storage.Engine][]string{
			storage.MySQL: {
				"ALTER TABLE users ADD COLUMN email_form VARBINARY(255) NULL", "ALTER TABLE users ADD KEY users_email_form (email_form)",
				"UPDATE users SET email_form = 'minji@example.com' WHERE email = 'minji@example.com'",
			},
		}[e.Kind]
		for stopped := range len(done) + 1 {
			url := e.NewURL(t)
			older := open(t, url, storage.Built(storage.Options{}, until(t, e, 5)))
			if err := older.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			statements := done[:stopped]
			i := 0
			for address := range addresses {
				i++
				statements = append([]string{fmt.Sprintf("INSERT INTO users (id, username, email, roles, claims, password, disabled, epoch, created_ms)"+
					" VALUES ('u%[1]d', 'u%[1]d', '%[2]s', '[]', '{}', '', FALSE, 1, 0)", i, strings.ReplaceAll(address, "'", "''"))}, statements...)
			}
			for _, statement := range statements {
				if _, err := storage.Pool(older).ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			s := storagetest.Open(t, url)
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatalf("after %d statements: %v", stopped, err)
			}
			ascii := func(s string) bool { return len(s) == utf8.RuneCountInString(s) }
			for _, renewed := range []bool{false, true} {
				if renewed {
					if err := s.RenewEmailForms(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				rows, err := storage.Pool(s).QueryContext(t.Context(), "SELECT email, COALESCE(email_form, '') FROM users")
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for rows.Next() {
					var address, form string
					if err := rows.Scan(&address, &form); err != nil {
						t.Fatal(err)
					}
					want := addresses[address]
					if !renewed && !ascii(address) {
						want = "" // no engine lower-cases these as the server does
					}
					if n++; form != want {
						t.Errorf("after %d statements, the form of %q is %q, not %q", stopped, address, form, want)
					}
				}
				if err := rows.Err(); err != nil || n != len(addresses) {
					t.Errorf("%d rows: %v", n, err)
				}
				rows.Close()
			}
		}
	})
}

// TestSignInsOfBeforeHaveTheClassThatAllHad: each earlier sign-in has the context class
// that all sign-ins had, wherever MySQL was stopped, and whatever an older version wrote in
// the meantime.
func TestSignInsOfBeforeHaveTheClassThatAllHad(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	// signIn writes the rows that an older version writes.
	signIn := func(t *testing.T, s *storage.Store, id string) {
		t.Helper()
		hash := "'?'"
		if s.Engine() == storage.SQLite {
			hash = "CAST('?' AS BLOB)"
		}
		for _, statement := range []string{
			`INSERT INTO login_sessions (id, secret_hash, device_hash, user_id, auth_ms, amr, user_epoch, server_epoch,
			                             created_ms, seen_ms, idle_ms, expires_ms, address, user_agent, client_id)
			 VALUES ('?', #, #, 'u', 1000, '["pwd"]', 1, 0, 1, 1, 4102444800000, 4102444800000, '', '', 'app')`,
			`INSERT INTO codes (hash, client_id, redirect_uri, user_id, session_id, scopes, audiences, nonce, challenge,
			                    auth_ms, amr, user_epoch, client_epoch, server_epoch, expires_ms)
			 VALUES (#, 'app', '', 'u', '?', '[]', '[]', '', '', 1000, '["pwd"]', 1, 1, 0, 4102444800000)`,
			`INSERT INTO grants (id, client_id, user_id, session_id, scopes, audiences, auth_ms, amr, offline, user_epoch, client_epoch, server_epoch,
			                     created_ms, expires_ms, generation, rotated_ms, refresh_iat_ms, refresh_exp_ms, refresh_kid, refresh_version, revoked_why)
			 VALUES ('?', 'app', 'u', '?', '[]', '[]', 1000, '["pwd"]', TRUE, 1, 1, 0, 1, 4102444800000, 0, 0, 0, 0, '', 1, '')`,
		} {
			if _, err := storage.Pool(s).ExecContext(ctx, strings.ReplaceAll(strings.ReplaceAll(statement, "#", hash), "?", id)); err != nil {
				t.Fatal(err)
			}
		}
	}
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		// done are the statements of the migration that have already run.
		done := map[storage.Engine][]string{storage.MySQL: {
			`ALTER TABLE login_sessions ADD COLUMN acr VARBINARY(255) NOT NULL DEFAULT '1'`, `ALTER TABLE codes ADD COLUMN acr VARBINARY(255) NOT NULL DEFAULT '1'`,
		}}[e.Kind]
		for stopped := range len(done) + 1 {
			url := e.NewURL(t)
			older := open(t, url, storage.Built(storage.Options{}, until(t, e, 8)))
			if err := older.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := storage.Pool(older).ExecContext(ctx, `INSERT INTO users (id, username, email, roles, claims, password, disabled, epoch, created_ms)
				VALUES ('u', 'u', '', '[]', '{}', '', FALSE, 1, 0)`); err != nil {
				t.Fatal(err)
			}
			signIn(t, older, "before")
			for _, statement := range done[:stopped] {
				if _, err := storage.Pool(older).ExecContext(ctx, statement); err != nil {
					t.Fatal(err)
				}
			}
			s := storagetest.Open(t, url)
			if err := s.Migrate(ctx); err != nil {
				t.Fatalf("after %d statements: %v", stopped, err)
			}
			signIn(t, older, "meanwhile")
			for _, id := range []string{"before", "meanwhile"} {
				session, err := s.AppSession(ctx, "app", id)
				if err != nil || session.ContextClass != "1" || !slices.Equal(session.Methods, []string{"pwd"}) {
					t.Errorf("after %d statements, the session of %s: %+v, %v", stopped, id, session, err)
				}
				for _, table := range []string{"codes", "grants"} {
					if n := storagetest.Count(t, url, "SELECT COUNT(*) FROM "+table+" WHERE session_id = '"+id+"' AND acr = '1'"); n != 1 {
						t.Errorf("after %d statements, %d of %s of %s", stopped, n, table, id)
					}
				}
			}
			if g, err := s.Grant(ctx, "before"); err != nil || g.ContextClass != "1" {
				t.Errorf("after %d statements: %+v, %v", stopped, g, err)
			}
		}
	})
}

// TestClientsOfBeforeAreTheAPIsThatTheyCouldIntrospect: each earlier client that has a secret
// may introspect what it could, wherever MySQL was stopped. What an older version writes
// in the meantime is as it says: it can delete such a client, and not an API that one is.
func TestClientsOfBeforeAreTheAPIsThatTheyCouldIntrospect(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	want := map[string][]string{
		"api": {"https://a.test", "https://b.test"}, "app": {"https://a.test"}, "https://c.test": {"https://a.test", "https://c.test"},
		"https://b.test": {"https://b.test"}, "public": nil, "https://d.test": nil, "none": nil,
	}
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		// done are the statements of the migration that have already run.
		done := map[storage.Engine][]string{storage.MySQL: {
			`CREATE TABLE client_introspects (client_id VARBINARY(255) NOT NULL, audience VARBINARY(1024) NOT NULL, PRIMARY KEY (client_id, audience),
				CONSTRAINT client_introspects_client FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE,
				CONSTRAINT client_introspects_api FOREIGN KEY (audience) REFERENCES apis (audience)) ENGINE = InnoDB`,
			`INSERT INTO client_introspects VALUES ('api', 'https://a.test'), ('api', 'https://b.test'), ('app', 'https://a.test'),
				('https://c.test', 'https://a.test'), ('https://c.test', 'https://c.test'), ('https://b.test', 'https://b.test')`,
		}}[e.Kind]
		for stopped := range len(done) + 1 {
			url := e.NewURL(t)
			older := open(t, url, storage.Built(storage.Options{}, until(t, e, 9)))
			if err := older.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			run := func(statements ...string) {
				t.Helper()
				for _, statement := range statements {
					if _, err := storage.Pool(older).ExecContext(ctx, statement); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, audience := range []string{"a", "b", "c", "d"} {
				run(strings.ReplaceAll("INSERT INTO apis (id, audience, name, scopes, access_ttl_ms, created_ms) VALUES ('?', 'https://?.test', '?', '[]', 0, 0)", "?", audience))
			}
			add := func(id, auth, grants string, audiences ...string) {
				t.Helper()
				run(fmt.Sprintf("INSERT INTO clients (id, name, grants, redirect_uris, scopes, auth, first_party, disabled, epoch, created_ms)"+
					" VALUES ('%[1]s', '%[1]s', '%[2]s', '[]', '[]', '%[3]s', FALSE, FALSE, 1, 0)", id, grants, auth))
				for i, audience := range audiences {
					run(fmt.Sprintf("INSERT INTO client_audiences (client_id, position, audience) VALUES ('%s', %d, '%s')", id, i, audience))
				}
			}
			add("api", "client_secret_basic", `[]`, "https://b.test", "https://a.test")
			add("app", "client_secret_post", `["client_credentials"]`, "https://a.test")
			add("https://c.test", "client_secret_basic", `["client_credentials"]`, "https://a.test", "https://c.test")
			add("https://b.test", "client_secret_basic", `[]`)
			add("public", "none", `["first_party"]`, "https://a.test")
			add("https://d.test", "none", `["first_party"]`)
			add("none", "client_secret_basic", `["client_credentials"]`)
			run(done[:stopped]...)
			s := storagetest.Open(t, url)
			if err := s.Migrate(ctx); err != nil {
				t.Fatalf("after %d statements: %v", stopped, err)
			}
			all, err := s.Clients(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]string{}
			for _, c := range all {
				got[c.ID] = c.Introspects
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after %d statements: -want +got\n%s", stopped, diff)
			}
			// As an older version deletes them.
			run("DELETE FROM client_audiences WHERE client_id = 'api'", "DELETE FROM clients WHERE id = 'api'")
			if _, err := storage.Pool(older).ExecContext(ctx, "DELETE FROM apis WHERE audience = 'https://c.test'"); err == nil {
				t.Error("an API that a client is was deleted")
			}
			if n := storagetest.Count(t, url, "SELECT COUNT(*) FROM client_introspects"); n != 4 {
				t.Errorf("%d rows are left", n)
			}
		}
	})
}

// migrateProcess returns a process that migrates a database.
func migrateProcess(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := exec.Command(self)
	p.Env = append(os.Environ(), migrateURL+"="+url)
	return p
}

// checkMigrated checks that each migration was applied once, and that changes can be
// made.
func checkMigrated(t *testing.T, url string, start time.Time) {
	t.Helper()
	s := storagetest.Open(t, url)
	if err := s.CheckSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, err := s.MigrationStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range status {
		// The engines store whole seconds.
		if m.AppliedAt.Before(start.Add(-time.Second)) || m.AppliedAt.After(time.Now().Add(time.Second)) {
			t.Errorf("migration %d was applied %v", m.Version, m.AppliedAt)
		}
	}
	for query, want := range map[string]int{
		"SELECT COUNT(*) FROM goose_db_version WHERE version_id = 1": 1,
		"SELECT COUNT(*) FROM goose_db_version WHERE version_id = 0": 1,
		"SELECT COUNT(*) FROM change_seq":                            1,
		"SELECT COUNT(*) FROM server":                                1,
	} {
		var n int
		if err := storage.Pool(s).QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d, %v", query, n, err)
		}
	}
	if err := s.CutEverything(t.Context(), audit.Event{At: time.Now()}); err != nil {
		t.Error(err)
	}
}

// nextMigration returns the schema of a newer binary, with one more migration that runs
// the statements.
func nextMigration(t *testing.T, e storagetest.Engine, statements string) (files fs.FS, version int64) {
	t.Helper()
	now, err := migrations.FS(string(e.Kind))
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(now, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{}
	for _, name := range names {
		b, err := fs.ReadFile(now, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: b}
	}
	version = int64(len(names) + 1)
	all[fmt.Sprintf("%05d_next.sql", version)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + statements)}
	return all, version
}

func TestOlderAndNewerSchemas(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		ctx := t.Context()
		url := e.NewURL(t)
		older := storagetest.Open(t, url)
		files, latest := nextMigration(t, e, "CREATE TABLE extra (id INTEGER);\nALTER TABLE clients ADD COLUMN extra INTEGER;\n")
		newer := open(t, url, storage.Built(storage.Options{}, files))
		check := func(s *storage.Store, want error) {
			t.Helper()
			if err := s.CheckSchema(ctx); !errors.Is(err, want) {
				t.Fatalf("%v, not %v", err, want)
			}
		}
		migrate := func(s *storage.Store, want error) {
			t.Helper()
			if err := s.Migrate(ctx); !errors.Is(err, want) {
				t.Fatalf("%v, not %v", err, want)
			}
		}

		migrate(older, nil)
		check(older, nil)
		check(newer, storage.ErrSchemaOlder)
		if err := newer.CheckSchema(ctx); !strings.Contains(err.Error(), "ingam migrate up") {
			t.Errorf("%q does not say what to do", err)
		}
		// A statement prepared before the table changes.
		read := storagetest.Reads(ctx, older)["Clients"]
		for range 3 {
			if err := read(); err != nil {
				t.Fatal(err)
			}
		}

		migrate(newer, nil)
		check(newer, nil)
		// During an upgrade both run side by side.
		check(older, nil)
		migrate(older, nil)
		for range 3 {
			if err := read(); err != nil {
				t.Fatal(err)
			}
		}
		status, err := older.MigrationStatus(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if last := status[len(status)-1]; last.Version != latest || last.Name != "" || last.AppliedAt.IsZero() {
			t.Errorf("the older binary sees %+v", status)
		}

		if _, err := storage.Pool(newer).ExecContext(ctx, fmt.Sprint("UPDATE server SET oldest_schema = ", latest)); err != nil {
			t.Fatal(err)
		}
		check(newer, nil)
		check(older, storage.ErrSchemaNewer)
		migrate(older, storage.ErrSchemaNewer)
	})
}

func TestAMigrationThatFailsCanBeRepaired(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := e.NewURL(t)
		files, _ := nextMigration(t, e, "CREATE TABLE clients (id INTEGER);\n")
		broken := open(t, url, storage.Built(storage.Options{}, files))
		err := broken.Migrate(t.Context())
		var fault *storage.Fault
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), "exists") {
			t.Fatalf("%v", err)
		}
		if err := broken.CheckSchema(t.Context()); !errors.Is(err, storage.ErrSchemaOlder) {
			t.Fatal(err)
		}
		files, _ = nextMigration(t, e, "CREATE TABLE extra (id INTEGER);\n")
		whole := open(t, url, storage.Built(storage.Options{}, files))
		if err := whole.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := whole.CheckSchema(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
