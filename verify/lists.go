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
	// listIdle is for how long a list is still fetched after the last token that
	// pointed to it.
	listIdle = 15 * time.Minute
	// listForgotten is how long after that token the list is dropped from memory.
	// Until then its revocations apply, and lists older than its newest are refused,
	// whether the server can be reached or not.
	listForgotten = longestHeld
	// maxPrefetched bounds how many lists are fetched before a token points to them.
	maxPrefetched = 32
	// maxRemembered bounds how many indices list.remembered holds for one list.
	maxRemembered = 1 << 20
	// clockError is by how much the issuer's clock may differ from ours when we
	// decide whether a list was issued after an event.
	clockError = 5 * time.Minute
)

// list is a status list that tokens point to, and what this process knows of it.
type list struct {
	uri    string
	keeper *keeper
	// held is the newest copy; nil until the list was fetched once.
	held atomic.Pointer[snapshot]
	// used is when a token last pointed to it, in Unix seconds.
	used atomic.Int64
	// kept says that the keeper runs, so that the copy is fetched again and again.
	kept atomic.Bool

	mu sync.Mutex
	// newest is the greatest `iat` that was seen. restored is the value that it had when
	// the server went back to an earlier change, since its database was restored: lists
	// issued until then belong to the history that was lost, and are refused.
	newest, restored time.Time
	// gone: the server says that there is no such list.
	gone bool
	// remembered are the indices that the stream has set. They are set again in each
	// list that is fetched later: a cache may answer with an older list.
	remembered []event
	// total is how many indices remembered holds.
	total int
}

// event is an event of the stream that set indices of one list.
type event struct {
	// at is when it came.
	at time.Time
	// change is the number of the server's change; nil if it has none.
	change  *uint64
	indices []uint64
}

// lists are the status lists that tokens point to, or that the stream has named.
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

// list returns the status list with that address, and begins a new one if there is
// none. The address must be of the issuer's origin: not even a token that the issuer
// has signed may make this process fetch from elsewhere (SSRF).
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

// keep is called when a token points to a list: it has the list fetched again and again
// until no token has pointed to it for listIdle. It reports whether that begins now.
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

// install makes s the newest copy of the list, after it has set in it the bits that the
// stream has told of. It refuses a copy that is older than one that was seen before.
func (l *list) install(s *snapshot) (*snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held.Load()
	numbered := held != nil && held.change != nil && s.change != nil
	later := s.issued.After(l.newest)
	older := s.issued.Before(l.newest)
	if numbered {
		// The clocks of the server's instances may differ; the number of a change is
		// the same for all of them.
		older = !later && *s.change < *held.change || !s.issued.After(l.restored)
	}
	switch {
	case older:
		// An attacker may replay an old list, in which a token is not yet revoked,
		// to use that token again. (Or a cache answered; then the next is newer.)
		return nil, errors.New("it is older than one that was seen before")
	case numbered && *s.change < *held.change:
		l.restored = l.newest
		l.keeper.log.Warn("the server's database was restored: its status list has an earlier change at a later time",
			"list", l.uri, "change", *s.change, "before", *held.change)
	case numbered && s.asOf.Before(held.asOf):
		// The new copy contains all that the one before did, so it is known to be
		// complete for the same moment.
		s.asOf = held.asOf
	}
	if later {
		l.newest = s.issued
	}
	rest := l.remembered[:0]
	l.total = 0
	for _, e := range l.remembered {
		if e.change != nil && s.change != nil && *s.change >= *e.change {
			// The list already knows of this event. If its bits are not set, they
			// were cleared since: a disabled client can be enabled again.
			continue
		}
		for _, i := range e.indices {
			s.set(i)
		}
		// A list that was issued after the event contains it, and older lists are
		// refused from now on: then the event can be forgotten.
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

// patch sets indices in the present copy, and remembers them for copies to come.
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

// refetch has every list fetched now whose keeper runs.
func (ls *lists) refetch() {
	for _, l := range ls.all() {
		if l.kept.Load() {
			l.keeper.poke()
		}
	}
}

// behind reports whether there is a list that was not fetched again since that
// generation of the stream began. Lists count whose keeper runs, and that the server
// still has.
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

// prefetch fetches the issuer's present lists, so that the first request after a start
// need not wait. If it fails, no harm is done: each list is fetched when a token points
// to it.
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
