package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// How long to wait while another process, such as the command line beside the server,
// is writing. SQLite's own wait does not end with the context, so it is set short and
// repeated here.
const (
	busyTimeout = 10 * time.Second
	busyOnce    = 100 * time.Millisecond
)

var sqliteDialect = dialect{
	engine:      SQLite,
	takeNumber:  takeNumberReturning,
	ping:        "PRAGMA schema_version",
	tableExists: "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
	tables:      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
	bytes:       "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
	history:     historySQL,
	countGuess:  countGuessReturning,
	now:         "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
}

func openSQLite(ctx context.Context, url string, o Options) (*Store, error) {
	path := strings.TrimPrefix(url, "sqlite:")
	var held *os.File
	if o.Serving || o.Restoring {
		// Lock the folder before creating a file, because a restore may be about to put
		// one there.
		var err error
		held, err = holdFolder(path, o.Restoring)
		if errors.Is(err, ErrServing) || errors.Is(err, errRestoring) {
			return nil, fmt.Errorf("the database %s: %w", path, err)
		}
	}
	if err := findSQLite(path, !o.Existing); err != nil {
		if held != nil {
			held.Close()
		}
		return nil, err
	}

	// mode=rw: if the file is removed later, connecting fails instead of creating an
	// empty database under a running server.
	shared := sqliteURI(path) + "?mode=rw&_stmt_cache_size=64"
	patient := fmt.Sprintf("&_busy_timeout=%d", busyTimeout.Milliseconds())
	brief := fmt.Sprintf("&_busy_timeout=%d", busyOnce.Milliseconds())
	// Write-ahead logging lets readers read during a write. FULL makes a commit survive
	// a power cut. A transaction takes the write lock when it begins (immediate),
	// because one that reads first and then writes fails if another wrote in between.
	// Deleted data is overwritten, so that destroyed private keys are gone from the
	// file.
	writer := shared + "&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_txlock=immediate&_secure_delete=on"
	reader := shared + "&_query_only=on"

	// One connection: SQLite has one writer anyway. Waiting for it in the pool is fair
	// and ends with the context; waiting in SQLite is neither.
	read, of := o.Wrap(sqliteConnector(reader+patient)), sharesOf(o.MaxOpen)
	s := &Store{
		dialect:   sqliteDialect,
		file:      path,
		reader:    reader + patient,
		held:      held,
		connector: o.Wrap(sqliteConnector(writer + patient)),
		writePool: pool(o.Wrap(sqliteConnector(writer+brief)), 1, o),
		readPool:  pool(read, of.requests, o),
		watchPool: pool(read, of.watching, o),
	}
	// The first connection changes the journal mode of the file; others may find it
	// busy meanwhile.
	err := again(ctx, func() error { return s.writePool.PingContext(ctx) })
	if err == nil {
		err = s.overPools(func(p *sql.DB) gorm.Dialector { return sqlite.New(sqlite.Config{Conn: p}) })
	}
	if err != nil {
		return nil, errors.Join(s.fault("open "+path, err), s.Close())
	}
	return s, nil
}

// Settle copies SQLite's write-ahead log into the database file if nothing has been
// written since its last call. A plain copy of the file is then more likely to be
// complete. It blocks nobody. It is not safe for concurrent use, and does nothing on
// other engines.
func (s *Store) Settle(ctx context.Context) error {
	if s.file == "" {
		return nil
	}
	info, err := os.Stat(s.file + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if now := (logState{info.ModTime(), info.Size()}); now != s.logSeen {
		s.logSeen, s.logInFile = now, now.size == 0
		return nil
	}
	if s.logInFile {
		return nil
	}
	// A connection of its own, because the pool's only one is for writers.
	p := pool(s.connector, 1, Options{MaxIdle: 1, MaxLifetime: time.Hour})
	defer p.Close()
	var busy, frames, done int64
	if err := p.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &done); err != nil {
		return fault("settle the log", err)
	}
	s.logInFile = busy == 0 && frames == done
	return nil
}

// logState is what shows whether SQLite's write-ahead log has changed.
type logState struct {
	at   time.Time
	size int64
}

// fault is the function of that name, and also names the file or folder that cannot be
// written if that is the cause.
func (s *Store) fault(op string, err error) error {
	var lite sqlite3.Error
	if s.file == "" || !errors.As(err, &lite) {
		return fault(op, err)
	}
	switch lite.Code {
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen:
		if why := unwritable(s.file); why != "" {
			return &Fault{op: op, detail: describe(err) + ": " + why, cause: err}
		}
	}
	return fault(op, err)
}

// unwritable says why SQLite cannot write to a file, or is empty if it can. SQLite also
// has to write to the folder, for the files that it keeps beside the database.
func unwritable(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if err := writeAccess(path); err != nil {
		return fmt.Sprintf("the file %s cannot be written: %v", path, err)
	}
	folder := filepath.Dir(path)
	if err := writeAccess(folder); err != nil {
		return fmt.Sprintf("the folder %s cannot be written, and SQLite keeps files beside the database: %v", folder, err)
	}
	return ""
}

// sqliteConnector opens connections to the database that a SQLite URI names.
type sqliteConnector string

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open(string(c))
}

func (sqliteConnector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

// sqliteURI escapes characters that have a meaning in a URI (sqlite.org/uri.html).
func sqliteURI(path string) string {
	path = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	if strings.HasPrefix(path, "//") {
		// Otherwise SQLite would take the first folder for a host.
		path = "//" + path
	}
	return "file:" + path
}

// creating prevents that one Open closes a database file which another Open in this
// process uses already. POSIX drops all locks of a process on a file when the process
// closes any descriptor of it.
var creating sync.Mutex

// findSQLite looks for the database file and, if create is set, creates it where it is
// missing. Only its owner can read it, because it contains sealed keys and hashes.
// SQLite gives the files beside it the same mode.
func findSQLite(path string, create bool) error {
	switch {
	case path == "" || strings.HasPrefix(path, ":memory:"):
		return errors.New("the database URL must name a file: sqlite:PATH")
	case strings.ContainsRune(path, 0):
		return errors.New("the path of the database contains a NUL byte")
	}
	creating.Lock()
	defer creating.Unlock()

	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("the database %s is a folder, not a file", path)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the database file: %w", err)
	case !create:
		absolute, err := filepath.Abs(path)
		if err != nil {
			return fmt.Errorf("the database file: %w", err)
		}
		return fmt.Errorf("%w at %s; the setting database must name the one that the server uses", ErrNoDatabase, absolute)
	}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the folder of the database, %s, does not exist; create it first", filepath.Dir(path))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process has created it
	}
	if err != nil {
		return fmt.Errorf("creating the database file: %w", err)
	}
	return f.Close()
}

// takeNumberReturning is takeNumber for the engines that have RETURNING.
func takeNumberReturning(tx *gorm.DB, step int64) (n int64, err error) {
	err = tx.Raw("UPDATE change_seq SET n = n + ? WHERE id = 1 RETURNING n", step).Scan(&n).Error
	return n, err
}
