package accounts

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// gates let a few through at once for each key; others wait, and go in the order
// in which they came.
type gates struct {
	mu sync.Mutex
	of map[string]*gate
}

type gate struct {
	// places holds a token for each that is through.
	places chan struct{}
	// users are through or wait. With the last one the gate goes.
	users int
}

func newGates() *gates { return &gates{of: map[string]*gate{}} }

// enter waits until fewer than room are through and returns how to leave; or
// errUnheard.
func (g *gates) enter(ctx context.Context, key string, room int) (leave func(), err error) {
	g.mu.Lock()
	at, ok := g.of[key]
	if !ok {
		at = &gate{places: make(chan struct{}, room)}
		g.of[key] = at
	}
	at.users++
	g.mu.Unlock()
	gone := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if at.users--; at.users == 0 {
			delete(g.of, key)
		}
	}
	select {
	case at.places <- struct{}{}:
		return func() { <-at.places; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, fmt.Errorf("%w: %w", errUnheard, context.Cause(ctx))
	}
}

// through is how many are through.
func (g *gates) through(key string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, ok := g.of[key]; ok {
		return int64(len(at.places))
	}
	return 0
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
		return nil, fmt.Errorf("%w: %w", errUnheard, ErrCrowded)
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

// turn waits for a turn and returns how to end it; or errUnheard.
func (l *line) turn(ctx context.Context) (end func(), err error) {
	if l.turns.Acquire(ctx, 1) != nil {
		return nil, fmt.Errorf("%w: %w", errUnheard, context.Cause(ctx))
	}
	return func() { l.turns.Release(1) }, nil
}

// pressing is from which addresses attempts go on coming though they are throttled.
// Each of these takes a place in the line for as long as the database takes to say so:
// whoever sends as many as they can from two addresses would fill it, and need no
// password for that.
type pressing struct {
	mu sync.Mutex
	of map[string]pressed
}

// pressed is how many were throttled without a pause, and when the last was.
type pressed struct {
	n    int
	last time.Time
}

const (
	// pause is after how long it is forgotten that attempts were throttled, and
	// mostThrottled how many may be until then.
	pause         = 10 * time.Second
	mostThrottled = 20
	// mostPressing bounds of how many addresses it is known.
	mostPressing = 10_000
)

func newPressing() *pressing { return &pressing{of: map[string]pressed{}} }

// note notes that an attempt was throttled.
func (p *pressing) note(address string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, ok := p.of[address]
	if !ok && len(p.of) >= mostPressing {
		maps.DeleteFunc(p.of, func(_ string, one pressed) bool { return now.Sub(one.last) > pause })
		if len(p.of) >= mostPressing {
			return
		}
	}
	if now.Sub(before.last) > pause {
		before.n = 0
	}
	p.of[address] = pressed{before.n + 1, now}
}

// has reports whether an address is one of these.
func (p *pressing) has(address string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of[address]
	return one.n > mostThrottled && now.Sub(one.last) <= pause
}
