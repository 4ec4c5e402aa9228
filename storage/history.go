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

// historySQL asks for the last change and its mark, for the lowest number of which
// there is an entry, and for the entry of one number and its mark, as of one moment.
const historySQL = `
	SELECT s.n, l.mark, (SELECT MIN(number) FROM changes), a.number, a.mark
	  FROM change_seq AS s LEFT JOIN changes AS l ON l.number = s.n LEFT JOIN changes AS a ON a.number = %s
	 WHERE s.id = 1`

// historyColumns is how many columns that has.
const historyColumns = 5

// scanHistory reads the row of historySQL; each dest is a sql.Scanner.
func scanHistory(scan func(dest ...any) error) (changes.History, error) {
	var newest, oldest, asked sql.NullInt64
	var newestMark, mark sql.NullString
	err := scan(&newest, &newestMark, &oldest, &asked, &mark)
	return changes.History{
		Newest: changes.Position{Number: changes.Number(newest.Int64), Mark: newestMark.String},
		Oldest: changes.Number(oldest.Int64), Kept: asked.Valid, Mark: mark.String,
	}, err
}

// History implements changes.Store. Polls of the changes are what the Store learns
// from which history is the one to serve. They have connections of their own, and ask
// on one of those for requests as well, if one is idle: what it leads to is what
// requests are told.
func (s *Store) History(ctx context.Context, p changes.Position) (changes.History, error) {
	h, err := s.askHistory(ctx, s.watchPool, p)
	if err != nil {
		return h, fault("read the history", err)
	}
	if h.Lacks(p) == "" && s.readPool.Stats().Idle > 0 {
		brief, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		// That it fails says nothing of the changes; requests see it too.
		other, err := s.askHistory(brief, s.readPool, p)
		if err == nil && (other.Lacks(p) != "" || other.Newest.Number > h.Newest.Number) {
			h = other // which the other connection has to have, too
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
		// The others are likely to be as silent, and each would be waited for in turn.
		s.served.distrust()
	}
	return h, err
}

// provenFor is for how long a poll proves which history is the one to serve. There are
// four a second, or more.
const provenFor = 2 * time.Second

// served is the history that a process serves, and by which each connection is
// judged. What one address leads to may change beneath a server (DNS, a proxy, several
// hosts in the URL), and some of its connections may lead to a database that has not
// got, or has not kept, the changes that this process knows to have been made: a
// primary that was cut off and is back, or a standby that took over without them.
// There, what was revoked is not.
//
// So each connection is asked whether it has the last change that a poll has found, and
// is refused if it has not: as it is made, and before it is used for the first time
// after polls have found another one. (When two databases part they have all that was
// before.) That is one question for each connection and change, and none for each
// request. It keeps a stale database out for as long as polls go on finding the other
// one.
//
// But the whole database may have gone back, by a restore or a failover that lost
// changes, and then it has to be taken for what it is. The two look alike on one
// connection. They differ in that nobody finds the lost changes any more: when no poll
// has for as long as provenFor, nothing is refused, and the next poll decides.
// Connections that were made meanwhile are asked once it has been answered.
//
// A poll that finds its last change missing has itself come upon such a connection. It
// cannot know of the others what they lead to, so none of them is used again.
type served struct {
	provenFor time.Duration
	// question is historySQL; set when the Store is.
	question string

	mu sync.Mutex
	// last is what a poll has found last, at provenAt; zero before the first.
	last     changes.Position
	provenAt time.Time
	// generation is that of connections that may be used.
	generation int
}

// proven returns the position that a connection must have, if there is one.
func (v *served) proven() (p changes.Position, young bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last, v.young()
}

// now returns the generation of which a connection is that is made now.
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
// one that is served. To database/sql it is a bad connection, instead of which another
// one is tried.
type otherHistory struct{ lacks string }

func (e otherHistory) Error() string {
	return "this database server has another history than the one that answered until now: " + e.lacks +
		"; a stale primary, a standby that is behind, or a restored database, which is taken if nothing else answers"
}

func (otherHistory) Unwrap() error { return driver.ErrBadConn }

// judging is a connector whose connections lead to the history that is served.
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

// judge refuses a connection to another history, and returns the position that it has
// if it was asked. ask puts historySQL to it.
func (v *served) judge(ctx context.Context, ask func(context.Context, changes.Number) (changes.History, error)) (changes.Position, error) {
	p, young := v.proven()
	if !young {
		return changes.Position{}, nil
	}
	// It is the connection's question, and not that of the request that happens to
	// wait for it. And the pool opens some connections with no deadline.
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

// judge asks the connection whether it has the last change that a poll has found, unless
// it was asked for that one before.
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

// judged is a connection of a generation. It passes on what database/sql may ask, and
// is not used again once its generation is over, or the node that it leads to has left
// its cluster.
type judged struct {
	driver.Conn
	served     *served
	generation int
	// has is what it was last found to have.
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

// leaving makes the error of a node that has left its cluster that of a bad connection:
// it has done nothing, and another connection may lead to another node.
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
		return driver.ErrBadConn // any other error would be passed over
	}
	return nil
}

func (c *judged) IsValid() bool {
	v, ok := c.Conn.(driver.Validator)
	return c.served.usable(c.generation) && (!ok || v.IsValid())
}
