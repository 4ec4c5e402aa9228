package storage_test

import (
	"context"
	"database/sql/driver"
	"io"
	"strings"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/ingam/ingam/storage"
)

// node is a connection to a server with some variables. It may refuse to set them.
type node struct {
	driver.Conn
	variables [][2]string
	refuses   error
	set       []string
}

func (n *node) ExecContext(_ context.Context, q string, _ []driver.NamedValue) (driver.Result, error) {
	if strings.Contains(q, "wsrep") {
		if n.refuses != nil {
			return nil, n.refuses
		}
		n.set = append(n.set, q)
	}
	return driver.ResultNoRows, nil
}

func (n *node) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &variableRows{n.variables}, nil
}

type variableRows struct{ left [][2]string }

func (*variableRows) Columns() []string { return []string{"Variable_name", "Value"} }
func (*variableRows) Close() error      { return nil }

func (r *variableRows) Next(row []driver.Value) error {
	if len(r.left) == 0 {
		return io.EOF
	}
	row[0], row[1] = []byte(r.left[0][0]), []byte(r.left[0][1])
	r.left = r.left[1:]
	return nil
}

func TestANodeOfAGaleraClusterIsToldToWaitForTheOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variables [][2]string
		want      string
	}{
		"no Galera":         {nil, ""},
		"a cluster of none": {[][2]string{{"wsrep_dirty_reads", "OFF"}, {"wsrep_on", "OFF"}, {"wsrep_sync_wait", "0"}}, ""},
		"a node":            {[][2]string{{"wsrep_dirty_reads", "OFF"}, {"wsrep_on", "ON"}, {"wsrep_sync_wait", "0"}}, "SET SESSION wsrep_sync_wait = 7 | 0"},
		"more than that":    {[][2]string{{"wsrep_on", "ON"}, {"wsrep_sync_wait", "15"}}, "SET SESSION wsrep_sync_wait = 7 | 15"},
		"dirty reads": {
			[][2]string{{"wsrep_dirty_reads", "ON"}, {"wsrep_on", "ON"}, {"wsrep_sync_wait", "1"}},
			"SET SESSION wsrep_sync_wait = 7 | 1, SESSION wsrep_dirty_reads = OFF",
		},
	} {
		n := &node{variables: c.variables}
		if err := storage.SettleMySQL(t.Context(), n); err != nil || strings.Join(n.set, "; ") != c.want {
			t.Errorf("%s: %q, %v", name, n.set, err)
		}
		n.refuses = &mysqldriver.MySQLError{Number: 1227, Message: "Access denied"}
		err := storage.SettleMySQL(t.Context(), n)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), "would show what was revoked as standing: MySQL: Access denied (error 1227)") {
			t.Errorf("%s, which may not be set: %v", name, err)
		}
	}
}
