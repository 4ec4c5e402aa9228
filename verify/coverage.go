package verify

import (
	"time"
)

// coverage is a generation, when and with which change of the server it began,
// its last byte, and that of the one before.
type coverage struct {
	generation      uint64
	change          uint64
	begun, lastByte time.Time
	before          time.Time
}

func (s *stream) generation() uint64 { return s.coverage.Load().generation }

// covers is up to when a list of that generation is known to be complete; the
// zero time if that is not known.
func (s *stream) covers(generation uint64) time.Time {
	c := s.coverage.Load()
	switch {
	case generation == 0:
		return time.Time{}
	case generation == c.generation:
		return c.lastByte
	case generation+1 == c.generation:
		return c.before
	}
	return time.Time{}
}

// heard is called when something has come, and was applied. It does not count
// before the connection has caught up: to have heard that the server is there
// again is not to know what it did meanwhile.
func (s *stream) heard() {
	if !s.caughtUp {
		return
	}
	c := *s.coverage.Load()
	c.lastByte = s.v.cfg.Now()
	s.coverage.Store(&c)
}

// gap begins a generation. Lists of the one before are complete up to what was
// last heard in it, and not up to what has told of the gap.
func (s *stream) gap(change uint64) {
	c := s.coverage.Load()
	now := s.v.cfg.Now()
	s.coverage.Store(&coverage{c.generation + 1, change, now, now, c.lastByte})
	s.caughtUp = true
	s.v.lists.refetch()
	s.demandKeys()
}

// lagging is how long another instance of the server may take to know of what
// the one that streams has told.
const lagging = 3 * time.Second

// demandKeys has the key set fetched at once, since a key may have been withdrawn;
// and once more soon, should it come from an instance that does not know yet.
func (s *stream) demandKeys() {
	s.keysFrom.Store(s.v.cfg.Now().UnixNano())
	s.v.keyKeeper.demand()
	time.AfterFunc(lagging, s.v.keyKeeper.demand)
}

// lacksKeys reports whether the key set was not fetched since it had to be.
func (s *stream) lacksKeys() bool {
	set := s.v.keys.Load()
	return set == nil || set.begun.UnixNano() < s.keysFrom.Load()
}
