package status

import (
	"slices"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

// The bounds of what a Stream remembers, for listeners that were away, and of
// one event: whoever would have to be told more is better off with the lists.
const (
	keptEvents  = 4096
	keptIndices = 1 << 18
	mostIndices = 10_000
)

// event is what one poll of the changes found.
type event struct {
	number changes.Number
	set    []Indices
	// keys is whether a key was withdrawn, among others.
	keys, reload bool
	// anew: anything may have happened before.
	anew   bool
	weight int
}

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
	events  []event
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

func newStream() *Stream { return &Stream{bell: make(chan struct{})} }

// eventOf makes the event of changes that have set runs.
func (l *Lists) eventOf(changed []changes.Change, runs []Run) event {
	byList, total := map[int64]*Indices{}, int64(0)
	e := event{number: changed[len(changed)-1].Number}
	for _, ch := range changed {
		e.keys = e.keys || ch.Kind == changes.Key
	}
	var order []int64
	for _, run := range runs {
		if total += run.Size; total > mostIndices {
			e.reload = true
			return e
		}
		if byList[run.List] == nil {
			byList[run.List] = &Indices{URI: URI(l.issuer, run.List)}
			order = append(order, run.List)
		}
		for i := run.First; i < run.First+run.Size; i++ {
			byList[run.List].Indices = append(byList[run.List].Indices, i)
		}
	}
	for _, number := range order {
		e.set = append(e.set, *byList[number])
	}
	e.weight = int(total)
	return e
}

func (s *Stream) publish(e event, changed []changes.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.anew {
		// Nobody can be told what has happened.
		s.events, s.indices, s.from = nil, 0, e.number
		if s.generation++; s.generation > 1 {
			s.begun = time.Now()
		}
	} else if e.number <= s.number {
		return
	}
	s.number = e.number
	s.events, s.indices = append(s.events, e), s.indices+e.weight
	for len(s.events) > keptEvents || s.indices > keptIndices {
		s.from, s.indices = s.events[0].number, s.indices-s.events[0].weight
		s.events = slices.Delete(s.events, 0, 1)
	}
	for _, ch := range changed {
		if ch.IsCut() {
			s.reached = append(s.reached, reachedAt{ch.Number, ch.At})
		}
	}
	s.reached = s.reached[max(0, len(s.reached)-keptEvents):]
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
	i, found := slices.BinarySearchFunc(s.events, n, func(e event, n changes.Number) int { return int(e.number - n) })
	if found {
		i++
	}
	for _, e := range s.events[i:] {
		events = append(events, Event{e.number, e.set, e.keys, e.reload})
	}
	return events, s.bell, true, s.closed
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
		close(s.bell)
		s.bell = make(chan struct{})
	}
}
