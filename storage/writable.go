package storage

import (
	"context"
	"errors"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
)

// TryWriting writes one small row, to find out whether anything can be written. A
// database on a full disk, a read-only one, or one that another process has locked can
// still be read, so reading would not show it. The row is always the same: a guess that
// counts for nobody, which Purge deletes when this process is gone. TryWriting does not
// wait behind requests that write, and is not affected when those wait for locks.
func (s *Store) TryWriting(ctx context.Context) error {
	db := s.watching
	if s.writePool != s.readPool {
		db = s.write // SQLite's only connection that can write
	}
	var busy error
	err := again(ctx, func() error {
		now := ms(time.Now())
		_, err := s.dialect.countGuess(db.WithContext(ctx), s.ownGuess, now, now)
		if isBusy(err) {
			busy = err
		}
		return err
	})
	if err != nil {
		// Report what it waited for, and not only that the last try ran out of time.
		err = errors.Join(err, busy)
	}
	return s.fault("write", err)
}

// WhyUnwritable says in a few words why a database cannot be written to, given the
// error of TryWriting. The words contain no names.
func WhyUnwritable(err error) string {
	var (
		lite sqlite3.Error
		pg   *pgconn.PgError
		my   *mysqldriver.MySQLError
	)
	const readOnly, full, locked = "it is read-only", "its disk is full", "it is locked"
	switch {
	case errors.As(err, &lite):
		switch lite.Code {
		case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen:
			return readOnly
		case sqlite3.ErrFull:
			return full
		case sqlite3.ErrBusy, sqlite3.ErrLocked:
			return locked
		}
	case errors.As(err, &pg):
		switch pg.Code {
		case readOnlySQLTransaction, "42501": // 42501: no permission to write
			return readOnly
		case "53100":
			return full
		case "55P03":
			return locked
		}
	case errors.As(err, &my):
		switch my.Number {
		case 1142, 1290, 1792, 1836: // 1142: no permission to write
			return readOnly
		case 1021, 1114:
			return full
		case 1205:
			return locked
		}
	case errors.Is(err, context.DeadlineExceeded):
		return "it does not answer in time"
	}
	return "it fails"
}
