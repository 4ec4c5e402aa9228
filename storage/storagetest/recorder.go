package storagetest

import (
	"context"
	"database/sql/driver"
	"slices"
	"sync"
)

// Recorder records each statement that reaches a database driver, including BEGIN and
// COMMIT. It works below database/sql, so no statement can bypass it.
type Recorder struct {
	// Of, if set, selects by context which statements are recorded.
	Of func(ctx context.Context) bool

	mu         sync.Mutex
	statements []string
	fail       func(statement string) error
	failAfter  func(statement string) error
}

// FailWith makes statements fail: fail is called for each of them from now on, and its
// error is returned instead of running the statement; for COMMIT, after the commit. Nil
// ends that.
func (r *Recorder) FailWith(fail func(statement string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

// Take returns the statements that were recorded since its last call.
func (r *Recorder) Take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := slices.Clone(r.statements)
	r.statements = nil
	return taken
}

// FailAfter is FailWith for statements that have run: their answer is lost.
func (r *Recorder) FailAfter(fail func(statement string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failAfter = fail
}

// ran is called after a statement has run.
func (r *Recorder) ran(ctx context.Context, statement string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failAfter == nil || !r.notes(ctx) {
		return nil
	}
	return r.failAfter(statement)
}

func (r *Recorder) notes(ctx context.Context) bool { return r.Of == nil || r.Of(ctx) }

func (r *Recorder) note(ctx context.Context, statement string) error {
	if !r.notes(ctx) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, statement)
	if r.fail != nil {
		return r.fail(statement)
	}
	return nil
}

// Wrap is for storage.Options.
func (r *Recorder) Wrap(c driver.Connector) driver.Connector { return recordingConnector{c, r} }

type recordingConnector struct {
	driver.Connector
	r *Recorder
}

func (c recordingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return recordingConn{conn, c.r}, nil
}

// recordingConn forwards everything that database/sql may ask of a connection.
type recordingConn struct {
	driver.Conn
	r *Recorder
}

func (c recordingConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.r.note(ctx, q); err != nil {
		return nil, err
	}
	result, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
	if err == nil {
		err = c.r.ran(ctx, q)
	}
	return result, err
}

func (c recordingConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.r.note(ctx, q); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
}

func (c recordingConn) PrepareContext(ctx context.Context, q string) (driver.Stmt, error) {
	if err := c.r.note(ctx, "PREPARE "+q); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, q)
}

func (c recordingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.r.note(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return recordingTx{tx, ctx, c.r}, nil
}

type recordingTx struct {
	driver.Tx
	begun context.Context
	r     *Recorder
}

func (t recordingTx) Commit() error {
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	return t.r.note(t.begun, "COMMIT")
}

func (c recordingConn) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c recordingConn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c recordingConn) IsValid() bool {
	v, ok := c.Conn.(driver.Validator)
	return !ok || v.IsValid()
}

func (c recordingConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}
