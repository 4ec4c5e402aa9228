package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
	"gorm.io/gorm"
)

// Fault says that the database did not do what it was asked, or did not say whether it
// did. Its message names the operation and the kind of failure. Unlike the driver's
// message it never repeats a parameter of the statement. The driver's error is
// available by Unwrap, for errors.Is and errors.As; do not print it.
type Fault struct {
	op     string
	detail string
	cause  error
}

// fault wraps a driver's error in a Fault; nil stays nil.
func fault(op string, err error) error {
	if err == nil {
		return nil
	}
	var already *Fault
	if errors.As(err, &already) {
		return err
	}
	return &Fault{op: op, detail: describe(err), cause: err}
}

func (f *Fault) Error() string { return fmt.Sprintf("storage: %s: %s", f.op, f.detail) }

// Unwrap returns the error of the driver or of the context.
func (f *Fault) Unwrap() error { return f.cause }

// Unavailable tells package web, which does not import this one, that the answer is a
// 503.
func (f *Fault) Unavailable() bool { return true }

// refusal marks an error that an interface names, so that it survives the rollback of a
// transaction and does not become a Fault.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func refuse(err error) error { return refusal{err} }

// Refusal is an error that an interface names, together with the operation and the
// subject of the operation.
type Refusal struct {
	op, subject string
	why         error
}

func (r *Refusal) Error() string {
	if r.subject == "" {
		return fmt.Sprintf("%s: %v", r.op, r.why)
	}
	return fmt.Sprintf("%s %q: %v", r.op, r.subject, r.why)
}

// Unwrap returns the interface's error, for callers that name the subject themselves.
func (r *Refusal) Unwrap() error { return r.why }

// Why is Unwrap for package web, which does not import this one.
func (r *Refusal) Why() error { return r.why }

// answer turns the error of an operation into a Refusal, which names the subject, or
// into a Fault, which does not.
func answer(op, subject string, err error) error {
	var r refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return &Refusal{op, subject, r.error}
	default:
		return fault(op, err)
	}
}

// describe says what kind of error a driver returned. It repeats the driver's message
// only where that cannot contain a parameter.
func describe(err error) string {
	var (
		connecting *pgconn.ConnectError
		pg         *pgconn.PgError
		my         *mysqldriver.MySQLError
		lite       sqlite3.Error
		network    *net.OpError
		other      otherHistory
		behind     unsynced
	)
	switch {
	case errors.As(err, &other):
		return other.Error()
	case errors.As(err, &behind):
		return behind.Error()
	case errors.As(err, &connecting):
		return strings.Join(strings.Fields(connecting.Error()), " ")
	case errors.As(err, &pg):
		return describePostgres(pg)
	case errors.As(err, &my):
		return describeMySQL(my)
	case errors.As(err, &lite):
		// SQLite names tables and columns, never values.
		return "SQLite: " + lite.Error()
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timed out"
	case errors.As(err, &network):
		return network.Error()
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysqldriver.ErrInvalidConn),
		errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone), errors.Is(err, pgconn.ErrConnClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was lost"
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return "duplicate key"
	case errors.Is(err, gorm.ErrForeignKeyViolated):
		return "foreign key violated"
	case errors.Is(err, sql.ErrNoRows):
		return "a row that must be there is missing"
	default:
		return fmt.Sprintf("%T", err)
	}
}

func describePostgres(err *pgconn.PgError) string {
	switch err.Code {
	case "26000", "42P05":
		return "PostgreSQL: a statement was prepared in another session, or is still prepared in this one (SQLSTATE " + err.Code +
			"): a pooler in transaction mode needs default_query_exec_mode=exec in the database URL"
	}
	if len(err.Code) == 5 {
		switch err.Code[:2] {
		// Data exceptions and violated constraints quote values.
		case "08", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58", "XX":
			return fmt.Sprintf("PostgreSQL: %s (SQLSTATE %s)", err.Message, err.Code)
		}
	}
	return "PostgreSQL: SQLSTATE " + err.Code
}

func describeMySQL(err *mysqldriver.MySQLError) string {
	switch err.Number {
	// In this order of kinds: access; a node that is not part of its cluster; missing
	// databases, tables, columns and privileges; too many connections; shutdown;
	// read-only; lock wait; deadlock.
	case 1040, 1044, 1045, unprepared, 1049, 1053, 1054, 1142, 1143, 1146, 1205, 1213, 1227, 1290, 1792, 1836, 3159:
		return fmt.Sprintf("MySQL: %s (error %d)", err.Message, err.Number)
	}
	return fmt.Sprintf("MySQL: error %d", err.Number)
}

// isConflict reports whether the engine rolled back a transaction, or a single
// statement, only because of concurrent transactions. Nothing of it was stored, so it
// can be tried again. Galera also does this at the commit, where the node that
// committed first wins. A lost connection is no conflict: it may have been lost after
// the commit.
func isConflict(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "40001", "40P01": // serialization, deadlock
			return true
		}
	}
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case 1020, 1213: // changed since read, deadlock
			return true
		}
	}
	return false
}

// isLockTimeout reports whether the engine gave up waiting for a lock. Nothing was
// stored.
func isLockTimeout(err error) bool {
	var pg *pgconn.PgError
	var my *mysqldriver.MySQLError
	return errors.As(err, &pg) && pg.Code == "55P03" || errors.As(err, &my) && my.Number == 1205
}

// unprepared is the number of MySQL's error for an unknown command. A node that is not
// part of its Galera cluster answers every statement with it.
const unprepared = 1047

// isUnprepared reports whether a node is not part of its cluster.
func isUnprepared(err error) bool {
	var my *mysqldriver.MySQLError
	return errors.As(err, &my) && my.Number == unprepared
}

// isUndone reports whether a single statement certainly did nothing: the engine said
// that it failed, or never received it. If a connection is lost while waiting for the
// answer, the statement may have run.
func isUndone(err error) bool {
	var (
		pg         *pgconn.PgError
		my         *mysqldriver.MySQLError
		lite       sqlite3.Error
		connecting *pgconn.ConnectError
		network    *net.OpError
	)
	return errors.As(err, &pg) || errors.As(err, &my) || errors.As(err, &lite) || errors.As(err, &connecting) ||
		errors.As(err, &network) && network.Op == "dial" || errors.Is(err, driver.ErrBadConn)
}

func isBusy(err error) bool {
	var lite sqlite3.Error
	return errors.As(err, &lite) && (lite.Code == sqlite3.ErrBusy || lite.Code == sqlite3.ErrLocked)
}
