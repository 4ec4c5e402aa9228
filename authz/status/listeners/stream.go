package listeners

import (
	"slices"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

// The bounds of what a Stream remembers for listeners that reconnect.
const (
	keptEvents  = 4096
	keptIndices = 1 << 18
)

// Indices are indices of one list.
type Indices struct {
	URI     string  `json:"uri"`
	Indices []int64 `json:"idx"`
}

// Event tells listeners which indices were set. With Reload, too much has changed to be
// listed, and they must fetch the lists again.
type Event struct {
	Number changes.Number
	Set    []Indices
	// Keys is whether the key set has changed.
	Keys, Reload bool
}

// weight returns how many indices are in the event.
func (e Event) weight() (n int) {
	for _, of := range e.Set {
		n += len(of.Indices)
	}
	return n
}

// Stream holds the latest events, and a bell that rings when there are more. Each
// connection reads on from the last number that it has sent. So the memory of a Stream is
// bounded, however many listeners there are and however slow they are.
type Stream struct {
	mu sync.Mutex
	// events has all that was set after from, up to number.
	from, number changes.Number
	// generation counts calls of Restart. Numbers of an earlier generation mean nothing
	// any more, since the database may be another one.
	generation int
	// begun is when Restart was last called. The first call does not count: then the
	// process has just started.
	begun   time.Time
	events  []Event
	indices int
	bell    chan struct{}
	closed  bool
	// reached says when the latest revocations were made, for Made.
	reached []reachedAt
}

type reachedAt struct {
	number changes.Number
	made   time.Time
}

// NewStream returns a stream without events.
func NewStream() *Stream { return &Stream{bell: make(chan struct{})} }

// Restart begins a new generation, at the number n: anything may have changed before it,
// so all listeners must fetch the lists again.
func (s *Stream) Restart(n changes.Number) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.indices, s.from, s.number = nil, 0, n, n
	if s.generation++; s.generation > 1 {
		s.begun = time.Now()
	}
	s.ring()
}

// Publish adds the event of these changes, and wakes the connections.
func (s *Stream) Publish(e Event, changed []changes.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Number <= s.number {
		return
	}
	s.number = e.Number
	s.events, s.indices = append(s.events, e), s.indices+e.weight()
	for len(s.events) > keptEvents || s.indices > keptIndices {
		s.from, s.indices = s.events[0].Number, s.indices-s.events[0].weight()
		s.events = slices.Delete(s.events, 0, 1)
	}
	for _, ch := range changed {
		if ch.IsCut() {
			s.reached = append(s.reached, reachedAt{ch.Number, ch.At})
		}
	}
	s.reached = s.reached[max(0, len(s.reached)-keptEvents):]
	s.ring()
}

// ring wakes all connections that wait for events. The caller has locked mu.
func (s *Stream) ring() {
	close(s.bell)
	s.bell = make(chan struct{})
}

// Number returns the number of the last event, and its generation.
func (s *Stream) Number() (n changes.Number, generation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number, s.generation
}

// After returns the events after a number of a generation, and a bell: a channel that is
// closed when there are more. ok is false if the events are no longer remembered. ended is
// whether the process is stopping.
func (s *Stream) After(n changes.Number, generation int) (events []Event, bell <-chan struct{}, ok, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < s.from || generation != s.generation {
		return nil, s.bell, false, s.closed
	}
	i, found := slices.BinarySearchFunc(s.events, n, func(e Event, n changes.Number) int { return int(e.Number - n) })
	if found {
		i++
	}
	return slices.Clone(s.events[i:]), s.bell, true, s.closed
}

// ambiguous is for how long after a Restart a number that a listener sends may be from
// before it: so long it can take a verifier to reconnect. A verifier that was away for
// longer polls the lists by then.
const ambiguous = 10 * time.Minute

// Resumes reports whether a listener that has applied events up to a number can continue
// after it. Soon after a Restart it cannot: if a failover of the database lost changes,
// the number may belong to a lost change, and by now also to another change, of which the
// listener knows nothing.
func (s *Stream) Resumes(n changes.Number) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n >= s.from && (s.begun.IsZero() || time.Since(s.begun) > ambiguous)
}

// Made returns when the last revocation up to a number was made; zero if that is no longer
// remembered.
func (s *Stream) Made(n changes.Number) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Backward(s.reached) {
		if r.number <= n {
			return r.made
		}
	}
	return time.Time{}
}

// Close tells all connections that the process is stopping.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.ring()
	}
}
