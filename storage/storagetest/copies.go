package storagetest

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ingam/ingam/storage"
)

// Copies makes test databases by copying an original. Copying takes a fraction of the
// time that the migrations take, and nearly every test needs a database. The original
// is made at its first use, once per process and engine.
type Copies struct {
	// Prepare fills an empty database that becomes the original.
	Prepare func(t testing.TB, e Engine, url string)
	// Fresh is how long an original is used before another one is made; 0 means
	// forever.
	Fresh time.Duration

	mu   sync.Mutex
	made map[storage.Engine]original
}

// original is what is copied: the bytes of a SQLite file, the name of a template
// database of PostgreSQL, or the statements that create the tables of MariaDB.
type original struct {
	at       time.Time
	contents string
}

// migrated makes databases with the current schema and nothing else.
var migrated = &Copies{Prepare: func(t testing.TB, e Engine, url string) {
	t.Helper()
	s, err := storage.Open(t.Context(), url, storage.Options{})
	if err == nil {
		err = errors.Join(s.Migrate(t.Context()), s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}}

// Migrated returns the URL of a new database with the current schema, which is removed
// at the end of the test. It skips the test if the engine is not available.
func Migrated(t testing.TB, e Engine) (url string) {
	t.Helper()
	return migrated.New(t, e)
}

// New returns the URL of a copy, which is removed at the end of the test. It skips the
// test if the engine is not available.
func (c *Copies) New(t testing.TB, e Engine) (url string) {
	t.Helper()
	contents := c.original(t, e)
	switch e.Kind {
	case storage.PostgreSQL:
		return newDatabase(t, e.Kind, contents, "")
	case storage.MySQL:
		return newDatabase(t, e.Kind, "", contents)
	default:
		url = e.NewURL(t)
		if err := os.WriteFile(strings.TrimPrefix(url, "sqlite:"), []byte(contents), 0o600); err != nil {
			t.Fatal(err)
		}
		return url
	}
}

// original returns the original, and makes it if it is missing or too old.
func (c *Copies) original(t testing.TB, e Engine) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.made[e.Kind]; ok && (c.Fresh == 0 || time.Since(o.at) < c.Fresh) {
		return o.contents
	}
	o := original{at: time.Now()}
	if e.Kind == storage.PostgreSQL {
		url := newTemplate(t)
		c.Prepare(t, e, url)
		o.contents = url[strings.LastIndex(url, "/")+1:]
		o.contents, _, _ = strings.Cut(o.contents, "?")
	} else {
		url := e.NewURL(t)
		c.Prepare(t, e, url)
		if e.Kind == storage.MySQL {
			o.contents = dumpMySQL(t, url)
		} else {
			b, err := os.ReadFile(strings.TrimPrefix(url, "sqlite:"))
			if err != nil {
				t.Fatal(err)
			}
			o.contents = string(b)
		}
	}
	if c.made == nil {
		c.made = map[storage.Engine]original{}
	}
	c.made[e.Kind] = o
	return o.contents
}

// templates are the original databases of PostgreSQL. They outlive the test that made
// them.
var templates struct {
	sync.Mutex
	// dropped is set if Main will drop them.
	dropped bool
	drop    []func() error
}

// newTemplate returns the URL of a new, empty database that stays until the process
// ends.
func newTemplate(t testing.TB) (url string) {
	t.Helper()
	url, drop := createDatabase(t, storage.PostgreSQL, "", "")
	templates.Lock()
	defer templates.Unlock()
	if !templates.dropped {
		t.Fatal(errors.Join(errors.New("the package needs a TestMain that runs storagetest.Main"), drop()))
	}
	templates.drop = append(templates.drop, drop)
	return url
}

// Tests runs the tests of a package, as *testing.M does.
type Tests interface{ Run() int }

// Main returns a Tests that runs the tests of a package and then drops the databases
// that others were copied from. A package that uses copies on PostgreSQL passes it to
// whatever its TestMain runs.
func Main(m Tests) Tests {
	templates.dropped = true
	return dropping{m}
}

type dropping struct{ tests Tests }

// Run runs the tests, and fails if a database cannot be dropped.
func (d dropping) Run() int {
	code := d.tests.Run()
	templates.Lock()
	defer templates.Unlock()
	for _, drop := range templates.drop {
		if err := drop(); err != nil {
			fmt.Fprintln(os.Stderr, "a database that others were copied from stays:", err)
			code = max(code, 1)
		}
	}
	return code
}

// dumpMySQL returns statements that create the tables of a database with their content.
func dumpMySQL(t testing.TB, url string) string {
	t.Helper()
	db := connect(t, url)
	defer db.Close()
	dump := &strings.Builder{}
	dump.WriteString("SET FOREIGN_KEY_CHECKS = 0") // tables come in the order of their names
	for _, table := range rowsOf(t, db, "SHOW TABLES") {
		made := rowsOf(t, db, "SHOW CREATE TABLE `"+table[0].String+"`")[0][1].String
		fmt.Fprintf(dump, "; %s", made)
		for _, row := range rowsOf(t, db, "SELECT * FROM `"+table[0].String+"`") {
			values := make([]string, len(row))
			for i, v := range row {
				values[i] = literal(v)
			}
			fmt.Fprintf(dump, "; INSERT INTO `%s` VALUES (%s)", table[0].String, strings.Join(values, ", "))
		}
	}
	dump.WriteString("; SET FOREIGN_KEY_CHECKS = 1")
	return dump.String()
}

// rowsOf returns the rows of a query.
func rowsOf(t testing.TB, db *sql.DB, query string) (all [][]sql.NullString) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row := make([]sql.NullString, len(columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// literal writes a value as an SQL literal of MariaDB.
func literal(v sql.NullString) string {
	if !v.Valid {
		return "NULL"
	}
	quoted := "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\x00", `\0`).Replace(v.String) + "'"
	if !utf8.ValidString(v.String) {
		return "_binary" + quoted
	}
	return quoted
}
