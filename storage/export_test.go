package storage

import (
	"database/sql"
	"io/fs"
	"net"
	"time"
)

// Dial is how servers are connected to.
var Dial = dial

// Impatient returns conn with a bound on its silence.
func Impatient(conn net.Conn, silence time.Duration) net.Conn {
	return &impatient{Conn: conn, silence: silence}
}

// Built returns o for a binary that was built with other migrations.
func Built(o Options, schema fs.FS) Options {
	o.schema = schema
	return o
}

// Proven returns o for a Store by which a poll proves for that long which history is
// the one to serve.
func Proven(o Options, d time.Duration) Options {
	o.provenFor = d
	return o
}

// Pool is for statements that no operation of a Store makes.
func Pool(s *Store) *sql.DB { return s.writePool }

// ReadPool is Pool for reading.
func ReadPool(s *Store) *sql.DB { return s.readPool }

// SortInGoesOf lets listings sort so many keys at once.
func SortInGoesOf(s *Store, n int) { s.keysAtOnce = n }

// Rows are the row structs of all tables, by table.
func Rows() map[string]any {
	rows := map[string]any{}
	for _, r := range []interface{ TableName() string }{
		seqRow{}, changeRow{}, serverRow{}, apiRow{}, clientRow{}, audienceRow{}, secretRow{},
		revokedTokenRow{}, keyRow{}, auditRow{},
		userRow{}, sessionRow{}, consentRow{}, codeRow{}, grantRow{}, guessRow{},
		statusListRow{}, statusBlockRow{}, listenerRow{},
	} {
		rows[r.TableName()] = r
	}
	return rows
}

// MySQLConfig shows what a mysql:// URL becomes.
var MySQLConfig = mysqlConfig

// SettleMySQL is what is done to each new connection to a MySQL server.
var SettleMySQL = settleMySQL
