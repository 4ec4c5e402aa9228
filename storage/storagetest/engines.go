// Package storagetest contains the one test suite that every engine must pass, and
// gives tests of other packages a real database each.
//
// SQLite is always available. The other engines are used if these variables name a
// server; otherwise their tests are skipped by name:
//
//	INGAM_TEST_POSTGRES   postgres://user:password@host:port/name
//	INGAM_TEST_MYSQL      mysql://user:password@host:port/name
//
// The user must be allowed to create databases. Each test creates its own, under a new
// name, and drops it at its end; the named database is only connected to. Most begin as
// copies of one that was migrated before: see Copies and Main.
package storagetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	// The drivers, for creating databases.
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/ingam/ingam/storage"
)

// Engine is a database engine that tests can run on.
type Engine struct {
	// Name is the name of the engine's subtests.
	Name string
	// Kind is what Store.Engine returns on it.
	Kind storage.Engine
	// NewURL returns the URL of a new, empty database, which is removed at the end of
	// the test. It skips the test if the engine is not available.
	NewURL func(t testing.TB) string
}

// Engines returns all engines, whether they are available or not.
func Engines() []Engine {
	return []Engine{
		{Name: "SQLite", Kind: storage.SQLite, NewURL: newSQLite},
		{Name: "PostgreSQL", Kind: storage.PostgreSQL, NewURL: func(t testing.TB) string {
			return newDatabase(t, storage.PostgreSQL, "", "")
		}},
		{Name: "MySQL", Kind: storage.MySQL, NewURL: func(t testing.TB) string {
			return newDatabase(t, storage.MySQL, "", "")
		}},
	}
}

// Servers returns the engines that are reached over a network.
func Servers() []Engine {
	return slices.DeleteFunc(Engines(), func(e Engine) bool { return e.Kind == storage.SQLite })
}

// New returns a Store on a new database with the current schema; both are removed at
// the end of the test.
func New(t testing.TB, e Engine) *storage.Store {
	t.Helper()
	return Open(t, Migrated(t, e))
}

// Open opens a Store, which is closed at the end of the test.
func Open(t testing.TB, url string) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), url, storage.Options{MaxOpen: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newSQLite(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "ingam.db")
}

// newDatabase creates a database, from a template if one is named, and runs statements
// in it. It is dropped at the end of the test.
func newDatabase(t testing.TB, kind storage.Engine, template, statements string) (url string) {
	t.Helper()
	url, drop := createDatabase(t, kind, template, statements)
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Error(err)
		}
	})
	return url
}

// createDatabase creates a database that stays until drop is called.
func createDatabase(t testing.TB, kind storage.Engine, template, statements string) (url string, drop func() error) {
	t.Helper()
	u, db := connectServer(t, kind)
	name := "ingam_test_" + strings.ToLower(rand.Text())
	create, howToDrop := "CREATE DATABASE "+name, ""
	if kind == storage.PostgreSQL {
		howToDrop = " WITH (FORCE)"
	}
	if template != "" {
		create += " TEMPLATE " + template
	}
	if statements != "" {
		create += "; USE " + name + "; " + statements
	}
	// PostgreSQL refuses to copy a template while somebody is connected to it.
	_, err := db.ExecContext(t.Context(), create)
	for tries := 0; err != nil && strings.Contains(err.Error(), "55006") && tries < 100; tries++ {
		time.Sleep(50 * time.Millisecond)
		_, err = db.ExecContext(t.Context(), create)
	}
	if err != nil {
		t.Fatalf("%s: creating a database: %v", kind, err)
	}
	u.Path = "/" + name
	return u.String(), func() error {
		// The test's own context has ended.
		_, err := db.ExecContext(context.Background(), "DROP DATABASE "+name+howToDrop)
		return errors.Join(err, db.Close())
	}
}

// connectServer connects to the server that the engine's variable names, or skips the
// test if the variable is empty.
func connectServer(t testing.TB, kind storage.Engine) (*neturl.URL, *sql.DB) {
	t.Helper()
	variable := map[storage.Engine]string{storage.PostgreSQL: "INGAM_TEST_POSTGRES", storage.MySQL: "INGAM_TEST_MYSQL"}[kind]
	value := os.Getenv(variable)
	if value == "" {
		t.Skipf("set %s to a database URL to run this on it", variable)
	}
	u, err := neturl.Parse(value)
	if err != nil {
		t.Fatalf("%s is not a URL", variable)
	}
	open := openPostgres
	if kind == storage.MySQL {
		open = openMySQL
	}
	db, err := open(u)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return u, db
}

func openPostgres(u *neturl.URL) (*sql.DB, error) { return sql.Open("pgx", u.String()) }

func openMySQL(u *neturl.URL) (*sql.DB, error) {
	password, _ := u.User.Password()
	return sql.Open("mysql", u.User.Username()+":"+password+"@tcp("+u.Host+")"+u.Path+"?multiStatements=true")
}

// connect opens a database without a Store.
func connect(t testing.TB, url string) *sql.DB {
	t.Helper()
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]func(*neturl.URL) (*sql.DB, error){
		"sqlite":   func(u *neturl.URL) (*sql.DB, error) { return sql.Open("sqlite3", u.Opaque+u.Path) },
		"postgres": openPostgres, "mysql": openMySQL,
	}[u.Scheme]
	db, err := open(u)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Exec runs a statement that no method of a Store runs.
func Exec(t testing.TB, url, statement string) {
	t.Helper()
	db := connect(t, url)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// Select returns what a query finds, each row as one text.
func Select(t testing.TB, url, query string) (all []string) {
	t.Helper()
	db := connect(t, url)
	defer db.Close()
	for _, row := range rowsOf(t, db, query) {
		all = append(all, fmt.Sprint(row))
	}
	return all
}

// LockWrites keeps everyone else from writing to a SQLite database until unlock is
// called.
func LockWrites(t testing.TB, url string) (unlock func()) {
	t.Helper()
	db := connect(t, url)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run := func(statement string) {
		t.Helper()
		if _, err := conn.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Fatal(err)
		}
	}
	run("BEGIN IMMEDIATE")
	return func() { run("ROLLBACK"); conn.Close(); db.Close() }
}

// Rows counts the rows of all tables.
func Rows(t testing.TB, url string) int {
	t.Helper()
	var size storage.Size
	briefly(t, url, func(s *storage.Store) (err error) {
		size, err = s.Size(t.Context())
		return err
	})
	return int(size.Rows)
}

// briefly calls do with a Store that is open no longer than that takes.
func briefly(t testing.TB, url string, do func(*storage.Store) error) {
	t.Helper()
	s, err := storage.Open(t.Context(), url, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(s), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// Count returns the number that a query returns.
func Count(t testing.TB, url, query string) (n int) {
	t.Helper()
	db := connect(t, url)
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// DoubleGrants doubles the number of grants, several times: see Store.MultiplyGrants.
func DoubleGrants(t testing.TB, url string, times int) {
	t.Helper()
	there := Count(t, url, "SELECT COUNT(*) FROM grants")
	briefly(t, url, func(s *storage.Store) error { return s.MultiplyGrants(t.Context(), int64(there)<<times) })
}

// Lock takes a lock on a database by the statements for its engine, on a connection of
// its own. It is released by release or at the end of the test.
func Lock(t testing.TB, url string, statements map[storage.Engine][]string) (release func()) {
	t.Helper()
	db := connect(t, url)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	scheme, _, _ := strings.Cut(url, ":")
	for _, statement := range statements[storage.Engine(scheme)] {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	release = sync.OnceFunc(func() {
		// Do not return the connection to the pool: the lock ends with it.
		conn.Raw(func(any) error { return driver.ErrBadConn })
		db.Close()
	})
	t.Cleanup(release)
	return release
}
