package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/changes"
)

var postgresDialect = dialect{
	engine:     PostgreSQL,
	takeNumber: takeNumberReturning,
	// Set explicitly, since the server's default may differ.
	tx: &sql.TxOptions{Isolation: sql.LevelReadCommitted},
	tableExists: `SELECT COUNT(*) FROM pg_catalog.pg_tables
	               WHERE schemaname = current_schema() AND tablename = $1`,
	tables:     "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()",
	bytes:      "SELECT pg_database_size(current_database())",
	history:    numbered(historySQL),
	countGuess: countGuessReturning,
	now:        "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS bigint)",
}

func openPostgres(_ context.Context, url string, o Options) (*Store, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		// Not the driver's own error, which repeats the URL with its password.
		return nil, errors.New("the postgres URL cannot be parsed; special characters in the password must be percent-encoded")
	}
	if !strings.Contains(url, "connect_timeout") {
		cfg.ConnectTimeout = 5 * time.Second
	}

	if len(cfg.Fallbacks) > 0 {
		cfg.ValidateConnect = amongHosts(cfg.ValidateConnect, o.history)
	}

	cfg.Tracer = closeReadOnly{}

	// Each connection prepares a statement once and keeps it, which is pgx's default: all
	// other ways at least double the CPU time of PostgreSQL (docs/performance.md).
	between := &pooler{chosen: strings.Contains(url, "default_query_exec_mode")}
	connector := func(dial pgconn.DialFunc, lockWait time.Duration) driver.Connector {
		cfg := cfg.Copy()
		cfg.DialFunc = dial
		return o.Wrap(stdlib.GetConnector(*cfg, stdlib.OptionBeforeConnect(between.beforeConnect),
			stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error { return between.afterConnect(ctx, conn, lockWait) })))
	}
	c, of := connector(dialImpatiently, lockWait), sharesOf(o.MaxOpen)
	p := pool(c, of.requests, o)
	s := &Store{
		dialect: postgresDialect, readPool: p, writePool: p, watchPool: pool(c, of.watching, o),
		connector: connector(dial, migrationLockWait), pooler: between,
	}
	err = s.overPools(func(p *sql.DB) gorm.Dialector { return postgres.New(postgres.Config{Conn: p}) })
	if err != nil {
		return nil, errors.Join(fault("open", err), s.Close())
	}
	return s, nil
}

// amongHosts makes pgx try the next host of the URL if one leads to another history.
// The pool would refuse such a connection too, but only after connecting has ended: a
// former primary that still runs, and comes first in the URL, would get every
// connection.
func amongHosts(validate pgconn.ValidateConnectFunc, history *served) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		if validate != nil {
			if err := validate(ctx, conn); err != nil {
				return err
			}
		}
		_, err := history.judge(ctx, func(ctx context.Context, n changes.Number) (changes.History, error) {
			result := conn.ExecParams(ctx, history.question, [][]byte{strconv.AppendInt(nil, int64(n), 10)}, nil, nil, nil).Read()
			if result.Err != nil {
				return changes.History{}, result.Err
			}
			if len(result.Rows) != 1 {
				return changes.History{}, sql.ErrNoRows
			}
			return scanHistory(func(dest ...any) (err error) {
				for i, d := range dest {
					var value any
					if text := result.Rows[0][i]; text != nil {
						value = string(text)
					}
					err = errors.Join(err, d.(sql.Scanner).Scan(value))
				}
				return err
			})
		})
		return err
	}
}

// closeReadOnly closes connections to a server that has become read-only, as a demoted
// primary does. A new connection finds the new primary; otherwise the pool would keep
// the old ones for half an hour.
type closeReadOnly struct{}

func (closeReadOnly) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (closeReadOnly) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	var pg *pgconn.PgError
	if errors.As(data.Err, &pg) && pg.Code == readOnlySQLTransaction {
		conn.Close(ctx)
	}
}

// readOnlySQLTransaction is the SQLSTATE for a write in a read-only transaction.
const readOnlySQLTransaction = "25006"

// pooler is a connection pooler, such as PgBouncer, between this process and
// PostgreSQL. In its transaction mode, each transaction and each single statement may
// run in another session: a prepared statement is missing, a setting affects the next
// client, and a session lock is never released. In its session mode none of this is so,
// but from here the two modes look alike. So through any pooler nothing is prepared,
// set or locked for longer than a transaction.
type pooler struct {
	// chosen is set if the URL itself says how statements are sent.
	chosen bool
	// there tells whether there is a pooler, as the last connection showed.
	there atomic.Bool
}

// errPooler makes database/sql connect again, now in the way that fits.
var errPooler = fmt.Errorf("%w: there is a pooler now, or none any more", driver.ErrBadConn)

func (p *pooler) beforeConnect(_ context.Context, cfg *pgx.ConnConfig) error {
	if p.there.Load() && !p.chosen {
		cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return nil
}

func (p *pooler) afterConnect(ctx context.Context, conn *pgx.Conn, lockWait time.Duration) error {
	there, err := throughPooler(ctx, conn)
	if err == nil {
		p.there.Store(there)
		switch prepares := conn.Config().DefaultQueryExecMode != pgx.QueryExecModeExec; {
		case !p.chosen && prepares == there:
			err = errPooler
		case !there:
			err = settlePostgres(ctx, conn, lockWait)
		}
	}
	if err != nil {
		return errors.Join(err, conn.Close(ctx))
	}
	return nil
}

// throughPooler reports whether the process that answers is not the one that the
// connection was told at its start: a pooler invents a process number, for finding what
// a client cancels.
func throughPooler(ctx context.Context, conn *pgx.Conn) (bool, error) {
	answers, err := conn.PgConn().Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
	if err != nil {
		return false, err
	}
	if len(answers) != 1 || len(answers[0].Rows) != 1 {
		return false, errors.New("PostgreSQL does not say which process answers")
	}
	return string(answers[0].Rows[0][0]) != strconv.FormatUint(uint64(conn.PgConn().PID()), 10), nil
}

// Pooled reports whether there is a pooler between this process and the database.
func (s *Store) Pooled() bool { return s.pooler != nil && s.pooler.there.Load() }

// settled sets the limits of settlePostgres at the beginning of the transaction work.
// It is for connections through a pooler, whose sessions are not ours to change.
func (s *Store) settled(work func(tx *gorm.DB) error) func(tx *gorm.DB) error {
	if !s.Pooled() {
		return work
	}
	return func(tx *gorm.DB) error {
		err := tx.Exec("SELECT set_config('lock_timeout', ?, true), set_config('idle_in_transaction_session_timeout', ?, true)", postgresTime(lockWait), postgresTime(idleInTransaction)).Error
		if err != nil {
			return err
		}
		return work(tx)
	}
}

// idleInTransaction is how long a transaction may be idle.
const idleInTransaction = 30 * time.Second

// postgresTime formats a duration as PostgreSQL's settings expect it.
func postgresTime(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// settlePostgres bounds how long a client machine that disappeared in the middle of a
// change can block everyone else.
func settlePostgres(ctx context.Context, conn *pgx.Conn, lockWait time.Duration) error {
	_, err := conn.PgConn().Exec(ctx, `
		SET lock_timeout = '`+postgresTime(lockWait)+`';
		SET idle_in_transaction_session_timeout = '`+postgresTime(idleInTransaction)+`';
		SET timezone = 'UTC'`).ReadAll()
	return err
}
