package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// ErrExists says that a backup, or a restored database, would overwrite an existing
// file.
var ErrExists = errors.New("there is a file already")

// ErrNoBackup says that a file is not a backup that can be restored.
var ErrNoBackup = errors.New("it cannot be restored")

// errRestoring says that a database is being restored in the same folder.
var errRestoring = errors.New("a database is being restored in its folder: wait until that is done")

// ErrServing says that a server is running on the database, or on another one in its
// folder.
var ErrServing = errors.New("a server is running on it, or on another database in its folder: stop it first")

// pagesAtOnce is how many pages of a database are copied before Backup checks whether
// its context has ended.
const pagesAtOnce = 4096

// Backup copies this database, which must be on SQLite, into a new file that only its
// owner can read. Servers go on reading and writing meanwhile: the copy is the database
// as of one moment, without anything that is written later. If Backup returns nil, the
// file exists, was checked, and is on the disk; otherwise no file is left. Returns
// ErrExists and ErrNoSchema.
func (s *Store) Backup(ctx context.Context, out string) error {
	const op = "back up"
	if s.Engine() != SQLite {
		return errors.New("only a SQLite database is backed up into a file")
	}
	if v, err := s.version(ctx); err != nil {
		return fault(op, err)
	} else if v == 0 {
		return ErrNoSchema
	}
	return writeWhole(out, func(to string) error {
		// A connection of its own, so that nothing else runs on it meanwhile.
		source := sql.OpenDB(sqliteConnector(s.reader))
		defer source.Close()
		from, err := source.Conn(ctx)
		if err != nil {
			return fault(op, err)
		}
		defer from.Close()
		// A read transaction sees what was committed before its first statement. In
		// write-ahead mode it blocks no writer.
		if _, err := from.ExecContext(ctx, "BEGIN"); err != nil {
			return fault(op, err)
		}
		want, err := inventory(ctx, from)
		if err != nil {
			return fault(op, err)
		}
		// No journal: if copying fails, the copy is deleted anyway.
		copied := sql.OpenDB(sqliteConnector(sqliteURI(to) + "?mode=rw&_journal_mode=OFF&_synchronous=OFF"))
		defer copied.Close()
		into, err := copied.Conn(ctx)
		if err != nil {
			return fault(op, err)
		}
		defer into.Close()
		if err := copyPages(ctx, into, from); err != nil {
			return fault(op, err)
		}
		// The header of the copy says write-ahead mode, as the source's does. A file in
		// that mode needs two more files beside it, even to be read.
		if _, err := into.ExecContext(ctx, "PRAGMA journal_mode = DELETE"); err != nil {
			return fault(op, err)
		}
		if err := whole(ctx, into); err != nil {
			return err
		}
		got, err := inventory(ctx, into)
		if err != nil {
			return fault(op, err)
		}
		if got != want {
			return errors.New("the copy does not have all that the database had: is something else writing to the copy?")
		}
		return errors.Join(fault(op, into.Close()), fault(op, copied.Close()))
	})
}

// copyPages copies the database of one connection, which is in a transaction, into the
// database of another.
func copyPages(ctx context.Context, into, from *sql.Conn) error {
	return into.Raw(func(to any) error {
		return from.Raw(func(of any) error {
			b, err := to.(*sqlite3.SQLiteConn).Backup("main", of.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			for done := false; !done && err == nil; {
				if err = ctx.Err(); err == nil {
					done, err = b.Step(pagesAtOnce)
				}
			}
			return errors.Join(err, b.Finish())
		})
	})
}

// inventory describes what a SQLite database contains: the number of its last change,
// and how many rows each table has. Backup compares the inventories of source and copy.
func inventory(ctx context.Context, c *sql.Conn) (string, error) {
	rows, err := c.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var counts []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return "", err
		}
		name = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		counts = append(counts, "(SELECT COUNT(*) FROM "+name+")")
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	var has string
	err = c.QueryRowContext(ctx, "SELECT concat_ws(' ', (SELECT n FROM change_seq), "+strings.Join(counts, ", ")+")").Scan(&has)
	return has, err
}

// whole runs SQLite's own integrity check.
func whole(ctx context.Context, c interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) error {
	var said string
	if err := c.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&said); err != nil {
		return fault("check the file", err)
	}
	if said != "ok" {
		return fmt.Errorf("SQLite finds the file damaged: %s", said)
	}
	return nil
}

// Restore makes a new SQLite database at a URL from a file that Backup made. prepare is
// called on the new database before it is moved to its place. A failure leaves nothing
// behind. Returns ErrNoBackup, ErrExists and ErrServing.
func Restore(ctx context.Context, file, url string, o Options, prepare func(*Store) error) error {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok {
		return errors.New("only a SQLite database is restored from a file")
	}
	held, err := holdFolder(path, true)
	if err != nil {
		return err
	}
	defer held.Close()
	// SQLite would take the write-ahead log of a former database for the log of the new
	// one.
	for _, there := range []string{path, path + "-wal", path + "-shm", path + "-journal"} {
		if _, err := os.Lstat(there); err == nil {
			return fmt.Errorf("%w at %s; move %[3]s, %[3]s-wal and %[3]s-shm away, whichever there are, all together", ErrExists, there, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := isBackup(file); err != nil {
		return err
	}
	return writeWhole(path, func(to string) (err error) {
		if err := copyFile(ctx, file, to); err != nil {
			return err
		}
		o.Existing = true
		s, err := Open(ctx, "sqlite:"+to, o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		if err := whole(ctx, s.readPool); err != nil {
			return err
		}
		if v, err := s.version(ctx); err != nil {
			return fault("read the schema", err)
		} else if v == 0 {
			return fmt.Errorf("%w: %s is not a database of Ingam", ErrNoBackup, file)
		}
		if err := s.Migrate(ctx); err != nil {
			return err
		}
		return prepare(s)
	})
}

// isBackup refuses a file that is not a SQLite database, or only part of one.
func isBackup(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	header := make([]byte, 16)
	if _, err := io.ReadFull(f, header); err != nil || string(header) != "SQLite format 3\x00" {
		return fmt.Errorf("%w: %s is not a SQLite database", ErrNoBackup, file)
	}
	for _, beside := range []string{file + "-wal", file + "-journal"} {
		if info, err := os.Stat(beside); err == nil && info.Size() > 0 {
			return fmt.Errorf("%w: %s is a part of it; make one file of both with `ingam backup`, its --database being sqlite:%s, and restore that", ErrNoBackup, beside, file)
		}
	}
	return nil
}

// IsPlainCopy reports whether a file is a copy of a SQLite database that was not made
// by Backup. Such a copy lacks what was still in the write-ahead log beside the
// database, and may even mix the states of two moments.
func IsPlainCopy(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	// Bytes 18 and 19 are 2 in write-ahead mode (sqlite.org/fileformat2.html).
	modes := make([]byte, 2)
	if _, err := f.ReadAt(modes, 18); err != nil && err != io.EOF {
		return false, err
	}
	return modes[0] == 2, nil
}

func copyFile(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for {
		n, err := io.CopyN(out, in, 16<<20)
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err == io.EOF && n < 16<<20:
			return out.Close()
		case err != nil:
			return errors.Join(err, out.Close())
		}
	}
}

// writeWhole creates a file with all of its content or not at all. fill writes to a
// temporary file in the same folder, which only its owner can read; once its content is
// on the disk, the file gets its real name. Returns ErrExists.
func writeWhole(path string, fill func(to string) error) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w at %s", ErrExists, path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	to := f.Name()
	defer func() {
		for _, beside := range []string{"", "-wal", "-shm", "-journal"} {
			os.Remove(to + beside)
		}
	}()
	if err := f.Close(); err != nil {
		return err
	}
	if err := fill(to); err != nil {
		return err
	}
	if info, err := os.Stat(to + "-wal"); err == nil && info.Size() > 0 {
		return errors.New("not all of it is in the file: is something else reading it?")
	}
	if err := toDisk(to); err != nil {
		return err
	}
	// Unlike a rename, a link never replaces an existing file.
	if err := os.Link(to, path); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w at %s", ErrExists, path)
	} else if err != nil {
		// Not every file system has links.
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%w at %s", ErrExists, path)
		}
		if err := os.Rename(to, path); err != nil {
			return err
		}
	}
	// Some file systems, such as network ones, cannot sync a folder.
	if err := toDisk(filepath.Dir(path)); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		os.Remove(path)
		return err
	}
	return nil
}

// toDisk syncs a file, or the names in a folder, so that they survive a power cut.
func toDisk(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
