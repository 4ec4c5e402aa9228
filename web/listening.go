package web

import (
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
	mu    sync.Mutex
	seats map[*seat]bool
}

// seat is what one connection takes.
type seat struct {
	of           *Listening
	id, clientID string
	gone         chan struct{}
}

// NewListening returns a Listening without listeners.
func NewListening() *Listening { return &Listening{seats: map[*seat]bool{}} }

// Count is how many listen.
func (l *Listening) Count() int { return len(l.IDs()) }

// IDs are the listeners.
func (l *Listening) IDs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]string, 0, len(l.seats))
	for s := range l.seats {
		if s.id != "" {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// End ends the connections of listeners that are not known any more: the verifier
// has another by now, or left. One that did neither connects again, and is known.
func (l *Listening) End(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.seats {
		if s.id != "" && slices.Contains(ids, s.id) {
			close(s.gone)
			delete(l.seats, s)
		}
	}
}

// enter takes a seat for a client's listener, unless all are taken.
func (l *Listening) enter(clientID string) *seat {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := 0
	for s := range l.seats {
		if s.clientID == clientID {
			of++
		}
	}
	if len(l.seats) >= mostListeners || of >= mostOfOneClient {
		return nil
	}
	s := &seat{of: l, clientID: clientID, gone: make(chan struct{})}
	l.seats[s] = true
	return s
}

// take says which listener is there, once it is known by its id; what it returns
// is closed when it is not any more.
func (s *seat) take(id string) (gone <-chan struct{}) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.id = id
	return s.gone
}

func (s *seat) leave() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	delete(s.of.seats, s)
}
