package storage

import (
	"database/sql"
	"database/sql/driver"
	"io/fs"
)

// Wrapped returns o with something put around the driver.
func Wrapped(o Options, wrap func(driver.Connector) driver.Connector) Options {
	o.wrap = wrap
	return o
}

// Built returns o for a binary that was built with other migrations.
func Built(o Options, schema fs.FS) Options {
	o.schema = schema
	return o
}

// Pool is for statements that no operation of a Store makes.
func Pool(s *Store) *sql.DB { return s.writePool }

// ReadPool is Pool for reading.
func ReadPool(s *Store) *sql.DB { return s.readPool }

// Rows are the row structs of all tables, by table.
func Rows() map[string]any {
	rows := map[string]any{}
	for _, r := range []interface{ TableName() string }{
		seqRow{}, changeRow{}, serverRow{}, apiRow{}, clientRow{}, audienceRow{}, secretRow{},
		revokedTokenRow{}, keyRow{}, auditRow{},
	} {
		rows[r.TableName()] = r
	}
	return rows
}

// MySQLConfig shows what a mysql:// URL becomes.
var MySQLConfig = mysqlConfig
