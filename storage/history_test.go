package storage_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// pair is a primary (0) and a standby (1) behind the same address.
type pair struct {
	url [2]string
	// past are Stores that reach each of them directly.
	past [2]*storage.Store
	// connectors are those of each database, in the order in which a Store makes them.
	connectors [2][]driver.Connector
	// leads is the database to which new connections lead; down are those that cannot
	// be reached.
	leads atomic.Int64
	down  [2]atomic.Bool
}

// newPair returns two databases with the same first change, which created client "a".
func newPair(t *testing.T, e storagetest.Engine) *pair {
	t.Helper()
	p := &pair{}
	for i := range p.url {
		p.url[i] = storagetest.Migrated(t, e)
		p.past[i] = open(t, p.url[i], storage.Options{Wrap: func(c driver.Connector) driver.Connector {
			p.connectors[i] = append(p.connectors[i], c)
			return c
		}})
		if err := p.past[i].CreateClient(t.Context(), clients.Client{ID: "a"}, event()); err != nil {
			t.Fatal(err)
		}
		p.exec(t, i, "UPDATE changes SET mark = 'both have it'")
	}
	return p
}

func (p *pair) exec(t *testing.T, i int, statement string) {
	t.Helper()
	if _, err := storage.Pool(p.past[i]).ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// change makes n changes in database i.
func (p *pair) change(t *testing.T, i, n int) {
	t.Helper()
	for j := range n {
		name := fmt.Sprint(i, "-", j)
		if err := p.past[i].CreateAPI(t.Context(), apis.API{ID: name, Audience: name}, event()); err != nil {
			t.Fatal(err)
		}
	}
}

// open opens a Store on the address of the pair.
func (p *pair) open(t *testing.T, proven time.Duration) *storage.Store {
	t.Helper()
	made := 0
	return open(t, p.url[0], storage.Proven(storage.Options{Wrap: func(driver.Connector) driver.Connector {
		made++
		return pairConnector{p.connectors[0][made-1], p, made - 1}
	}}, proven))
}

type pairConnector struct {
	driver.Connector
	p  *pair
	at int
}

func (c pairConnector) Connect(ctx context.Context) (driver.Conn, error) {
	i := c.p.leads.Load()
	conn, err := c.p.connectors[i][c.at].Connect(ctx)
	if err != nil {
		return nil, err
	}
	return pairConn{conn, &c.p.down[i]}, nil
}

// pairConn is a connection that fails when its database is down.
type pairConn struct {
	driver.Conn
	down *atomic.Bool
}

func (c pairConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
}

func (c pairConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
}

func (c pairConn) PrepareContext(ctx context.Context, q string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, q)
}

func (c pairConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c pairConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c pairConn) ResetSession(ctx context.Context) error {
	if c.down.Load() {
		return driver.ErrBadConn
	}
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

// following is a process that has clients in memory and follows the changes.
type following struct {
	watcher  *changes.Watcher
	registry *clients.Registry
	log      *bytes.Buffer
}

func follow(t *testing.T, s *storage.Store, staleness time.Duration) *following {
	t.Helper()
	f := &following{log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	f.watcher = changes.NewWatcher(s, staleness, log)
	catalog := catalog.New(s, nil, time.Now, f.watcher.Fresh)
	f.registry = clients.NewRegistry(s, catalog, time.Now, f.watcher.Fresh, "")
	f.watcher.Tell(catalog, f.registry)
	f.poll(t)
	return f
}

func (f *following) poll(t *testing.T) {
	t.Helper()
	if err := f.watcher.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// pollUntil polls until a poll succeeds, and returns the first error.
func (f *following) pollUntil(t *testing.T) (first error) {
	t.Helper()
	for range 1000 {
		err := f.watcher.Poll(t.Context())
		if err == nil {
			return first
		}
		if first == nil {
			first = err
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("polls failed for ever: %v", first)
	return nil
}

// disabled reports whether the process knows that client "a" is disabled.
func (f *following) disabled(t *testing.T) bool {
	t.Helper()
	c, err := f.registry.Client(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	return c.Disabled
}

func (f *following) wantLines(t *testing.T, n int) {
	t.Helper()
	if got := strings.Count(f.log.String(), "another history"); got != n {
		t.Errorf("%d lines about another history, want %d:\n%s", got, n, f.log)
	}
}

// TestAFailoverThatLostChangesAsManyAsCameAfterIsNoticed: the standby lacks two changes,
// and makes two others after the failover. Its change number alone does not show that.
func TestAFailoverThatLostChangesAsManyAsCameAfterIsNoticed(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		p := newPair(t, e)
		p.change(t, 0, 2)
		f := follow(t, p.open(t, 300*time.Millisecond), time.Hour)
		if f.disabled(t) {
			t.Fatal("the client is disabled already")
		}
		p.leads.Store(1)
		p.down[0].Store(true)
		p.change(t, 1, 1)
		if err := p.past[1].SetClientDisabled(t.Context(), "a", true, event()); err != nil {
			t.Fatal(err)
		}
		if err := f.pollUntil(t); err != nil {
			mustBeFault(t, err)
			if !strings.Contains(err.Error(), "another history") {
				t.Errorf("the new primary was refused at first for another reason: %v", err)
			}
		}
		if !f.disabled(t) {
			t.Error("the client that was disabled after the failover is taken to be enabled")
		}
		f.wantLines(t, 1)
		f.poll(t)
		f.wantLines(t, 1)
	})
}

// TestAStalePrimaryThatComesBackIsRefused: while the new primary answers, a connection to
// the former primary serves nothing.
func TestAStalePrimaryThatComesBackIsRefused(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		for stale, made := range map[string]int{"it is behind": 0, "it made another change": 1} {
			t.Run(stale, func(t *testing.T) {
				t.Parallel()
				p := newPair(t, e)
				p.change(t, 1, made)
				p.change(t, 0, 1)
				s := p.open(t, time.Hour)
				f := follow(t, s, time.Hour)
				// The pool has no other connection, so the next one is new.
				held, err := storage.ReadPool(s).Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				p.leads.Store(1)
				_, err = s.Clients(t.Context())
				mustBeFault(t, err)
				if !strings.Contains(err.Error(), "another history") {
					t.Error(err)
				}
				held.Close()
				if _, err = s.Clients(t.Context()); err != nil {
					t.Errorf("by the connection that is left: %v", err)
				}
				f.poll(t)
				f.wantLines(t, 0)
			})
		}
	})
}

// TestADatabaseThatWentBackBeneathItsConnectionsIsTaken: a backup was put back in place,
// and no connection was lost.
func TestADatabaseThatWentBackBeneathItsConnectionsIsTaken(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		p := newPair(t, e)
		p.change(t, 0, 2)
		s := p.open(t, 300*time.Millisecond)
		f := follow(t, s, time.Hour)
		f.disabled(t)
		p.exec(t, 0, "UPDATE clients SET disabled = TRUE")
		p.exec(t, 0, "DELETE FROM changes WHERE number > 1")
		p.exec(t, 0, "UPDATE change_seq SET n = 1")
		f.pollUntil(t)
		if !f.disabled(t) {
			t.Error("a copy of before was kept")
		}
		f.wantLines(t, 1)
	})
}

// TestConnectionsThatHaveFallenBehindServeNothing: when two databases diverge, they have
// the same past, and there may be connections to both.
func TestConnectionsThatHaveFallenBehindServeNothing(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		p := newPair(t, e)
		s := p.open(t, time.Hour)
		f := follow(t, s, time.Hour)
		var conns []*sql.Conn
		hold := func(n int) {
			t.Helper()
			for range n {
				conn, err := storage.ReadPool(s).Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, conn)
			}
		}
		release := func() {
			for _, conn := range conns {
				conn.Close()
			}
			conns = nil
		}
		hold(1)
		p.leads.Store(1)
		hold(4)
		p.leads.Store(0)
		p.change(t, 0, 1)
		f.poll(t)
		release()
		hold(5)
		for _, conn := range conns {
			var n int64
			if err := conn.QueryRowContext(t.Context(), "SELECT n FROM change_seq").Scan(&n); err != nil || n != 2 {
				t.Errorf("a connection leads to change %d: %v", n, err)
			}
		}
		release()
		f.poll(t)
		f.wantLines(t, 0)
	})
}

// TestWhatRequestsAreToldIsFollowed: the connection that follows changes leads to the
// former primary, and the connections of requests lead to the new one.
func TestWhatRequestsAreToldIsFollowed(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		p := newPair(t, e)
		s := p.open(t, time.Hour)
		f := follow(t, s, time.Hour)
		if f.disabled(t) {
			t.Fatal("the client is disabled already")
		}
		f.poll(t)
		p.leads.Store(1)
		// Take all idle connections and one more. The one that is returned last is
		// new.
		var conns []*sql.Conn
		for range storage.ReadPool(s).Stats().Idle + 1 {
			conn, err := storage.ReadPool(s).Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			conn.Close()
		}
		if err := p.past[1].SetClientDisabled(t.Context(), "a", true, event()); err != nil {
			t.Fatal(err)
		}
		f.poll(t)
		if !f.disabled(t) {
			t.Error("the client that requests are told is disabled is taken to be enabled")
		}
		f.wantLines(t, 0)
	})
}

// TestWhatTheHistoryLacks: rows that were purged, or were written by a version without
// marks, prove nothing.
func TestWhatTheHistoryLacks(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		// On this Store, an answer proves nothing about the next one.
		s := open(t, storagetest.Migrated(t, e), storage.Proven(storage.Options{}, time.Nanosecond))
		marks := map[changes.Number]string{}
		for n := range changes.Number(4) {
			if err := s.CreateClient(t.Context(), clients.Client{ID: fmt.Sprint(n + 1)}, event()); err != nil {
				t.Fatal(err)
			}
			h, err := s.History(t.Context(), changes.Position{})
			if err != nil || h.Newest.Number != n+1 || len(h.Newest.Mark) < 22 || h.Oldest != 1 {
				t.Fatalf("%+v, %v", h, err)
			}
			marks[n+1] = h.Newest.Mark
		}
		if marks[1] == marks[2] {
			t.Error("two changes have one mark")
		}
		list, err := s.ChangesAfter(t.Context(), 0, 10)
		if err != nil || len(list) != 4 || list[2].Mark != marks[3] {
			t.Errorf("%+v, %v", list, err)
		}
		for _, statement := range []string{
			"DELETE FROM changes WHERE number = 1", // purged
			"DELETE FROM changes WHERE number = 3", // lost
			"UPDATE changes SET mark = NULL WHERE number = 4",
		} {
			if _, err := storage.Pool(s).ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			p     changes.Position
			lacks string
		}{
			{changes.Position{}, ""},
			{changes.Position{Number: 1, Mark: marks[1]}, ""},
			{changes.Position{Number: 2, Mark: marks[2]}, ""},
			{changes.Position{Number: 2, Mark: marks[1]}, "another"},
			{changes.Position{Number: 2}, "another"},
			{changes.Position{Number: 3, Mark: marks[3]}, "no change 3"},
			{changes.Position{Number: 3}, ""},
			{changes.Position{Number: 4}, ""},
			{changes.Position{Number: 4, Mark: marks[4]}, "another"},
			{changes.Position{Number: 5, Mark: marks[4]}, "last change is 4"},
		} {
			h, err := s.History(t.Context(), c.p)
			if err != nil {
				t.Fatal(err)
			}
			if got := h.Lacks(c.p); !strings.Contains(got, c.lacks) || (got == "") != (c.lacks == "") {
				t.Errorf("%+v: %q", c.p, got)
			}
		}
	})
}
