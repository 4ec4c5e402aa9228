package web

import (
	"maps"
	"slices"
	"sync"
)

// The bounds of what connections that never end can take, altogether and by one
// client.
const (
	mostListeners   = 1000
	mostOfOneClient = 200
)

// Listening is who listens to the stream at this process.
type Listening struct {
	mu sync.Mutex
	// clients are the clients of the listeners, by their ids.
	clients map[string]string
}

// NewListening returns a Listening without listeners.
func NewListening() *Listening { return &Listening{clients: map[string]string{}} }

// IDs are the listeners.
func (l *Listening) IDs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.clients))
}

// enter takes a place for a listener, unless all are taken.
func (l *Listening) enter(id, client string) (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := 0
	for _, other := range l.clients {
		if other == client {
			of++
		}
	}
	if len(l.clients) >= mostListeners || of >= mostOfOneClient {
		return nil, false
	}
	l.clients[id] = client
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.clients, id)
	}, true
}
