package throttle

import (
	"context"
	"fmt"
	"sync"
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
// ErrUnheard.
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

// through is how many are through.
func (g *gates) through(key string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, ok := g.of[key]; ok {
		return int64(len(at.places))
	}
	return 0
}
