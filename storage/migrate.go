package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"github.com/ingam/ingam/migrations"
)

var (
	// ErrNoSchema says that the database is empty, or that its first migration did not
	// finish.
	ErrNoSchema = errors.New("the database has no schema yet; run `ingam migrate up`, or `ingam serve --migrate`")
	// ErrSchemaOlder says that this binary needs migrations that have not run.
	ErrSchemaOlder = errors.New("the database has an older schema than this binary needs; " +
		"run `ingam migrate up`, or `ingam serve --migrate`")
	// ErrSchemaNewer says that a newer binary has changed the schema in a way that this
	// one does not understand. A newer schema that this binary can use is no error.
	ErrSchemaNewer = errors.New("the database has a newer schema than this binary can use; run a newer binary")
)

// MigrationStatus is one migration and when it was applied.
type MigrationStatus struct {
	Version int64
	// Name is empty for a migration that this binary does not know.
	Name string
	// AppliedAt is zero for a migration that has not run.
	AppliedAt time.Time
}

// versionTable is where goose, the migration library, records what it has applied.
const versionTable = "goose_db_version"

// Migrate brings the schema to the version of this binary. Processes that call it at
// the same time wait for each other, and all succeed. If a process is killed in the
// middle, calling Migrate again repairs that. On a database that is too new for this
// binary it changes nothing and returns ErrSchemaNewer.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.CheckSchema(ctx); err == nil || errors.Is(err, ErrSchemaNewer) {
		return err
	}
	// A pool of its own, because the migration lock occupies one connection while it is
	// locked.
	p := pool(s.connector, 4, Options{MaxIdle: 4, MaxLifetime: time.Hour})
	defer p.Close()
	for {
		before, err := s.version(ctx)
		if err != nil {
			return fault("migrate", err)
		}
		err = s.migrate(ctx, p)
		if err == nil {
			return nil
		}
		// SQLite has no lock that lasts over several transactions. So of two processes,
		// one may fail because the other has just created the same table. In that case
		// the version has advanced, and it tries again with fewer migrations left.
		after, readErr := s.version(ctx)
		if readErr != nil || after <= before || ctx.Err() != nil {
			// These statements have no parameters, so the message may be shown.
			return &Fault{op: "migrate", detail: err.Error(), cause: err}
		}
	}
}

func (s *Store) migrate(ctx context.Context, p *sql.DB) error {
	options := []goose.ProviderOption{
		goose.WithLogger(goose.NopLogger()),
		goose.WithDisableGlobalRegistry(true),
	}
	dialects := map[Engine]goose.Dialect{
		SQLite: goose.DialectSQLite3, PostgreSQL: goose.DialectPostgres, MySQL: goose.DialectMySQL,
	}
	inner, err := database.NewStore(dialects[s.Engine()], versionTable)
	if err != nil {
		return err
	}
	options = append(options, goose.WithStore(versions{inner, s.dialect.tableExists}))
	switch engine := s.Engine(); {
	case engine == PostgreSQL && !s.Pooled():
		l, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300), lock.WithUnlockTimeout(1, 10))
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(l))
	case engine != SQLite:
		// A lock in a table and not a session lock, which nobody would release through
		// a connection pooler.
		locker := lock.NewMySQLTableLocker
		if engine == PostgreSQL {
			locker = lock.NewPostgresTableLocker
		}
		// The lease is how long others wait if the process that has the lock was
		// killed.
		l, err := locker(
			lock.WithTableLeaseDuration(10*time.Second), lock.WithTableHeartbeatInterval(2*time.Second),
			lock.WithTableLockTimeout(200*time.Millisecond, 1500), lock.WithTableUnlockTimeout(200*time.Millisecond, 50),
			lock.WithTableLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			return err
		}
		options = append(options, goose.WithLocker(l))
	}
	provider, err := goose.NewProvider(goose.DialectCustom, p, s.schema, options...)
	if err != nil {
		return err
	}
	// Up checks for pending migrations before it takes the lock, and would create the
	// version table without it. Status takes the lock first.
	if _, err := provider.Status(ctx); err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// versions is goose's version table, created in a way that survives a crash: MySQL
// commits between creating the table and inserting its first row, and a process that is
// killed there must not stop the next one.
type versions struct {
	database.Store
	tableExists string
}

// TableExists reports whether the table is there and has its first row.
func (v versions) TableExists(ctx context.Context, db database.DBTxConn) (bool, error) {
	var n int64
	if err := db.QueryRowContext(ctx, v.tableExists, versionTable).Scan(&n); err != nil || n == 0 {
		return false, err
	}
	_, err := v.GetMigration(ctx, db, 0)
	if errors.Is(err, database.ErrVersionNotFound) {
		return false, nil
	}
	return err == nil, err
}

// CreateVersionTable creates the table, unless it exists without its first row. goose
// inserts that row next.
func (v versions) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	var n int64
	if err := db.QueryRowContext(ctx, v.tableExists, versionTable).Scan(&n); err != nil || n > 0 {
		return err
	}
	return v.Store.CreateVersionTable(ctx, db)
}

// Insert records a version. It inserts the first row only if it is missing, since
// several processes may try.
func (v versions) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	if req.Version == 0 {
		if _, err := v.GetMigration(ctx, db, 0); !errors.Is(err, database.ErrVersionNotFound) {
			return err
		}
	}
	return v.Store.Insert(ctx, db, req)
}

// MigrationStatus returns all migrations that this binary or the database knows, in
// order. It changes nothing.
func (s *Store) MigrationStatus(ctx context.Context) ([]MigrationStatus, error) {
	const op = "read the migration status"
	applied, err := s.applied(ctx)
	if err != nil {
		return nil, fault(op, err)
	}
	known, err := migrations.List(s.schema)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	var list []MigrationStatus
	for _, f := range known {
		st := MigrationStatus{Version: f.Version, Name: f.Name}
		for _, a := range applied {
			if a.Version == f.Version {
				st.AppliedAt = a.AppliedAt
			}
		}
		list = append(list, st)
	}
	for _, a := range applied {
		if a.Version > s.latest {
			list = append(list, a)
		}
	}
	return list, nil
}

// CheckSchema returns nil if this binary can use the database as it is, and
// otherwise ErrNoSchema, ErrSchemaOlder or ErrSchemaNewer.
func (s *Store) CheckSchema(ctx context.Context) error {
	const op = "check the schema"
	v, err := s.version(ctx)
	switch {
	case err != nil:
		return fault(op, err)
	case v == 0:
		return ErrNoSchema
	case v < s.latest:
		return fmt.Errorf("%w (it is at version %d, this binary at %d)", ErrSchemaOlder, v, s.latest)
	}
	var row serverRow
	if err := s.reading(ctx).Where("id = 1").Take(&row).Error; err != nil {
		return fault(op, err)
	}
	if row.OldestSchema > s.latest {
		return fmt.Errorf("%w (it wants at least version %d, this binary is at %d)",
			ErrSchemaNewer, row.OldestSchema, s.latest)
	}
	return nil
}

// version returns the last applied version, or 0.
func (s *Store) version(ctx context.Context) (int64, error) {
	applied, err := s.applied(ctx)
	if err != nil || len(applied) == 0 {
		return 0, err
	}
	return applied[len(applied)-1].Version, nil
}

// applied reads goose's version table, which may not exist yet.
func (s *Store) applied(ctx context.Context) ([]MigrationStatus, error) {
	var n int64
	if err := s.readPool.QueryRowContext(ctx, s.dialect.tableExists, versionTable).Scan(&n); err != nil || n == 0 {
		return nil, err
	}
	rows, err := s.readPool.QueryContext(ctx,
		"SELECT version_id, tstamp FROM "+versionTable+" WHERE version_id > 0 ORDER BY version_id, id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []MigrationStatus
	for rows.Next() {
		var a MigrationStatus
		if err := rows.Scan(&a.Version, &a.AppliedAt); err != nil {
			return nil, err
		}
		a.AppliedAt = a.AppliedAt.UTC()
		list = append(list, a)
	}
	return list, rows.Err()
}
