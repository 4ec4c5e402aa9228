package changes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// batch is how many changes one poll reads at a time.
const batch = 500

// most is how many changes the followers are told one by one. If there are more, they
// are told that anything may have changed.
const most = 10 * batch

// Follower keeps copies of records in memory.
type Follower interface {
	// Follow drops or reloads the copies that the changes have made stale. A nil slice
	// means that anything may have changed. If Follow returns an error, the watcher
	// stays at the last number, is soon no longer fresh, and tries again with its next
	// poll.
	Follow(ctx context.Context, changed []Change) error
}

// Watcher polls the change sequence and tells its followers what has changed.
type Watcher struct {
	store     Store
	staleness time.Duration
	followers []Follower
	log       *slog.Logger
	// copies is the log's name for what the followers keep.
	copies string
	// asking is how long one query of the sequence may take; following, how long the
	// followers may take.
	asking, following time.Duration

	started time.Time
	primed  bool     // touched by Poll only
	applied Position // touched by Poll only
	// freshUntil is until when the followers' copies are fresh because of the last
	// successful poll. It is the time since started, which is monotonic, so that
	// setting the wall clock cannot extend it.
	freshUntil atomic.Int64
	// loaded is closed when the followers have loaded for the first time.
	loaded chan struct{}
	// failure is why the last poll failed; nil if it succeeded.
	failure atomic.Pointer[error]
}

// NewWatcher returns a watcher. While it is Fresh, its followers' copies are behind the
// database by staleness at most.
func NewWatcher(store Store, staleness time.Duration, log *slog.Logger) *Watcher {
	w := &Watcher{
		store: store, staleness: staleness, log: log, started: time.Now(), copies: "copies in memory", loaded: make(chan struct{}),
		// One query may time out without the copies becoming stale.
		asking: max(staleness*3/4, time.Second), following: max(staleness, 2*time.Second),
	}
	w.freshUntil.Store(-1)
	return w
}

// Tell adds followers, which are told in this order. Call it before the first Poll. (They
// are not given to NewWatcher, since a follower is made with the watcher: it asks the
// watcher whether its copies are fresh.)
func (w *Watcher) Tell(followers ...Follower) *Watcher {
	w.followers = append(w.followers, followers...)
	return w
}

// Patient gives the followers ten minutes for each poll, since they may have much to
// read, and sets the log's name for their copies. The bound for queries of the sequence
// stays as it is. Call it before Run.
func (w *Watcher) Patient(copies string) *Watcher {
	w.following, w.copies = 10*time.Minute, copies
	return w
}

// Loaded returns a channel that is closed when the followers have loaded for the first
// time.
func (w *Watcher) Loaded() <-chan struct{} { return w.loaded }

// Fresh reports whether the followers' copies may be used: every change that was
// committed longer ago than the staleness has reached them.
func (w *Watcher) Fresh() bool { return w.Behind() <= 0 }

// Behind returns for how long the watcher has not been fresh; zero or less while it is.
func (w *Watcher) Behind() time.Duration {
	return time.Since(w.started) - time.Duration(w.freshUntil.Load())
}

// Age returns how old the copies are at most: the time since the last successful poll
// began.
func (w *Watcher) Age() time.Duration { return w.Behind() + w.staleness }

type polling struct{}

// Polling reports whether ctx belongs to a poll. Package storage does not let a poll wait
// for a connection behind requests: without polls all copies become stale, and then all
// requests need the database.
func Polling(ctx context.Context) bool { return ctx.Value(polling{}) != nil }

// Poll reads what has changed and tells the followers. It is not safe for
// concurrent use; Run calls it, and so does whoever starts the server, once,
// before Run.
func (w *Watcher) Poll(ctx context.Context) error {
	ctx = context.WithValue(ctx, polling{}, true)
	// What the poll reads was true at some moment after the poll began. So the age of
	// the copies is counted from the poll's beginning.
	began := time.Since(w.started)
	h, err := w.history(ctx, w.applied)
	if err != nil {
		return fmt.Errorf("read the change number: %w", err)
	}
	other := h.Lacks(w.applied)
	if w.primed && other != "" {
		// This is another database, or an older copy of this one. The store uses
		// new connections from now on: ask over one of these for the newest change.
		if h, err = w.history(ctx, Position{}); err != nil {
			return fmt.Errorf("read the change number: %w", err)
		}
		w.log.WarnContext(ctx, "the database has another history than the one that was followed: after a failover that lost changes, or a restore; all copies in memory are dropped",
			"found", other, "followed", int64(w.applied.Number), "newest", int64(h.Newest.Number))
		w.primed, w.applied = false, Position{}
	}
	at := h.Newest
	switch n := at.Number; {
	case !w.primed:
		// The number was read before the followers load, so what they load is at
		// least as new as that.
		err = w.tell(ctx, nil)
	case n > w.applied.Number+most:
		// To read so many changes could take longer than the staleness.
		err = w.tell(ctx, nil)
	case n > w.applied.Number:
		at, err = w.catchUp(ctx, at)
	}
	if err != nil {
		return err
	}
	w.primed, w.applied = true, at
	w.freshUntil.Store(int64(began + w.staleness))
	select {
	case <-w.loaded:
	default:
		close(w.loaded)
	}
	return nil
}

// history and after query the store within the bound asking: a database that accepts a
// connection and then says nothing must not block the poll.
func (w *Watcher) history(ctx context.Context, p Position) (History, error) {
	ctx, cancel := context.WithTimeout(ctx, w.asking)
	defer cancel()
	return w.store.History(ctx, p)
}

func (w *Watcher) after(ctx context.Context, n Number) ([]Change, error) {
	ctx, cancel := context.WithTimeout(ctx, w.asking)
	defer cancel()
	return w.store.ChangesAfter(ctx, n, batch)
}

// catchUp tells the followers of the changes after w.applied, up to newest or beyond, and
// returns the last one.
func (w *Watcher) catchUp(ctx context.Context, newest Position) (Position, error) {
	at := w.applied
	for at.Number < newest.Number {
		changed, err := w.after(ctx, at.Number)
		if err != nil {
			return at, fmt.Errorf("read the changes: %w", err)
		}
		if !follow(changed, at.Number) {
			// Some entries were deleted before we read them, since this process
			// was away for longer than they are kept. Or everything was revoked,
			// which skips numbers.
			return newest, w.tell(ctx, nil)
		}
		if err := w.tell(ctx, changed); err != nil {
			return at, err
		}
		// Set now: should the next part fail, the followers are not told this part
		// again.
		last := changed[len(changed)-1]
		at = Position{last.Number, last.Mark}
		w.applied = at
	}
	return at, nil
}

// follow reports whether the numbers of the changes follow at without a gap.
func follow(changed []Change, at Number) bool {
	for i, ch := range changed {
		if ch.Number != at+1+Number(i) {
			return false
		}
	}
	return len(changed) > 0
}

func (w *Watcher) tell(ctx context.Context, changed []Change) error {
	ctx, cancel := context.WithTimeout(ctx, w.following)
	defer cancel()
	for _, f := range w.followers {
		if err := f.Follow(ctx, changed); err != nil {
			return fmt.Errorf("follow the changes: %w", err)
		}
	}
	return nil
}

// slowest is the longest time between two polls. It is short so that a revocation is in
// the status lists of every instance within a second.
const slowest = 250 * time.Millisecond

// Run polls until ctx ends, at least four times within the staleness, so that one slow
// answer does not make the copies stale. It logs when they become stale, and when they
// have caught up.
func (w *Watcher) Run(ctx context.Context) {
	var reporting sync.WaitGroup
	defer reporting.Wait()
	reporting.Go(func() { w.report(ctx) })
	tick := time.NewTicker(w.interval())
	defer tick.Stop()
	for first := true; ; first = false {
		// The first poll need not wait.
		if !first || w.primed {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		if err := w.Poll(ctx); err != nil {
			w.failure.Store(&err)
		} else {
			w.failure.Store(nil)
		}
	}
}

func (w *Watcher) interval() time.Duration { return min(w.staleness/4, slowest) }

// errSlow: the poll under way takes too long.
var errSlow = errors.New("it takes long to read what has changed")

// report logs when the copies become stale, and when they have caught up. It runs beside
// the polling, since a poll that does not end can be the reason.
func (w *Watcher) report(ctx context.Context) {
	tick := time.NewTicker(w.interval())
	defer tick.Stop()
	behind := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		failure := w.failure.Load()
		switch is := !w.Fresh(); {
		case is && !behind && failure == nil && w.freshUntil.Load() < 0:
			// The copies were never fresh: they are still being loaded.
		case is && !behind:
			behind = true
			err := errSlow
			if failure != nil {
				err = *failure
			}
			w.log.ErrorContext(ctx, "cannot read the change sequence in time: "+w.copies+" are behind", "error", err)
		case !is && behind:
			behind = false
			w.log.InfoContext(ctx, "the change sequence can be read again: "+w.copies+" have caught up")
		}
	}
}
