package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"

	"github.com/ingam/ingam/authz/changes"
)

var postgresDialect = dialect{
	engine:     PostgreSQL,
	takeNumber: takeNumberReturning,
	// The server's default may be another.
	tx: &sql.TxOptions{Isolation: sql.LevelReadCommitted},
	tableExists: `SELECT COUNT(*) FROM pg_catalog.pg_tables
	               WHERE schemaname = current_schema() AND tablename = $1`,
	history:         fmt.Sprintf(historySQL, "$1"),
	standing:        fmt.Sprintf(standingSQL("$1", "$2", "$3", "$4"), ""),
	standingOfGrant: fmt.Sprintf(standingSQL("$1", "$2", "$3", "$4"), fmt.Sprintf(grantStanding, "$5", "$6")),
	countGuess:      countGuessReturning,
	now:             "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS bigint)",
}

func openPostgres(_ context.Context, url string, o Options) (*Store, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		// The driver's own error repeats the URL.
		return nil, errors.New("the postgres URL cannot be parsed; special characters in the password must be percent-encoded")
	}
	if !strings.Contains(url, "connect_timeout") {
		cfg.ConnectTimeout = 5 * time.Second
	}

	if len(cfg.Fallbacks) > 0 {
		cfg.ValidateConnect = amongHosts(cfg.ValidateConnect, o.history)
	}

	cfg.Tracer = closeReadOnly{}

	connector := func(dial pgconn.DialFunc) driver.Connector {
		cfg := cfg.Copy()
		cfg.DialFunc = dial
		return o.Wrap(stdlib.GetConnector(*cfg, stdlib.OptionAfterConnect(settlePostgres)))
	}
	p := pool(connector(dialImpatiently), o)
	s := &Store{dialect: postgresDialect, connector: connector(dial), readPool: p, writePool: p}
	if s.write, err = overPool(postgres.New(postgres.Config{Conn: p})); err != nil {
		return nil, errors.Join(fault("open", err), s.Close())
	}
	s.read = s.write
	return s, nil
}

// amongHosts has the next host of the URL tried where one leads to another history. All
// connections are judged; but one that is refused here is not the end of connecting: a
// former primary that was not fenced, and comes first in the URL, would take all of them.
func amongHosts(validate pgconn.ValidateConnectFunc, history *served) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		if validate != nil {
			if err := validate(ctx, conn); err != nil {
				return err
			}
		}
		return history.judge(ctx, func(ctx context.Context, n changes.Number) (changes.History, error) {
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
	}
}

// closeReadOnly closes connections to a server that has become read-only, as a
// primary does that was demoted: whoever leads now is found by connecting anew, and
// the pool would keep these for half an hour.
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

// readOnlySQLTransaction is the SQLSTATE of a write where none may be.
const readOnlySQLTransaction = "25006"

// settlePostgres bounds how long a machine that vanished in the middle of a
// change can hold up everyone else's. Sent after connecting and not with it, as
// a pooler such as PgBouncer refuses start-up parameters that it does not know.
func settlePostgres(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.PgConn().Exec(ctx, `
		SET lock_timeout = '10s';
		SET idle_in_transaction_session_timeout = '30s';
		SET timezone = 'UTC'`).ReadAll()
	return err
}
