package lists

import (
	mathbits "math/bits"
	"time"
)

// Measure is the size of all lists, in numbers for metrics.
type Measure struct {
	// Lists is how many lists there are, Bits how many bits they have, and Set how many
	// of these are set.
	Lists, Bits, Set int
	// Built is how long it took to read all bits, the last time that this was needed
	// (at the start, most often).
	Built time.Duration
}

// Measure returns the size of all lists.
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

// set returns how many bits are set. It counts them only after they have changed.
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
