package storage

import (
	"context"
	"errors"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
)

// TryWriting writes a little, to find out whether anything can be written: a database
// on a full disk, a read-only one or one that another process holds locked is read as
// well as ever. It writes one row of its own, the same one each time: a guess that is
// counted for nobody, which Purge deletes when this process is gone. It does not wait
// behind requests that write, and whether these wait for locks of their own says
// nothing here.
func (s *Store) TryWriting(ctx context.Context) error {
	db := s.watching
	if s.writePool != s.readPool {
		db = s.write // the one connection that can
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
		// Not what the last try was when time was up, but what it waited for.
		err = errors.Join(err, busy)
	}
	return s.fault("write", err)
}

// WhyUnwritable says in a few words, which name nothing, why a database could not be written
// to, given the error of TryWriting.
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
		case readOnlySQLTransaction, "42501": // or it may not write
			return readOnly
		case "53100":
			return full
		case "55P03":
			return locked
		}
	case errors.As(err, &my):
		switch my.Number {
		case 1142, 1290, 1792, 1836: // the first one: it may not write
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
