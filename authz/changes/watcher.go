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

// most is how many changes are worth being told one by one.
const most = 10 * batch

// Follower holds copies of records.
type Follower interface {
	// Follow drops or reloads whatever the changes made stale. A nil slice
	// means that anything may have changed. Should it fail, the watcher does
	// not advance, is soon no longer fresh, and tries again with its next
	// poll.
	Follow(ctx context.Context, changed []Change) error
}

// Watcher polls the sequence and tells its followers.
type Watcher struct {
	store     Store
	staleness time.Duration
	followers []Follower
	log       *slog.Logger
	// copies is what the log calls that which the followers hold.
	copies string
	// asking is how long a question for what has changed may take, and following
	// how long the followers may.
	asking, following time.Duration

	started time.Time
	primed  bool     // touched by Poll only
	applied Position // touched by Poll only
	// freshUntil is when the last successful poll stops vouching for the
	// followers' copies, as the time since started: a monotonic reading, so
	// that setting the wall clock cannot stretch the bound.
	freshUntil atomic.Int64
	// loaded is closed when the followers have loaded for the first time.
	loaded chan struct{}
	// failure is why the last poll failed; nil if it did not.
	failure atomic.Pointer[error]
}

// NewWatcher returns a watcher whose followers are never behind the database
// by more than staleness while it is Fresh.
func NewWatcher(store Store, staleness time.Duration, log *slog.Logger) *Watcher {
	w := &Watcher{
		store: store, staleness: staleness, log: log, started: time.Now(), copies: "copies in memory", loaded: make(chan struct{}),
		// Of two questions one may go unanswered, and the copies are fresh still.
		asking: max(staleness*3/4, time.Second), following: max(staleness, 2*time.Second),
	}
	w.freshUntil.Store(-1)
	return w
}

// Tell adds followers, which are told in the order given. It is to be called before the
// first Poll: what holds copies asks the watcher whether they are fresh, so that there
// is a watcher before there are followers.
func (w *Watcher) Tell(followers ...Follower) *Watcher {
	w.followers = append(w.followers, followers...)
	return w
}

// Patient gives the followers ten minutes, for such as may have much to read, and
// says what the log is to call that which they hold. What is not read, but
// asked for at each poll, has no longer than with any other watcher. It is to be called
// before Run.
func (w *Watcher) Patient(copies string) *Watcher {
	w.following, w.copies = 10*time.Minute, copies
	return w
}

// Loaded is closed when the followers have loaded for the first time.
func (w *Watcher) Loaded() <-chan struct{} { return w.loaded }

// Fresh reports whether copies held by the followers may be used: everything
// that was committed longer than the staleness ago has reached them.
func (w *Watcher) Fresh() bool { return w.Behind() <= 0 }

// Behind returns for how long the copies have not been vouched for; zero or
// less while fresh.
func (w *Watcher) Behind() time.Duration {
	return time.Since(w.started) - time.Duration(w.freshUntil.Load())
}

// Age returns how long ago all was known that had been committed: since the last
// successful poll began.
func (w *Watcher) Age() time.Duration { return w.Behind() + w.staleness }

type polling struct{}

// Polling reports whether ctx is that of a poll, which whoever reads for it must not
// let wait behind requests: they all wait for it in the end.
func Polling(ctx context.Context) bool { return ctx.Value(polling{}) != nil }

// Poll reads what has changed and tells the followers. It is not safe for
// concurrent use; Run calls it, and so does whoever starts the server, once,
// before Run.
func (w *Watcher) Poll(ctx context.Context) error {
	ctx = context.WithValue(ctx, polling{}, true)
	// What the poll reads was true at some moment after it began, so it is
	// from its beginning that the copies age.
	began := time.Since(w.started)
	h, err := w.history(ctx, w.applied)
	if err != nil {
		return fmt.Errorf("read the change number: %w", err)
	}
	other := h.Lacks(w.applied)
	if w.primed && other != "" {
		// This is another database, or an older copy of this one. Which one it is
		// that answers from now on: on a connection that was made after that.
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
		// The number was read before the followers load: what they load is at
		// least that new.
		err = w.tell(ctx, nil)
	case n > w.applied.Number+most:
		// Reading so much could take longer than it stays fresh.
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

// history and after ask the store within the bound that a question has: a database
// that accepts a connection and then says nothing must not hold the poll.
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

// catchUp tells the followers of the changes after w.applied, up to the newest at
// least, and returns the last that was told.
func (w *Watcher) catchUp(ctx context.Context, newest Position) (Position, error) {
	at := w.applied
	for at.Number < newest.Number {
		changed, err := w.after(ctx, at.Number)
		if err != nil {
			return at, fmt.Errorf("read the changes: %w", err)
		}
		if !follow(changed, at.Number) {
			// Purged before we read them: this process was away for longer
			// than changes are kept. Or everything was cut, which leaps.
			return newest, w.tell(ctx, nil)
		}
		if err := w.tell(ctx, changed); err != nil {
			return at, err
		}
		// Kept should the next part fail: nobody is told twice.
		last := changed[len(changed)-1]
		at = Position{last.Number, last.Mark}
		w.applied = at
	}
	return at, nil
}

// follow reports whether changes come one by one after a number.
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

// slowest is the longest between two polls: a cut is in the status lists of every
// process within a second.
const slowest = 250 * time.Millisecond

// Run polls four times within the staleness or more often, so that one slow
// answer does not put the copies out of use, until ctx ends. It is logged when they
// begin to be behind, and when they have caught up.
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

// errSlow: the last poll has not ended.
var errSlow = errors.New("it takes long to read what has changed")

// report is apart from polling, for a poll can be what takes long.
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
			// They were never in use: they are still being made.
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
