package storage

import (
	"context"
	"fmt"
	"strings"
)

// Size is how much a database holds.
type Size struct {
	// Rows are those of all tables, without the heads of the audit log and the leases, which
	// come with time.
	Rows int64
	// Bytes are those of tables and indices, as the engine counts them.
	Bytes int64
}

// Blank says whether the database has no tables at all, also none of somebody else.
func (s *Store) Blank(ctx context.Context) (bool, error) {
	tables, err := s.tables(ctx)
	return len(tables) == 0, fault("look for tables", err)
}

func (s *Store) tables(ctx context.Context) (names []string, err error) {
	err = s.reading(ctx).Raw(s.dialect.tables).Scan(&names).Error
	return names, err
}

// Size counts the rows of all tables, which may take long.
func (s *Store) Size(ctx context.Context) (size Size, err error) {
	const op = "measure the size of the database"
	tables, err := s.tables(ctx)
	if err != nil {
		return size, fault(op, err)
	}
	for _, table := range tables {
		if table == (headRow{}).TableName() || table == (leaseRow{}).TableName() {
			continue
		}
		var rows int64
		if err := s.readPool.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&rows); err != nil {
			return size, fault(op, err)
		}
		size.Rows += rows
	}
	return size, fault(op, s.readPool.QueryRowContext(ctx, s.dialect.bytes).Scan(&size.Bytes))
}

// MultiplyGrants copies the grants that there are until there are total of them, to
// measure how costs grow. Each copy has an id and an index of its own in its status list,
// which the list does not know as taken: a new token may get the same.
func (s *Store) MultiplyGrants(ctx context.Context, total int64) error {
	const op = "copy grants"
	found, err := s.readPool.QueryContext(ctx, "SELECT * FROM grants WHERE id = ''")
	if err != nil {
		return fault(op, err)
	}
	columns, err := found.Columns()
	found.Close()
	if err != nil {
		return fault(op, err)
	}
	var there int64
	if err := s.readPool.QueryRowContext(ctx, "SELECT COUNT(*) FROM grants").Scan(&there); err != nil || there == 0 {
		return fault(op, err)
	}
	for k := 0; there < total; k++ {
		suffix := "x"
		if k > 0 {
			suffix = fmt.Sprint("-", k)
		}
		values := strings.Join(columns, ", ")
		values = strings.Replace(values, "id,", "CONCAT(id, '"+suffix+"'),", 1)
		values = strings.Replace(values, "status_index", fmt.Sprintf("status_index + %d", int64(1)<<k), 1)
		n := min(there, total-there)
		_, err := s.writePool.ExecContext(ctx, fmt.Sprintf("INSERT INTO grants (%s) SELECT %s FROM grants ORDER BY id LIMIT %d", strings.Join(columns, ", "), values, n))
		if err != nil {
			return fault(op, err)
		}
		there += n
	}
	return nil
}
