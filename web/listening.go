package web

import (
	"maps"
	"slices"
	"sync"
)

// mostListeners bounds what connections that never end can take.
const mostListeners = 1000

// Listening is who listens to the stream at this process.
type Listening struct {
	mu      sync.Mutex
	entered int
	ids     map[string]bool
}

// NewListening returns a Listening without listeners.
func NewListening() *Listening { return &Listening{ids: map[string]bool{}} }

// IDs are the listeners.
func (l *Listening) IDs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.ids))
}

// enter takes a place, unless all are taken.
func (l *Listening) enter() (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entered >= mostListeners {
		return nil, false
	}
	l.entered++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.entered--
	}, true
}

func (l *Listening) add(id string) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids[id] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ids, id)
	}
}
