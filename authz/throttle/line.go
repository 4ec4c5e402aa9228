package throttle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrCrowded: more people sign in than passwords can be looked at. It passes.
var ErrCrowded error = crowded{}

type crowded struct{}

func (crowded) Error() string { return "too many passwords wait to be looked at" }

// Unavailable tells the edge that this is a 503.
func (crowded) Unavailable() bool { return true }

// CrowdedFor is when to come again after an ErrCrowded: about what it takes to look
// at all that may wait.
const CrowdedFor = 4 * time.Second

// ErrUnheard: an attempt was not looked at, and says nothing of who made it.
var ErrUnheard = errors.New("the password was not looked at")

// Patiently bounds how long it is waited for others: half of the time that is left
// to answer, after which it is ErrCrowded. The other half is for what is waited for.
func Patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, time.Until(deadline)/2, ErrCrowded)
}

// line is who waits for an attempt to sign in, or makes one. It ends where waiting
// would be in vain, before anything is asked of the database, and nobody can fill it
// alone.
type line struct {
	// most is how many may stand in it.
	most int
	// turns are for those whose attempt is counted and whose password is looked at.
	// They are a few more than are hashed at once, so that the threads have work
	// while others ask the database; and few, for it is not theirs alone.
	turns *semaphore.Weighted

	mu sync.Mutex
	n  int
	of map[string]int
}

// newLine returns one for as many threads as hash at once.
func newLine(threads int64) *line {
	// What is hashed in a few seconds.
	return &line{most: 128 * int(threads), turns: semaphore.NewWeighted(4 * threads), of: map[string]int{}}
}

// join returns how to leave, or ErrCrowded. shares says, of each that an attempt is of,
// which part of the line may be of that: one in so many.
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

// turn waits for a turn and returns how to end it; or ErrUnheard.
func (l *line) turn(ctx context.Context) (end func(), err error) {
	if l.turns.Acquire(ctx, 1) != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnheard, context.Cause(ctx))
	}
	return func() { l.turns.Release(1) }, nil
}
