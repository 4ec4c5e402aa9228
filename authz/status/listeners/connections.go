package listeners

import (
	"slices"
	"sync"
)

// The bounds of what connections that never end can take, altogether and by one
// client.
const (
	mostHere        = 1000
	mostOfOneClient = 200
)

// Connections are those over which verifiers listen to this process.
type Connections struct {
	mu    sync.Mutex
	seats map[*Seat]bool
}

// Seat is what one connection takes of the room that there is for all of them.
type Seat struct {
	of           *Connections
	id, clientID string
	gone         chan struct{}
}

// NewConnections returns Connections, of which there are none yet.
func NewConnections() *Connections { return &Connections{seats: map[*Seat]bool{}} }

// Count is how many listen.
func (c *Connections) Count() int { return len(c.IDs()) }

// IDs are the listeners.
func (c *Connections) IDs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := make([]string, 0, len(c.seats))
	for s := range c.seats {
		if s.id != "" {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// End ends the connections of listeners that are not known any more: the verifier
// has another by now, or left. One that did neither connects again, and is known.
func (c *Connections) End(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.seats {
		if s.id != "" && slices.Contains(ids, s.id) {
			close(s.gone)
			delete(c.seats, s)
		}
	}
}

// Enter takes a seat for a client's listener, unless all are taken.
func (c *Connections) Enter(clientID string) *Seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := 0
	for s := range c.seats {
		if s.clientID == clientID {
			of++
		}
	}
	if len(c.seats) >= mostHere || of >= mostOfOneClient {
		return nil
	}
	s := &Seat{of: c, clientID: clientID, gone: make(chan struct{})}
	c.seats[s] = true
	return s
}

// Take says which listener is there, once it is known by its id; what it returns
// is closed when it is not any more.
func (s *Seat) Take(id string) (gone <-chan struct{}) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.id = id
	return s.gone
}

// Leave gives the seat back.
func (s *Seat) Leave() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	delete(s.of.seats, s)
}
