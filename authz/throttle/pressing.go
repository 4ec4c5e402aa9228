package throttle

import (
	"maps"
	"sync"
	"time"
)

// pressing is from which addresses attempts go on coming though they are throttled.
// Each of these takes a place in the line for as long as the database takes to say so:
// whoever sends as many as they can from two addresses would fill it, and need no
// password for that.
type pressing struct {
	mu sync.Mutex
	of map[string]pressed
}

// pressed is how many were throttled without a pause, and when the last was.
type pressed struct {
	n    int
	last time.Time
}

const (
	// pause is after how long it is forgotten that attempts were throttled, and
	// mostThrottled how many may be until then.
	pause         = 10 * time.Second
	mostThrottled = 20
	// mostPressing bounds of how many addresses it is known.
	mostPressing = 10_000
)

func newPressing() *pressing { return &pressing{of: map[string]pressed{}} }

// note notes that an attempt was throttled.
func (p *pressing) note(address string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, ok := p.of[address]
	if !ok && len(p.of) >= mostPressing {
		maps.DeleteFunc(p.of, func(_ string, one pressed) bool { return now.Sub(one.last) > pause })
		if len(p.of) >= mostPressing {
			return
		}
	}
	if now.Sub(before.last) > pause {
		before.n = 0
	}
	p.of[address] = pressed{before.n + 1, now}
}

// has reports whether an address is one of these.
func (p *pressing) has(address string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of[address]
	return one.n > mostThrottled && now.Sub(one.last) <= pause
}
