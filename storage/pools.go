package storage

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/changes"
)

// lockWait is how long a statement waits for a lock, in whole seconds. It is short
// enough that a request ends with a 503 within its time limit, even if it waits twice.
const lockWait = 3 * time.Second

// migrationLockWait is the lock wait of migrations. They wait for everyone who uses a
// table, and everyone who comes later waits for them.
const migrationLockWait = 10 * time.Second

// shares say how the connections of a Store (Options.MaxOpen of them) are divided, so
// that work which waits for locks cannot take the connections of work which does not.
type shares struct {
	// watching is the number of connections for polling the changes and for readiness,
	// which requests cannot use; all others are for requests.
	watching, requests int
	// statements and changes are how many of the connections for requests may be used
	// by single statements that write, and by transactions. Both may have to wait for
	// locks. The rest is left for reading.
	statements, changes int
}

func sharesOf(maxOpen int) shares {
	watching := min(max(maxOpen/4, 2), 3)
	requests := max(maxOpen-watching, 1)
	return shares{watching: watching, requests: requests, statements: max(requests/2, 1), changes: max(requests/3, 1)}
}

// slots limit how many operations of a kind run at the same time.
type slots struct {
	taken chan struct{}
	// waits counts how often an operation had to wait for a slot, and waited for how
	// long in total.
	waits, waited atomic.Int64
}

func newSlots(n int) *slots { return &slots{taken: make(chan struct{}, n)} }

// within runs f in one of the slots. It waits for a slot until ctx ends.
func (s *slots) within(ctx context.Context, f func() error) error {
	select {
	case s.taken <- struct{}{}:
	default:
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	defer func() { <-s.taken }()
	return f()
}

func (s *slots) wait(ctx context.Context) error {
	began := time.Now()
	s.waits.Add(1)
	defer func() { s.waited.Add(int64(time.Since(began))) }()
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stats describes the slots as if they were a pool with one connection for each slot.
func (s *slots) stats() sql.DBStats {
	n := len(s.taken)
	return sql.DBStats{
		MaxOpenConnections: cap(s.taken), OpenConnections: n, InUse: n,
		WaitCount: s.waits.Load(), WaitDuration: time.Duration(s.waited.Load()),
	}
}

// Pools returns the statistics of the connection pools by name: "requests", or "read"
// and "write" where these are two pools; "watching"; and, as if they were pools,
// "statements" and "transactions", which are shares of the connections for requests.
func (s *Store) Pools() map[string]sql.DBStats {
	stats := map[string]sql.DBStats{"watching": s.watchPool.Stats(), "statements": s.statements.stats(), "transactions": s.changing.stats()}
	if s.writePool == s.readPool {
		stats["requests"] = s.readPool.Stats()
	} else {
		stats["read"], stats["write"] = s.readPool.Stats(), s.writePool.Stats()
	}
	return stats
}

// statement runs f, which is one statement that writes, within its share of the
// connections. On SQLite it may share a transaction with others. f may run several times, and
// even after statement has returned an error: what it leaves in variables counts only if
// statement succeeds.
func (s *Store) statement(ctx context.Context, f func(db *gorm.DB) error) error {
	if s.groups == nil {
		return s.apart(ctx, f)
	}
	return s.statements.within(ctx, func() error { return s.groups.do(&groupWrite{ctx: ctx, do: f}) })
}

// apart is statement for one that may take long and for which no request waits, such as
// purging: it shares no transaction, because its neighbours would wait for it.
func (s *Store) apart(ctx context.Context, f func(db *gorm.DB) error) error {
	return s.statements.within(ctx, func() error {
		return again(ctx, func() error { return f(s.writing(ctx)) })
	})
}

// several is statement for more than one of them, all of which are done or none.
func (s *Store) several(ctx context.Context, f func(tx *gorm.DB) error) error {
	if s.groups == nil {
		return s.transaction(ctx, f)
	}
	return s.statements.within(ctx, func() error { return s.groups.do(&groupWrite{ctx: ctx, do: f, several: true}) })
}

// reading returns the gorm.DB for reading: polls of the changes have their own.
func (s *Store) reading(ctx context.Context) *gorm.DB {
	if tx := s.together(ctx); tx != nil {
		return tx
	}
	if changes.Polling(ctx) {
		return s.watching.WithContext(ctx)
	}
	return s.read.WithContext(ctx)
}

func (s *Store) writing(ctx context.Context) *gorm.DB { return s.write.WithContext(ctx) }

// pools returns all pools, the writing one last.
func (s *Store) pools() []*sql.DB {
	if s.writePool == s.readPool {
		return []*sql.DB{s.watchPool, s.readPool}
	}
	return []*sql.DB{s.watchPool, s.readPool, s.writePool}
}

// overPools makes a gorm.DB for each pool.
func (s *Store) overPools(dialector func(*sql.DB) gorm.Dialector) (err error) {
	for _, over := range []struct {
		db   **gorm.DB
		pool *sql.DB
	}{{&s.read, s.readPool}, {&s.write, s.writePool}, {&s.watching, s.watchPool}} {
		if *over.db, err = overPool(dialector(over.pool)); err != nil {
			return err
		}
	}
	return nil
}
