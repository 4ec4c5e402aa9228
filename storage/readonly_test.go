package storage_test

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// demoted is a connector whose first connections lead to a read-only server.
type demoted struct {
	driver.Connector
	statement string
	left      *atomic.Int64
}

func (d demoted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := d.Connector.Connect(ctx)
	if err != nil || d.left.Add(-1) < 0 {
		return conn, err
	}
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, d.statement, nil)
	return conn, err
}

// TestConnectionsToAServerThatBecameReadOnlyAreNotKept: after a failover the pool is full
// of connections to the former primary.
func TestConnectionsToAServerThatBecameReadOnlyAreNotKept(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := storagetest.Migrated(t, e)
		first := open(t, url, storage.Options{})
		statement := map[storage.Engine]string{
			storage.PostgreSQL: "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
			storage.MySQL:      "SET SESSION TRANSACTION READ ONLY",
		}[first.Engine()]
		if statement == "" {
			return // SQLite has no server that could be another's
		}
		const stale = 3
		var left atomic.Int64
		left.Store(stale)
		s := open(t, url, storage.Options{Wrap: func(c driver.Connector) driver.Connector { return demoted{c, statement, &left} }})
		write := func() error {
			now := time.Now()
			_, err := s.CountGuess(t.Context(), "somebody", now, now.Add(-time.Hour))
			return err
		}
		failed := 0
		for range stale + 1 {
			if write() != nil {
				failed++
			}
		}
		if left.Load() > 0 {
			t.Fatalf("%d connections were not tried", left.Load())
		}
		for range 5 {
			if err := write(); err != nil {
				t.Errorf("after %d that failed: %v", failed, err)
			}
		}
	})
}
