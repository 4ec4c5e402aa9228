package verify

import (
	"time"
)

// coverage says how much of the server's changes the stream has told. See stream for
// what a generation is.
type coverage struct {
	generation uint64
	// change is the number of the server's change with which the generation began.
	change uint64
	// begun is when it began here; lastByte, when its last byte came.
	begun, lastByte time.Time
	// before is the lastByte of the generation before this one.
	before time.Time
}

func (s *stream) generation() uint64 { return s.coverage.Load().generation }

// covers returns the time up to which the stream has told everything that a list of
// that generation may lack; the zero time if that is not known.
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

// heard notes the time of the stream's last byte. It is called after an event was
// applied, or a heartbeat came. Until the connection has caught up it does nothing:
// the server answers again, but what it revoked during the interruption is still to
// come.
func (s *stream) heard() {
	if !s.caughtUp {
		return
	}
	c := *s.coverage.Load()
	c.lastByte = s.v.cfg.Now()
	s.coverage.Store(&c)
}

// gap begins a new generation: changes may have been missed, so every list and the
// key set are fetched again. Lists of the generation before are complete up to its
// last byte, and not up to the event that announced the gap.
func (s *stream) gap(change uint64) {
	c := s.coverage.Load()
	now := s.v.cfg.Now()
	s.coverage.Store(&coverage{c.generation + 1, change, now, now, c.lastByte})
	s.caughtUp = true
	s.v.lists.refetch()
	s.demandKeys()
}

// lagging is how long another instance of the server may take to learn of a change
// that the streaming instance has already sent.
const lagging = 3 * time.Second

// demandKeys has the key set fetched at once, since a key may have been withdrawn,
// and once more soon: the first answer may come from an instance of the server that
// does not know of the withdrawal yet.
func (s *stream) demandKeys() {
	s.keysFrom.Store(s.v.cfg.Now().UnixNano())
	s.v.keyKeeper.demand()
	time.AfterFunc(lagging, s.v.keyKeeper.demand)
}

// lacksKeys reports whether the key set must still be fetched since demandKeys was
// last called.
func (s *stream) lacksKeys() bool {
	set := s.v.keys.Load()
	return set == nil || set.begun.UnixNano() < s.keysFrom.Load()
}
