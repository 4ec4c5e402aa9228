package listeners

import (
	"slices"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

// The bounds of what a Stream remembers, for listeners that were away.
const (
	keptEvents  = 4096
	keptIndices = 1 << 18
)

// Indices are indices of one list.
type Indices struct {
	URI     string  `json:"uri"`
	Indices []int64 `json:"idx"`
}

// Event is what a listener is told: these indices were set or, with Reload, more
// than can be told one by one.
type Event struct {
	Number changes.Number
	Set    []Indices
	// Keys is whether the key set has changed.
	Keys, Reload bool
}

// weight is how many indices it tells.
func (e Event) weight() (n int) {
	for _, of := range e.Set {
		n += len(of.Indices)
	}
	return n
}

// Stream is the last events, and a bell. What it holds is bounded however many
// listen, and however slowly: each of them reads on from the last number that it
// had.
type Stream struct {
	mu sync.Mutex
	// All that was set after from, up to number, is in events.
	from, number changes.Number
	// generation counts how often anything may have happened: numbers of before
	// say nothing any more, since the database may be another one.
	generation int
	// begun is when that was for the last time but the first, when lists are read
	// because the process has just started.
	begun   time.Time
	events  []Event
	indices int
	bell    chan struct{}
	closed  bool
	// reached is when cuts that were just made reached the lists.
	reached []reachedAt
}

type reachedAt struct {
	number changes.Number
	made   time.Time
}

// NewStream returns a stream of which nothing was told yet.
func NewStream() *Stream { return &Stream{bell: make(chan struct{})} }

// Restart says that anything may have happened up to a number: nobody can be told
// what it was, and whoever listens reads the lists again.
func (s *Stream) Restart(n changes.Number) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.indices, s.from, s.number = nil, 0, n, n
	if s.generation++; s.generation > 1 {
		s.begun = time.Now()
	}
	s.ring()
}

// Publish tells what changes have set.
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

// ring wakes all that wait for more. The caller holds mu.
func (s *Stream) ring() {
	close(s.bell)
	s.bell = make(chan struct{})
}

// Number is that of the last event, and the generation that it is of.
func (s *Stream) Number() (n changes.Number, generation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number, s.generation
}

// After returns what came after a number of a generation, and a bell that rings
// when there is more; ok is false when that cannot be told any more. ended is
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

// ambiguous is for how long after anything may have happened numbers of before may
// come back: that is how long it can take a verifier to reach a server again. One that
// was away for longer has long been going by the lists.
const ambiguous = 10 * time.Minute

// Resumes reports whether a listener that was told up to a number can be told what came
// after it. Soon after a failover that lost changes it cannot: the number may be that
// of a lost one, though another has it by now, of which the listener knows nothing.
func (s *Stream) Resumes(n changes.Number) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n >= s.from && (s.begun.IsZero() || time.Since(s.begun) > ambiguous)
}

// Made returns when the last cut up to a number was made; zero if that was too
// long ago.
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

// Close ends all listening.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.ring()
	}
}
