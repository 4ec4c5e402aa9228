package lists

import (
	mathbits "math/bits"
	"time"
)

// Measure is how much the lists are.
type Measure struct {
	// Lists is how many there are, Bits how many statuses they have room for, and Set
	// how many of these are set.
	Lists, Bits, Set int
	// Built is how long it took to read all that is set, the last time that it had to
	// be: at the start, mostly.
	Built time.Duration
}

// Measure returns how much the lists are.
func (l *Lists) Measure() Measure {
	m := Measure{Built: time.Duration(l.building.Load())}
	now := l.now()
	for _, h := range *l.known.Load() {
		if h.live(now) {
			m.Lists++
			m.Bits += len(h.bits) * 8
			m.Set += h.set()
		}
	}
	return m
}

// set is how many statuses are set, counted when they have changed.
func (h *list) set() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.countOf != h.version {
		h.count = 0
		for _, b := range h.bits {
			h.count += mathbits.OnesCount8(b)
		}
		h.countOf = h.version
	}
	return h.count
}
