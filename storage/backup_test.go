package storage_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// files returns the names and sizes of the files in a folder.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(e.Name(), " ", info.Size()))
	}
	return all
}

// cut revokes a token. Tests use it as a change that they can find again.
func cut(ctx context.Context, s *storage.Store, jti string) error {
	return s.CutToken(ctx, jti, time.Now().Add(time.Hour), status.Ref{}, audit.Event{At: time.Now(), Action: audit.TokenCut, Subject: jti})
}

// countOf reads a number from a SQLite file without a Store.
func countOf(t *testing.T, path, query string) (n int64) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestABackupIsOfOneMomentWhileOthersWrite(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	s := storagetest.New(t, storagetest.Engines()[0])
	stop, writers := make(chan struct{}), sync.WaitGroup{}
	for w := range 3 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := cut(ctx, s, fmt.Sprintf("%d-%d-%s", w, i, strings.Repeat("x", 500))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	defer writers.Wait()
	defer close(stop)
	for i := range 5 {
		var before, after changes.Number
		var err error
		for before < changes.Number(50*(i+1)) {
			if before, err = s.ChangeNumber(ctx); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		out := filepath.Join(dir, fmt.Sprint("backup", i))
		if err := s.Backup(ctx, out); err != nil {
			t.Fatal(err)
		}
		if after, err = s.ChangeNumber(ctx); err != nil {
			t.Fatal(err)
		}
		n := countOf(t, out, "SELECT n FROM change_seq")
		for _, table := range []string{"changes", "revoked_tokens", "audit_events"} {
			if rows := countOf(t, out, "SELECT COUNT(*) FROM "+table); rows != n || n < int64(before) || n > int64(after) {
				t.Errorf("of changes up to %d, made between %d and %d, %s has %d", n, before, after, table, rows)
			}
		}
		if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v: %v", info, err)
		}
		if plain, err := storage.IsPlainCopy(out); err != nil || plain {
			t.Errorf("it is taken for a plain copy: %v", err)
		}
	}
	if left := files(t, dir); len(left) != 5 {
		t.Errorf("beside the backups there are %v", left)
	}
}

func TestABackupThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := storagetest.New(t, storagetest.Engines()[0])
	if err := cut(t.Context(), s, "a"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("something"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	for _, taken := range []string{there, dir, filepath.Join(dir, "link")} {
		if err := s.Backup(t.Context(), taken); !errors.Is(err, storage.ErrExists) || !strings.Contains(err.Error(), taken) {
			t.Errorf("%s: %v", taken, err)
		}
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "no", "backup")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Backup(ended, filepath.Join(dir, "ended")); err == nil {
		t.Error("a backup that was stopped succeeds")
	}
	empty := storagetest.Open(t, storagetest.Engines()[0].NewURL(t))
	if err := empty.Backup(t.Context(), filepath.Join(dir, "empty")); !errors.Is(err, storage.ErrNoSchema) {
		t.Error(err)
	}
	if diff := cmp.Diff(before, files(t, dir)); diff != "" {
		t.Error(diff)
	}
	// A failed backup must not keep the database from being used.
	if err := cut(t.Context(), s, "b"); err != nil {
		t.Error(err)
	}
}

func TestADamagedDatabaseIsNotBackedUp(t *testing.T) {
	t.Parallel()
	e := storagetest.Engines()[0]
	url := e.NewURL(t)
	s := open(t, url, storage.Options{})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := cut(t.Context(), s, fmt.Sprint(i, strings.Repeat("x", 900))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(url, "sqlite:")
	damage(t, path)
	dir := t.TempDir()
	if err := storagetest.Open(t, url).Backup(t.Context(), filepath.Join(dir, "backup")); err == nil {
		t.Error("a damaged database was backed up")
	}
	if err := storage.Restore(t.Context(), path, "sqlite:"+filepath.Join(dir, "ingam.db"), storage.Options{}, func(*storage.Store) error { return nil }); err == nil {
		t.Error("a damaged file was restored")
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("there is %v", left)
	}
}

// damage overwrites a page in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt([]byte(strings.Repeat("damaged!", 512)), info.Size()/2/4096*4096)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestARestoreTakesNoOthersPlace(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	url := storagetest.Engines()[0].NewURL(t)
	s := open(t, url, storage.Options{})
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := cut(ctx, s, "a"); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "backup")
	if err := s.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	restore := func(file, path string) error {
		t.Helper()
		return storage.Restore(ctx, file, "sqlite:"+path, storage.Options{}, func(s *storage.Store) error {
			return s.Restored(ctx, audit.Event{At: time.Now(), Action: audit.DatabaseRestored})
		})
	}

	for _, left := range []string{"ingam.db", "ingam.db-wal", "ingam.db-shm", "ingam.db-journal"} {
		target := t.TempDir()
		path := filepath.Join(target, "ingam.db")
		if err := os.WriteFile(filepath.Join(target, left), []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := files(t, target)
		if err := restore(backup, path); !errors.Is(err, storage.ErrExists) || !strings.Contains(err.Error(), "move "+path) {
			t.Errorf("over %s: %v", left, err)
		}
		if diff := cmp.Diff(before, files(t, target)); diff != "" {
			t.Error(diff)
		}
	}

	// A server in the folder may still have a database open that was moved away.
	target := t.TempDir()
	path := filepath.Join(target, "ingam.db")
	serving := open(t, "sqlite:"+filepath.Join(target, "moved.db"), storage.Options{Serving: true})
	if err := restore(backup, path); !errors.Is(err, storage.ErrServing) {
		t.Errorf("beside a server: %v", err)
	}
	if _, err := storage.Open(ctx, "sqlite:"+filepath.Join(target, "moved.db"), storage.Options{Restoring: true}); !errors.Is(err, storage.ErrServing) {
		t.Errorf("beside a server, in place: %v", err)
	}
	if err := serving.Close(); err != nil {
		t.Fatal(err)
	}
	err := storage.Restore(ctx, backup, "sqlite:"+path, storage.Options{}, func(s *storage.Store) error {
		if _, err := storage.Open(ctx, "sqlite:"+path, storage.Options{Serving: true}); err == nil || !strings.Contains(err.Error(), "is being restored") {
			t.Errorf("a server starts on what is being restored: %v", err)
		}
		return s.Restored(ctx, audit.Event{At: time.Now(), Action: audit.DatabaseRestored})
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := countOf(t, path, "SELECT n FROM change_seq"); n < 1<<32 {
		t.Errorf("it goes on at %d", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: %v", info, err)
	}
	if diff := cmp.Diff([]string{"ingam.db", "moved.db"}, names(files(t, target))); diff != "" {
		t.Error(diff)
	}
	if n := countOf(t, backup, "SELECT n FROM change_seq"); n != 1 {
		t.Errorf("the backup was changed: it is at %d", n)
	}
}

func names(files []string) (all []string) {
	for _, f := range files {
		name, _, _ := strings.Cut(f, " ")
		all = append(all, name)
	}
	return all
}

func TestWhatIsNoBackupIsNotRestored(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	e := storagetest.Engines()[0]
	next, _ := nextMigration(t, e, "UPDATE server SET oldest_schema = 1000;\n")
	newer := open(t, "sqlite:"+filepath.Join(dir, "newer"), storage.Built(storage.Options{}, next))
	if err := newer.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := newer.Close(); err != nil {
		t.Fatal(err)
	}
	running := open(t, "sqlite:"+filepath.Join(dir, "running"), storage.Options{})
	if err := running.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	open(t, "sqlite:"+filepath.Join(dir, "nothing"), storage.Options{}).Close()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("This is no database, however long it may be."), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	for file, want := range map[string]error{
		"newer": storage.ErrSchemaNewer, "running": storage.ErrNoBackup, "nothing": storage.ErrNoBackup,
		"text": storage.ErrNoBackup, "empty": storage.ErrNoBackup, "missing": fs.ErrNotExist,
	} {
		err := storage.Restore(ctx, filepath.Join(dir, file), "sqlite:"+filepath.Join(target, "ingam.db"), storage.Options{}, func(*storage.Store) error { return nil })
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", file, err)
		}
	}
	failing := errors.New("for a test")
	backup := filepath.Join(dir, "backup")
	if err := running.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	if err := storage.Restore(ctx, backup, "sqlite:"+filepath.Join(target, "ingam.db"), storage.Options{}, func(*storage.Store) error { return failing }); !errors.Is(err, failing) {
		t.Error(err)
	}
	if left := files(t, target); len(left) != 0 {
		t.Errorf("what was refused left %v", left)
	}
}

// TestABackupOfAnOlderSchemaIsBroughtUpToDate: a newer version can restore a backup from
// before an upgrade. The backup itself does not change, so the older version can still use
// it.
func TestABackupOfAnOlderSchemaIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	e := storagetest.Engines()[0]
	older := open(t, e.NewURL(t), storage.Built(storage.Options{}, until(t, e, 6)))
	if err := older.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	backup, path := filepath.Join(dir, "backup"), filepath.Join(dir, "ingam.db")
	if err := older.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	if err := storage.Restore(ctx, backup, "sqlite:"+path, storage.Options{}, func(s *storage.Store) error {
		return s.Restored(ctx, audit.Event{At: time.Now(), Action: audit.DatabaseRestored})
	}); err != nil {
		t.Fatal(err)
	}
	if err := storagetest.Open(t, "sqlite:"+path).CheckSchema(ctx); err != nil {
		t.Error(err)
	}
	if n := countOf(t, backup, "SELECT MAX(version_id) FROM goose_db_version"); n != 6 {
		t.Errorf("the backup is at version %d now", n)
	}
}

// TestWhatWasWrittenIsInTheFileOnceItIsQuiet: the write-ahead log is written into the
// database file when nobody writes.
func TestWhatWasWrittenIsInTheFileOnceItIsQuiet(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := storagetest.Engines()[0].NewURL(t)
	path := strings.TrimPrefix(url, "sqlite:")
	s := storagetest.Open(t, url)
	if err := s.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	settled := func() int64 {
		t.Helper()
		if err := s.Settle(ctx); err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(copied, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return countOf(t, copied, "SELECT n FROM change_seq")
	}
	for range 2 {
		if err := s.Settle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for n := int64(1); n <= 3; n++ {
		if err := cut(ctx, s, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
		if got := settled(); got != n-1 {
			t.Errorf("after change %d the file alone has %d at once", n, got)
		}
		for range 2 {
			if got := settled(); got != n {
				t.Errorf("after change %d the file alone has %d", n, got)
			}
		}
	}
	for _, e := range storagetest.Servers() {
		t.Run(e.Name, func(t *testing.T) {
			if err := storagetest.New(t, e).Settle(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
