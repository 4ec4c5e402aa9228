package storage_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestNoErrorOfOpenTellsThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "s3cret", "oracle://u:s3cret@h/d", "sqlite3:s3cret",
		"postgres://u:s3cret@127.0.0.1:1/d", "postgres://u:s3cret@127.0.0.1:port/d", "postgres://u:s3cret%zz@h/d",
		"postgres://u:s3cret@/d?sslmode=s3cret", "postgres://u:s3cret@127.0.0.1:1/d?connect_timeout=s3cret",
		"postgresql://u:s3 cret@127.0.0.1:1/d",
		"mysql://u:s3cret@127.0.0.1:1/d", "mysql://u:s3cret@127.0.0.1:port/d", "mysql://u:s3cret%zz@h/d",
		"mysql://u:s3cret@127.0.0.1:1", "mysql://u:s3cret@127.0.0.1:1/", "mysql:u:s3cret@tcp(127.0.0.1:1)/d",
		"mysql://u:s3cret@127.0.0.1:1/d?timeout=s3cret", "mysql://u:s3cret@127.0.0.1:1/d?password=s3cret",
		"mysql://u:s3cret@127.0.0.1:1/d?clientFoundRows=true",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		s, err := storage.Open(ctx, url, storage.Options{})
		cancel()
		if err == nil {
			t.Errorf("%q was opened: %v", url, s.Close())
			continue
		}
		if m := err.Error(); strings.Contains(m, "s3cret") || strings.Contains(m, "s3 cret") {
			t.Errorf("%q: %s", url, m)
		}
	}
}

func TestAMySQLURLBecomesAConfiguration(t *testing.T) {
	t.Parallel()
	c, err := storage.MySQLConfig("mysql://us%40er:p%3Aa%2Fs%3Fs%25@[::1]/na%20me?readTimeout=7s&tls=skip-verify")
	if err != nil {
		t.Fatal(err)
	}
	if c.User != "us@er" || c.Passwd != "p:a/s?s%" || c.Addr != "[::1]:3306" || c.DBName != "na me" ||
		c.ReadTimeout != 7*time.Second || c.TLSConfig != "skip-verify" {
		t.Errorf("%+v", c)
	}
	if c.ClientFoundRows || !c.InterpolateParams || c.Loc != time.UTC {
		t.Errorf("%+v", c)
	}
	for _, url := range []string{
		"mysql://h/d?clientFoundRows=true", "mysql://h/d?parseTime=false", "mysql://h/d?sql_mode=", "mysql://h/d?Timeout=1s",
	} {
		if _, err := storage.MySQLConfig(url); err == nil {
			t.Errorf("%s is accepted", url)
		}
	}
}

func TestMySQLSessionsAreStrict(t *testing.T) {
	t.Parallel()
	s := storagetest.New(t, storagetest.Engines()[2])
	rows, err := storage.Pool(s).QueryContext(t.Context(), `SHOW SESSION VARIABLES WHERE Variable_name IN
		('tx_isolation', 'transaction_isolation', 'sql_mode', 'time_zone', 'character_set_client')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"tx_isolation": "READ-COMMITTED", "transaction_isolation": "READ-COMMITTED",
			"sql_mode": "STRICT_ALL_TABLES", "time_zone": "+00:00", "character_set_client": "utf8mb4",
		}[name]
		if !strings.Contains(value, want) {
			t.Errorf("%s is %s", name, value)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	// An id that is too long is refused. If it were truncated, it could be the id of
	// another token.
	mustBeFault(t, s.CutToken(t.Context(), strings.Repeat("x", 256), time.Now(), status.Ref{}, audit.Event{}))
}

func TestSQLitePathsAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	relative, err := filepath.Rel(here, dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"plain", "with space.db", "a?b", "a#b", "a%20b", "a&mode=memory", "é", "a'b\"", "file:x", "relative"}
	for _, name := range names {
		path := filepath.Join(dir, name)
		switch name {
		case "relative":
			path = filepath.Join(relative, name)
		case "plain":
			path = "/" + path
		}
		s, err := storage.Open(t.Context(), "sqlite:"+path, storage.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		entries, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if info, err := os.Stat(entry); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s has mode %v: %v", entry, info.Mode(), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	slices.Sort(names)
	// There is no -wal or -shm either: closing writes everything into the file.
	if !slices.Equal(left, names) {
		t.Errorf("the folder has %q", left)
	}
}

func TestSQLiteRefusesWhatIsNotAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		"":                                   "must name a file",
		":memory:":                           "must name a file",
		dir:                                  "is a folder",
		filepath.Join(dir, "no", "ingam.db"): "does not exist; create it first",
		filepath.Join(text, "ingam.db"):      "not a directory",
		text:                                 "not a database",
		"a\x00b":                             "NUL",
	} {
		_, err := storage.Open(t.Context(), "sqlite:"+path, storage.Options{})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the folder was created")
	}
}

func TestADatabaseThatMustExistIsNotMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "ingam.db"), filepath.Join(dir, "no", "ingam.db")} {
		_, err := storage.Open(t.Context(), "sqlite:"+path, storage.Options{Existing: true})
		if !errors.Is(err, storage.ErrNoDatabase) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the folder has %v: %v", left, err)
	}
	path := filepath.Join(dir, "ingam.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := storage.Open(t.Context(), "sqlite:"+path, storage.Options{Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestSQLiteIsDurableAndReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s := storagetest.New(t, storagetest.Engines()[0])
	if _, err := storage.ReadPool(s).ExecContext(t.Context(), "UPDATE server SET epoch = 1"); err == nil {
		t.Error("a reader wrote")
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := storage.Pool(s).QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s: %v", pragma, got, err)
		}
	}
}

func TestSQLiteWaitsForAnotherProcessAndNotForever(t *testing.T) {
	t.Parallel()
	url := storagetest.Engines()[0].NewURL(t)
	s, other := storagetest.Open(t, url), storagetest.Open(t, url)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx, err := storage.Pool(other).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	mustBeFault(t, s.CutEverything(ctx, event()))
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("gave up after %v", d)
	}
	// Reading does not wait.
	if _, err := s.ServerEpoch(t.Context()); err != nil {
		t.Error(err)
	}
	done := make(chan error)
	go func() { done <- s.CutEverything(t.Context(), event()) }()
	time.Sleep(300 * time.Millisecond)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
