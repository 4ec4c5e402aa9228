package storage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestTryingToWriteWritesOneRowOfItsOwn(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := storagetest.Migrated(t, e)
		s, other := storagetest.Open(t, url), storagetest.Open(t, url)
		before := storagetest.Rows(t, url)
		for range 3 {
			for _, s := range []*storage.Store{s, other} {
				if err := s.TryWriting(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := storagetest.Rows(t, url) - before; n != 2 {
			t.Errorf("two processes wrote %d rows", n)
		}
		// After the processes have ended, Purge deletes the rows.
		if _, err := s.Purge(t.Context(), time.Now().Add(48*time.Hour), 100, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if n := storagetest.Rows(t, url) - before; n != 0 {
			t.Errorf("%d rows stay", n)
		}
	})
}

func TestWhyNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	const readOnly, full, locked = "it is read-only", "its disk is full", "it is locked"
	for _, c := range []struct {
		err  error
		want string
	}{
		{sqlite3.Error{Code: sqlite3.ErrReadonly}, readOnly},
		{sqlite3.Error{Code: sqlite3.ErrFull}, full},
		{errors.Join(context.DeadlineExceeded, sqlite3.Error{Code: sqlite3.ErrBusy}), locked},
		{sqlite3.Error{Code: sqlite3.ErrIoErr}, "it fails"},
		{&pgconn.PgError{Code: "25006"}, readOnly},
		{&pgconn.PgError{Code: "42501"}, readOnly},
		{&pgconn.PgError{Code: "53100"}, full},
		{&pgconn.PgError{Code: "55P03"}, locked},
		{&mysqldriver.MySQLError{Number: 1290}, readOnly},
		{&mysqldriver.MySQLError{Number: 1142}, readOnly},
		{&mysqldriver.MySQLError{Number: 1114}, full},
		{&mysqldriver.MySQLError{Number: 1205}, locked},
		{fmt.Errorf("with its context: %w", context.DeadlineExceeded), "it does not answer in time"},
		{errors.New("s3cret"), "it fails"},
	} {
		if got := storage.WhyUnwritable(c.err); got != c.want {
			t.Errorf("%v: %s, not %s", c.err, got, c.want)
		}
	}
}
