package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
	"gorm.io/gorm"
)

// groups lets writes to SQLite that arrive together share a transaction (group commit).
// SQLite has one writer, and each commit waits for the disk: what arrives while one commit
// runs is the next group. Nothing waits for a clock.
//
// Each write has its own outcome, which it learns after the commit: what it is told is
// durable. A group that fails as a whole is undone, and its writes are tried one by one.
type groups struct {
	db *gorm.DB

	mu      sync.Mutex
	waiting []*groupWrite
	// running says that a goroutine is at work, which takes whatever waits; work waits for
	// it. closed says that nothing is taken any more.
	running, closed bool
	work            sync.WaitGroup
}

// groupWrite is one write: its own statement, or several in a savepoint. do may run more
// than once, also after its caller has gone: what it leaves in variables counts only if the
// write succeeds.
type groupWrite struct {
	ctx context.Context
	do  func(db *gorm.DB) error
	// several says that do is more than one statement. An error between two of them must
	// undo the first, and not the neighbours.
	several bool
	// err is the outcome, once done is closed. Before that it is the one of an attempt,
	// which may still be undone.
	err  error
	done chan struct{}
}

// mostTogether is the greatest number of writes in a group, so that the first of them does
// not wait long for the last; groupLimit is how long a group may take.
const (
	mostTogether = 64
	groupLimit   = busyTimeout + 5*time.Second
)

// do runs a write, alone or in a group. If ctx ends before the write has begun, nothing is
// written. If ctx ends while the write is under way, the outcome is unknown, as it is when a
// connection is lost.
func (g *groups) do(w *groupWrite) error {
	w.done = make(chan struct{})
	if !g.join(w) {
		return sql.ErrConnDone
	}
	select {
	case <-w.done:
		return w.told()
	case <-w.ctx.Done():
		g.leave(w)
	}
	select {
	case <-w.done: // both happened at once, and the outcome is known
		return w.told()
	default:
		return w.ctx.Err()
	}
}

// told returns the outcome. A write that panicked does so again, where its request is
// answered.
func (w *groupWrite) told() error {
	if p, ok := errors.AsType[*panicked](w.err); ok {
		panic(p)
	}
	return w.err
}

func (w *groupWrite) tell(err error) {
	w.err = err
	close(w.done)
}

func (g *groups) join(w *groupWrite) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.waiting = append(g.waiting, w)
	if !g.running {
		g.running = true
		g.work.Go(g.run)
	}
	return true
}

// leave takes back a write that has not begun. Otherwise clients that ask and hang up, again
// and again while the disk is slow, would fill the memory: they have given back their place
// in the share of the statements.
func (g *groups) leave(w *groupWrite) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, w); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
}

// close waits for the writes that were taken, and takes no more. The requests may have gone
// before their writes, and a restore may begin as soon as the Store is closed.
func (g *groups) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.work.Wait()
}

func (g *groups) run() {
	for group := g.next(); len(group) > 0; group = g.next() {
		g.commit(group)
	}
}

// next returns the writes that wait, at most mostTogether of them, the first ones first.
func (g *groups) next() []*groupWrite {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), mostTogether)
	group := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	g.running = n > 0
	return group
}

// commit runs a group and tells each write its outcome.
func (g *groups) commit(group []*groupWrite) {
	if len(group) > 1 {
		committing, err := g.together(group)
		switch {
		case err == nil:
			for _, w := range group {
				w.tell(w.err)
			}
			return
		case isBusy(err), committing && !groupUndone(err):
			// If another process held the lock, each has waited for it as long as it would
			// alone. If the answer to the COMMIT was lost, they may all have been written: a
			// second attempt would count a guess twice, or find the refresh token rotated
			// that its own first attempt has rotated.
			for _, w := range group {
				w.tell(err)
			}
			return
		}
	}
	for _, w := range group {
		w.tell(g.alone(w))
	}
}

// alone runs a write by itself. A single statement is a transaction of its own. It may end
// with its request: it has no neighbours.
func (g *groups) alone(w *groupWrite) error {
	return guarded(func() error {
		return again(w.ctx, func() error {
			db := g.db.WithContext(w.ctx)
			if w.several {
				return db.Transaction(w.do)
			}
			return w.do(db)
		})
	})
}

// together runs the writes in one transaction, and leaves in each what came of it. Its
// context is its own: if a request ended one of the statements, SQLite would undo them all.
// committing says that all went well up to the COMMIT.
func (g *groups) together(group []*groupWrite) (committing bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), groupLimit)
	defer cancel()
	err = guarded(func() error {
		return again(ctx, func() error {
			committing = false
			return g.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
				for _, w := range group {
					if w.err = w.ctx.Err(); w.err != nil {
						continue // it was told so, and thus must not be written
					}
					if w.err = w.within(tx); !concernsOne(w.err) {
						return w.err
					}
				}
				committing = true
				return nil
			})
		})
	})
	return committing, err
}

// within runs a write in the transaction of a group. gorm would do the same with savepoints,
// but would not say if one fails: half a write would be committed with the neighbours.
func (w *groupWrite) within(tx *gorm.DB) error {
	if !w.several {
		return w.do(tx)
	}
	if err := tx.Exec("SAVEPOINT one_write").Error; err != nil {
		return err
	}
	err := w.do(tx)
	if !concernsOne(err) {
		return err // the whole group is undone
	}
	if err != nil {
		if failed := tx.Exec("ROLLBACK TO one_write").Error; failed != nil {
			return failed
		}
	}
	if failed := tx.Exec("RELEASE one_write").Error; failed != nil {
		return failed
	}
	return err
}

// concernsOne reports whether an error, or none, is that of one write, after which a
// transaction goes on: a refusal, or a violated constraint. SQLite undoes the whole
// transaction after some of the others, such as a full disk.
func concernsOne(err error) bool {
	var r refusal
	var lite sqlite3.Error
	return err == nil || errors.As(err, &r) || errors.Is(err, gorm.ErrDuplicatedKey) || errors.Is(err, gorm.ErrForeignKeyViolated) ||
		errors.As(err, &lite) && lite.Code == sqlite3.ErrConstraint
}

// groupUndone reports whether a COMMIT that failed certainly did nothing: SQLite said so, or
// was not asked because the time was over.
func groupUndone(err error) bool {
	return isUndone(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrTxDone)
}

// panicked is what a write panicked with, and where. The panic is to end its request, and
// neither its neighbours nor the process.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("%v\n%s", p.value, p.stack) }

func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p, debug.Stack()}
		}
	}()
	return f()
}
