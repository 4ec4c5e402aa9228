package throttle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrCrowded: more people are signing in than can be checked in time. It soon passes.
var ErrCrowded error = crowded{}

type crowded struct{}

func (crowded) Error() string { return "too many passwords wait to be looked at" }

// Unavailable tells the edge that this is a 503.
func (crowded) Unavailable() bool { return true }

// CrowdedFor is after how long to try again after an ErrCrowded: about the time that it
// takes to check all that can wait in the line.
const CrowdedFor = 4 * time.Second

// ErrUnheard: the attempt was not checked, so nobody knows whether it was right.
var ErrUnheard = errors.New("the password was not looked at")

// Patiently returns a context for waiting until others are done. It ends after half of
// the time that ctx has left, with the cause ErrCrowded. The other half is for the work
// after the wait.
func Patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, time.Until(deadline)/2, ErrCrowded)
}

// line holds the attempts that wait or are being checked. When it is full, further
// attempts are refused before they cost a query of the database: they would wait in vain.
// No single address or account can fill it.
type line struct {
	// most is how many attempts may be in the line.
	most int
	// turns are given to attempts that are counted and checked. There are a few more
	// turns than threads that hash, so that these have work while other attempts wait
	// for the database; but only a few, since others need the database, too.
	turns *semaphore.Weighted

	mu sync.Mutex
	// n is how many attempts are in the line; of is how many of these there are for each
	// key of shares (see join).
	n  int
	of map[string]int
}

// newLine returns a line for that many threads that hash at once.
func newLine(threads int64) *line {
	// As many as can be hashed in a few seconds.
	return &line{most: 128 * int(threads), turns: semaphore.NewWeighted(4 * threads), of: map[string]int{}}
}

// join adds an attempt to the line, and returns a function by which to leave; or
// ErrCrowded. The keys of shares are what the attempt comes from, such as its address or
// account. The attempts of one key may fill only one part in shares[key] of the line.
func (l *line) join(shares map[string]int) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.n >= l.most
	for of, share := range shares {
		full = full || l.of[of] >= l.most/share
	}
	if full {
		return nil, fmt.Errorf("%w: %w", ErrUnheard, ErrCrowded)
	}
	l.n++
	for of := range shares {
		l.of[of]++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.n--
		for of := range shares {
			if l.of[of]--; l.of[of] == 0 {
				delete(l.of, of)
			}
		}
	}, nil
}

// turn waits for a turn, and returns a function that ends it; or ErrUnheard if ctx ends
// first.
func (l *line) turn(ctx context.Context) (end func(), err error) {
	if l.turns.Acquire(ctx, 1) != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnheard, context.Cause(ctx))
	}
	return func() { l.turns.Release(1) }, nil
}
