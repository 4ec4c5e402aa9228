package clients

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
)

// remembered bounds the memory that failures take, whatever ids are made up.
const remembered = 20_000

// failures counts failed authentications by client and where they come from,
// within a fixed window. The count is this process's own: it sheds noise, and no safety hangs
// on it, since secrets cannot be guessed.
type failures struct {
	limit  int
	window time.Duration
	now    func() time.Time

	mu     sync.Mutex
	counts *otter.Cache[pair, tally]
}

type pair struct {
	id   string
	from netip.Prefix
}

type tally struct {
	since time.Time
	n     int
}

func newFailures(limit int, window time.Duration, now func() time.Time) *failures {
	return &failures{
		limit: limit, window: window, now: now,
		counts: otter.Must(&otter.Options[pair, tally]{MaximumSize: remembered}),
	}
}

// tooMany reports whether no more failures are taken for now.
func (f *failures) tooMany(id string, from netip.Prefix) bool {
	t, ok := f.counts.GetIfPresent(f.pair(id, from))
	now := f.now()
	return ok && t.n >= f.limit && now.Sub(t.since) < f.window && !now.Before(t.since)
}

func (f *failures) pair(id string, from netip.Prefix) pair {
	// A copy: as a part of the request's body it would keep all of that.
	return pair{strings.Clone(id[:min(len(id), 128)]), from}
}

// add counts one failure and returns how long to wait if there were too many.
func (f *failures) add(id string, from netip.Prefix) time.Duration {
	key := f.pair(id, from)
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.counts.GetIfPresent(key)
	if !ok || now.Sub(t.since) >= f.window || now.Before(t.since) {
		t = tally{since: now}
	}
	t.n++
	f.counts.Set(key, t)
	if t.n <= f.limit {
		return 0
	}
	return seconds(t.since.Add(f.window).Sub(now))
}
