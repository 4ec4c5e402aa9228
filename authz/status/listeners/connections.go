package listeners

import (
	"slices"
	"sync"
)

// The bounds of how many connections there may be, of all clients and of one: they never
// end by themselves, and each takes memory.
const (
	mostHere        = 1000
	mostOfOneClient = 200
)

// Connections are the connections over which verifiers listen to this process.
type Connections struct {
	mu    sync.Mutex
	seats map[*Seat]bool
}

// Seat is the place of one connection among those that there may be.
type Seat struct {
	of           *Connections
	id, clientID string
	gone         chan struct{}
}

// NewConnections returns an empty set of connections.
func NewConnections() *Connections { return &Connections{seats: map[*Seat]bool{}} }

// Count returns how many listeners are connected.
func (c *Connections) Count() int { return len(c.IDs()) }

// IDs returns the ids of the listeners that are connected.
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

// End closes the connections of listeners that are no longer in the database: their
// verifier has a new connection by now, or has left. If it has neither, it connects again,
// which stores it anew.
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

// Enter takes a seat for a client's listener; nil if all are taken.
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

// Take sets the id of the listener in this seat. The channel that it returns is closed
// when End ends the connection.
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
