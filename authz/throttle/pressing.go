package throttle

import (
	"maps"
	"sync"
	"time"
)

// pressing remembers addresses that keep sending attempts although they are throttled.
// These get a smaller part of the line. Each attempt takes a place there until the
// database has said that it is throttled. So an attacker who sends as many as possible
// from two addresses would fill the line, and would not even need a password to check.
type pressing struct {
	mu sync.Mutex
	of map[string]pressed
}

// pressed is how many attempts from one address were throttled without a pause between
// them, and when the last one was.
type pressed struct {
	n    int
	last time.Time
}

const (
	// pause is how long an address must send no throttled attempt for its count to
	// begin again. With more than mostThrottled, the address is pressing.
	pause         = 10 * time.Second
	mostThrottled = 20
	// mostPressing bounds how many addresses are remembered.
	mostPressing = 10_000
)

func newPressing() *pressing { return &pressing{of: map[string]pressed{}} }

// note counts an attempt that was throttled.
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

// has reports whether an address is pressing.
func (p *pressing) has(address string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of[address]
	return one.n > mostThrottled && now.Sub(one.last) <= pause
}
