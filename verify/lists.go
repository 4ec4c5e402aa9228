package verify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

const (
	// listIdle is for how long a list is kept fresh that no token points to.
	listIdle = 15 * time.Minute
	// listForgotten is after how long it is given up: until then what was
	// revoked stays so, and what was the newest list of that address, whether
	// the server can be reached or not.
	listForgotten = longestHeld
	// maxPrefetched bounds how many lists are fetched before a token asks.
	maxPrefetched = 32
	// maxRemembered bounds the set indices that are remembered of one list.
	maxRemembered = 1 << 20
	// clockError is how far the issuer's clock may be off.
	clockError = 5 * time.Minute
)

// list is a status list that tokens point to.
type list struct {
	uri    string
	keeper *keeper
	held   atomic.Pointer[snapshot]
	// used is when a token pointed to it, in Unix seconds.
	used atomic.Int64
	// kept says that the keeper runs.
	kept atomic.Bool

	mu sync.Mutex
	// newest is the greatest iat that was seen, and restored what it was when the
	// server went back to an earlier change: lists of until then are of another
	// history.
	newest, restored time.Time
	// gone: the server says that there is no such list.
	gone bool
	// remembered are the indices that the stream has set. A list that is
	// fetched later may be an older one, from a cache.
	remembered []event
	total      int
}

// event is indices that were set, and when that was heard of. change is the
// server's, if it was said.
type event struct {
	at      time.Time
	change  *uint64
	indices []uint64
}

// lists are those that tokens point to, or the stream has spoken of.
type lists struct {
	mu    sync.RWMutex
	byURI map[string]*list
}

func (ls *lists) get(uri string) *list {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return ls.byURI[uri]
}

func (ls *lists) all() []*list {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	all := make([]*list, 0, len(ls.byURI))
	for _, l := range ls.byURI {
		all = append(all, l)
	}
	return all
}

// list returns the list with that address, which must be of the issuer's
// origin: even a token that the issuer has signed makes this process fetch
// nothing from elsewhere (SSRF).
func (v *Verifier) list(uri string) (*list, error) {
	if l := v.lists.get(uri); l != nil {
		return l, nil
	}
	if err := v.source.within(uri); err != nil {
		return nil, err
	}
	v.lists.mu.Lock()
	defer v.lists.mu.Unlock()
	if l := v.lists.byURI[uri]; l != nil {
		return l, nil
	}
	now := v.cfg.Now()
	for uri, l := range v.lists.byURI {
		if !l.kept.Load() && now.Unix()-l.used.Load() > int64(listForgotten/time.Second) {
			delete(v.lists.byURI, uri)
		}
	}
	l := &list{uri: uri}
	l.used.Store(now.Unix())
	l.keeper = v.newKeeper("status list "+uri, listLimit, slowestPoll, func(ctx context.Context, asked bool) (time.Duration, error) {
		return v.fetchList(ctx, l)
	})
	v.lists.byURI[uri] = l
	return l, nil
}

// keep has a list fetched from now on, until no token points to it any more,
// and reports whether it was not until now.
func (v *Verifier) keep(l *list) bool {
	now := v.cfg.Now().Unix()
	if l.used.Load() != now {
		l.used.Store(now)
	}
	if l.kept.Load() || !l.kept.CompareAndSwap(false, true) {
		return false
	}
	v.spawn(func() {
		l.keeper.run(v.ctx, func() bool {
			idle := v.cfg.Now().Unix()-l.used.Load() > int64(listIdle/time.Second)
			if idle {
				l.kept.Store(false)
			}
			return idle
		})
	})
	return true
}

// install puts a list in the place of the one that is held, with what the
// stream has said meanwhile.
func (l *list) install(s *snapshot) (*snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held.Load()
	numbered := held != nil && held.change != nil && s.change != nil
	later := s.issued.After(l.newest)
	older := s.issued.Before(l.newest)
	if numbered {
		// The clocks of two instances may differ, the number is the same for all.
		older = !later && *s.change < *held.change || !s.issued.After(l.restored)
	}
	switch {
	case older:
		// Somebody who replays an old list wants a token back that it does not
		// yet call revoked. (Or it comes from a cache; the next will be newer.)
		return nil, errors.New("it is older than one that was seen before")
	case numbered && *s.change < *held.change:
		l.restored = l.newest
		l.keeper.log.Warn("the server's database was restored: its status list has an earlier change at a later time",
			"list", l.uri, "change", *s.change, "before", *held.change)
	case numbered && s.asOf.Before(held.asOf):
		// It has all that the one before had, and was complete up to then.
		s.asOf = held.asOf
	}
	if later {
		l.newest = s.issued
	}
	rest := l.remembered[:0]
	l.total = 0
	for _, e := range l.remembered {
		if e.change != nil && s.change != nil && *s.change >= *e.change {
			// The list has it, or it was taken back since: a client that was
			// disabled can be enabled again.
			continue
		}
		for _, i := range e.indices {
			s.set(i)
		}
		// A list that was issued after it has it, and an older one is not
		// taken any more.
		if s.issued.Before(e.at.Add(clockError)) {
			rest = append(rest, e)
			l.total += len(e.indices)
		}
	}
	clear(l.remembered[len(rest):])
	l.remembered = rest
	l.held.Store(s)
	return s, nil
}

// patch sets indices at once, and remembers them for lists to come.
func (l *list) patch(indices []uint64, change *uint64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.held.Load(); s != nil {
		for _, i := range indices {
			s.set(i)
		}
	}
	l.remembered = append(l.remembered, event{now, change, indices})
	l.total += len(indices)
	for l.total > maxRemembered && len(l.remembered) > 1 {
		l.total -= len(l.remembered[0].indices)
		l.remembered = l.remembered[1:]
	}
}

func (l *list) remembers(index uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.remembered {
		for _, i := range e.indices {
			if i == index {
				return true
			}
		}
	}
	return false
}

// refetch has every list that is kept fetched anew.
func (ls *lists) refetch() {
	for _, l := range ls.all() {
		if l.kept.Load() {
			l.keeper.poke()
		}
	}
}

// behind reports whether a list is kept that was fetched before that
// generation of the stream, and that the server still has.
func (ls *lists) behind(generation uint64) bool {
	for _, l := range ls.all() {
		l.mu.Lock()
		s := l.held.Load()
		late := s != nil && l.kept.Load() && s.generation < generation && !l.gone
		l.mu.Unlock()
		if late {
			return true
		}
	}
	return false
}

// prefetch fetches the lists that there are, so that the first request after a
// start finds them here. That it fails does no harm: each list is fetched when
// a token points to it.
func (v *Verifier) prefetch(ctx context.Context) {
	m := v.meta.Load()
	if m == nil || m.Aggregation == "" {
		return
	}
	doc, err := v.source.get(ctx, request{url: m.Aggregation, accept: "application/json", limit: maxDocument})
	var answer struct {
		Lists []string `json:"status_lists"`
	}
	if err == nil {
		err = json.Unmarshal(doc.body, &answer)
	}
	if err != nil {
		v.cfg.Logger.Info("the list of status lists cannot be fetched", "error", err)
		return
	}
	var fetched []<-chan struct{}
	for _, uri := range answer.Lists[max(0, len(answer.Lists)-maxPrefetched):] {
		if l, err := v.list(uri); err == nil {
			fetched = append(fetched, l.keeper.ask())
			v.keep(l)
		}
	}
	for _, done := range fetched {
		v.wait(ctx, done)
	}
}
