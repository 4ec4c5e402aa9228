package storage

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/grants"
	"gorm.io/gorm"
)

// Dial opens connections to database servers.
var Dial = dial

// Impatient returns conn with a limit on how long the server may be silent.
func Impatient(conn net.Conn, silence time.Duration) net.Conn {
	return &impatient{Conn: conn, silence: silence}
}

// Built returns o for a binary with other migrations.
func Built(o Options, schema fs.FS) Options {
	o.schema = schema
	return o
}

// Proven returns o for a Store in which one poll proves, for the time d, which history must
// be served.
func Proven(o Options, d time.Duration) Options {
	o.provenFor = d
	return o
}

// Pool is for statements that no method of a Store runs.
func Pool(s *Store) *sql.DB { return s.writePool }

// ReadPool is Pool for statements that read.
func ReadPool(s *Store) *sql.DB { return s.readPool }

// SortInGoesOf makes listings sort n keys at a time.
func SortInGoesOf(s *Store, n int) { s.keysAtOnce = n }

// Rows returns the row structs of all tables, by table name.
func Rows() map[string]any {
	rows := map[string]any{}
	for _, r := range []interface{ TableName() string }{
		seqRow{}, appliedRow{}, changeRow{}, serverRow{}, apiRow{}, apiSecretRow{}, clientRow{}, audienceRow{}, introspectsRow{}, secretRow{},
		revokedTokenRow{}, keyRow{}, auditRow{}, headRow{}, leaseRow{},
		userRow{}, linkRow{}, sessionRow{}, consentRow{}, codeRow{}, grantRow{}, guessRow{},
		statusListRow{}, statusBlockRow{}, listenerRow{},
	} {
		rows[r.TableName()] = r
	}
	return rows
}

// MySQLConfig converts a mysql:// URL to the driver's configuration.
var MySQLConfig = mysqlConfig

// SettleMySQL sets up a new connection to a MySQL server.
var SettleMySQL = settleMySQL

// Waiting is how many writes to SQLite wait for the commit that runs.
func Waiting(s *Store) int {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	return len(s.groups.waiting)
}

// Closing reports whether writes to SQLite are taken no more.
func Closing(s *Store) bool {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	return s.groups.closed
}

// Write runs f as a write that may share a transaction.
func Write(ctx context.Context, s *Store, f func() error) error {
	return s.statement(ctx, func(*gorm.DB) error { return f() })
}

// Explain returns how an engine would run a statement of a search.
func Explain(ctx context.Context, s *Store, statement string, q grants.Query) string {
	_, _, args := s.inOrder(q, q.After)
	explain := map[Engine]string{SQLite: "EXPLAIN QUERY PLAN ", PostgreSQL: "EXPLAIN ", MySQL: "EXPLAIN FORMAT=JSON "}[s.Engine()]
	rows, err := s.readPool.QueryContext(ctx, explain+statement, append(args, q.Limit+1)...)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	var plan strings.Builder
	for rows.Next() {
		texts := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range texts {
			into[i] = &texts[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err.Error()
		}
		fmt.Fprintln(&plan, texts[len(texts)-1].String)
	}
	return plan.String()
}
