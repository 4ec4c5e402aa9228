package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

// historySQL reads, as of one moment: the last change and its mark, the lowest number
// that has an entry, and the number and mark of one entry that the caller names.
const historySQL = `
	SELECT s.n, l.mark, (SELECT MIN(number) FROM changes), a.number, a.mark
	  FROM change_seq AS s LEFT JOIN changes AS l ON l.number = s.n LEFT JOIN changes AS a ON a.number = ?
	 WHERE s.id = 1`

// historyColumns is the number of columns that historySQL returns.
const historyColumns = 5

// scanHistory reads a row of historySQL; each dest is a sql.Scanner.
func scanHistory(scan func(dest ...any) error) (changes.History, error) {
	var newest, oldest, asked sql.NullInt64
	var newestMark, mark sql.NullString
	err := scan(&newest, &newestMark, &oldest, &asked, &mark)
	return changes.History{
		Newest: changes.Position{Number: changes.Number(newest.Int64), Mark: newestMark.String},
		Oldest: changes.Number(oldest.Int64), Kept: asked.Valid, Mark: mark.String,
	}, err
}

// History implements changes.Store. These polls also tell the Store which history it
// has to serve. They run on connections of their own. If a connection for requests is
// idle, the same question is asked on it too, because requests are answered by whatever
// database that one leads to.
func (s *Store) History(ctx context.Context, p changes.Position) (changes.History, error) {
	h, err := s.askHistory(ctx, s.watchPool, p)
	if err != nil {
		return h, fault("read the history", err)
	}
	if h.Lacks(p) == "" && s.readPool.Stats().Idle > 0 {
		brief, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		// An error here says nothing about the changes; requests will see it too.
		other, err := s.askHistory(brief, s.readPool, p)
		if err == nil && (other.Lacks(p) != "" || other.Newest.Number > h.Newest.Number) {
			h = other // every connection must have what that one has
		}
	}
	if h.Lacks(p) == "" {
		s.served.prove(h.Newest)
	} else {
		s.served.distrust()
	}
	return h, nil
}

func (s *Store) askHistory(ctx context.Context, pool *sql.DB, p changes.Position) (changes.History, error) {
	h, err := scanHistory(pool.QueryRowContext(ctx, s.dialect.history, int64(p.Number)).Scan)
	if errors.Is(err, context.DeadlineExceeded) {
		// The other connections are probably dead too, and each would cost a timeout.
		s.served.distrust()
	}
	return h, err
}

// provenFor is how long the result of a poll proves which history is the one to serve.
// There are four polls a second, or more.
const provenFor = 2 * time.Second

// served is the history of changes that a process serves; each connection is compared
// with it. The database behind one address may change while a server runs (DNS, a
// proxy, several hosts in the URL). Then some connections may lead to a database that
// lacks changes which this process knows: a former primary that was cut off and is
// back, or a standby that took over without them. In such a database, what was revoked
// still stands.
//
// So each connection is asked whether it has the last change that a poll has found, and
// is refused if it has not: when it is opened, and before its first use after a poll
// has found a newer change. One change suffices, because two databases that diverge
// share everything before that point. This costs one statement per connection and
// change, and none per request. It keeps a stale database out for as long as polls
// reach the right one.
//
// But the whole database may have gone back, by a restore or by a failover that lost
// changes. Then it has to be accepted as it is. On a single connection the two cases
// look alike. They differ in this: after a restore no poll finds the lost changes any
// more. So once no poll has found them for as long as provenFor, no connection is
// refused, and the next poll decides. Connections that were opened meanwhile are asked
// after that poll.
//
// A poll that finds its last change missing has itself used a connection to the wrong
// database. It cannot know where the other connections lead, so none of them is used
// again.
type served struct {
	provenFor time.Duration
	// question is historySQL; Open sets it.
	question string

	mu sync.Mutex
	// last is what the latest poll has found, at provenAt; zero before the first poll.
	last     changes.Position
	provenAt time.Time
	// generation is the generation of the connections that may be used. Raising it
	// retires all connections that are open.
	generation int
}

// proven returns the position that a connection must have; young is false if there is
// none at present.
func (v *served) proven() (p changes.Position, young bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last, v.young()
}

// now returns the generation for a connection that is opened now.
func (v *served) now() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.generation
}

func (v *served) young() bool {
	return !v.provenAt.IsZero() && time.Since(v.provenAt) < v.provenFor
}

func (v *served) prove(p changes.Position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last, v.provenAt = p, time.Now()
}

func (v *served) distrust() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.generation++
}

// usable reports whether connections of a generation may be used.
func (v *served) usable(generation int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return generation == v.generation
}

// otherHistory is the error of a connection that leads to another history than the
// served one. database/sql treats it as a bad connection, and tries another.
type otherHistory struct{ lacks string }

func (e otherHistory) Error() string {
	return "this database server has another history than the one that answered until now: " + e.lacks +
		"; a stale primary, a standby that is behind, or a restored database, which is taken if nothing else answers"
}

func (otherHistory) Unwrap() error { return driver.ErrBadConn }

// judging is a connector that refuses connections to another history than the served
// one.
type judging struct {
	driver.Connector
	served *served
}

func (c judging) Connect(ctx context.Context) (driver.Conn, error) {
	generation := c.served.now()
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	j := &judged{Conn: conn, served: c.served, generation: generation}
	if err := j.judge(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return j, nil
}

// judge refuses a connection that leads to another history. If it had to ask, it
// returns the position that the connection has. ask runs historySQL on the connection.
func (v *served) judge(ctx context.Context, ask func(context.Context, changes.Number) (changes.History, error)) (changes.Position, error) {
	p, young := v.proven()
	if !young {
		return changes.Position{}, nil
	}
	// Not the context of the request that happens to wait: the answer concerns the
	// connection. A timeout is needed because the pool opens some connections without a
	// deadline.
	asking, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	h, err := ask(asking, p.Number)
	if err != nil {
		return changes.Position{}, err
	}
	if lacks := h.Lacks(p); lacks != "" {
		return changes.Position{}, otherHistory{lacks}
	}
	return p, nil
}

// judge asks the connection whether it has the last change that a poll has found,
// unless it was asked about the same change before.
func (c *judged) judge(ctx context.Context) error {
	if p, young := c.served.proven(); !young || p == c.has {
		return nil
	}
	has, err := c.served.judge(ctx, c.ask)
	c.has = has
	return err
}

func (c *judged) ask(ctx context.Context, n changes.Number) (h changes.History, err error) {
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, c.served.question, []driver.NamedValue{{Ordinal: 1, Value: int64(n)}})
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, historyColumns)
	if err := rows.Next(row); errors.Is(err, io.EOF) {
		return h, sql.ErrNoRows
	} else if err != nil {
		return h, err
	}
	return scanHistory(func(dest ...any) (err error) {
		for i, d := range dest {
			err = errors.Join(err, d.(sql.Scanner).Scan(row[i]))
		}
		return err
	})
}

// judged is a connection that belongs to a generation. It forwards what database/sql
// may ask of a driver. It is not used again once its generation is retired, or once its
// node has left its cluster.
type judged struct {
	driver.Conn
	served     *served
	generation int
	// has is the position that the connection had when it was last asked.
	has changes.Position
}

func (c *judged) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	r, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
	return r, leaving(err)
}

func (c *judged) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
	return r, leaving(err)
}

func (c *judged) PrepareContext(ctx context.Context, q string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, q)
}

func (c *judged) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return tx, leaving(err)
}

// leaving turns the error of a node that has left its cluster into that of a bad
// connection. Such a node has done nothing, and another connection may lead to another
// node.
func leaving(err error) error {
	if isUnprepared(err) {
		return errors.Join(err, driver.ErrBadConn)
	}
	return err
}

func (c *judged) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *judged) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *judged) ResetSession(ctx context.Context) error {
	if !c.served.usable(c.generation) {
		return driver.ErrBadConn
	}
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		if err := r.ResetSession(ctx); err != nil {
			return err
		}
	}
	if c.judge(ctx) != nil {
		return driver.ErrBadConn // database/sql would ignore any other error
	}
	return nil
}

func (c *judged) IsValid() bool {
	v, ok := c.Conn.(driver.Validator)
	return c.served.usable(c.generation) && (!ok || v.IsValid())
}
