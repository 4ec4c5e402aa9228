package throttle

import (
	"context"
	"fmt"
	"sync"
)

// gates let only a few attempts through at once for each key. Others wait, and go through
// in the order in which they came.
type gates struct {
	mu sync.Mutex
	of map[string]*gate
}

type gate struct {
	// places holds one value for each attempt that is through.
	places chan struct{}
	// users is how many attempts are through or wait. The last one removes the gate.
	users int
}

func newGates() *gates { return &gates{of: map[string]*gate{}} }

// enter waits until fewer than room attempts are through, and returns a function by which
// to leave; or ErrUnheard if ctx ends first.
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
		return nil, fmt.Errorf("%w: %w", ErrUnheard, context.Cause(ctx))
	}
}

// through returns how many attempts are through the gate of a key.
func (g *gates) through(key string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, ok := g.of[key]; ok {
		return int64(len(at.places))
	}
	return 0
}
