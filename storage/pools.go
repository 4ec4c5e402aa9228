package storage

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/changes"
)

// lockWait is how long a statement waits for another's lock, in whole seconds: a
// request that has to wait is a 503 within its time, even if it waits twice.
const lockWait = 3 * time.Second

// migrationLockWait is for migrations, which wait for all who use a table, while
// all who come later wait for them.
const migrationLockWait = 10 * time.Second

// shares are how the connections of a Store, Options.MaxOpen of them, are divided, so
// that those who wait do not take them from those who need not.
type shares struct {
	// watching are the connections of the watchers of changes and of readiness, which
	// requests cannot take at all; all the others are for requests.
	watching, requests int
	// statements and changes are how many of those for requests writes can take:
	// single statements, and transactions. They wait for locks. The rest is left for
	// reading.
	statements, changes int
}

func sharesOf(maxOpen int) shares {
	watching := min(max(maxOpen/4, 2), 3)
	requests := max(maxOpen-watching, 1)
	return shares{watching: watching, requests: requests, statements: max(requests/2, 1), changes: max(requests/3, 1)}
}

// slots bound how many of something go on at once.
type slots struct {
	taken chan struct{}
	// waits counts who had to wait for one, and waited for how long.
	waits, waited atomic.Int64
}

func newSlots(n int) *slots { return &slots{taken: make(chan struct{}, n)} }

// within runs f in one of the slots, for which it waits no longer than ctx lasts.
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

// stats are those of the slots, as of a pool that has a connection for each.
func (s *slots) stats() sql.DBStats {
	n := len(s.taken)
	return sql.DBStats{
		MaxOpenConnections: cap(s.taken), OpenConnections: n, InUse: n,
		WaitCount: s.waits.Load(), WaitDuration: time.Duration(s.waited.Load()),
	}
}

// Pools returns what the pools of connections are doing, by their names: "requests", or
// "read" and "write" where these are two; "watching"; and, as if they were pools, the
// shares that "statements" and "transactions" have in those for requests.
func (s *Store) Pools() map[string]sql.DBStats {
	stats := map[string]sql.DBStats{"watching": s.watchPool.Stats(), "statements": s.statements.stats(), "transactions": s.changing.stats()}
	if s.writePool == s.readPool {
		stats["requests"] = s.readPool.Stats()
	} else {
		stats["read"], stats["write"] = s.readPool.Stats(), s.writePool.Stats()
	}
	return stats
}

// statement runs f, which writes by one statement, in its share of the connections.
func (s *Store) statement(ctx context.Context, f func() error) error {
	return s.statements.within(ctx, func() error { return again(ctx, f) })
}

// reading and writing are where statements run.
func (s *Store) reading(ctx context.Context) *gorm.DB {
	if changes.Polling(ctx) {
		return s.watching.WithContext(ctx)
	}
	return s.read.WithContext(ctx)
}

func (s *Store) writing(ctx context.Context) *gorm.DB { return s.write.WithContext(ctx) }

// pools returns all pools; the one that writes last.
func (s *Store) pools() []*sql.DB {
	if s.writePool == s.readPool {
		return []*sql.DB{s.watchPool, s.readPool}
	}
	return []*sql.DB{s.watchPool, s.readPool, s.writePool}
}

// overPools puts gorm on the pools.
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
