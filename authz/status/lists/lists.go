package lists

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/listeners"
)

// ErrNotFound: there is no such list, or not any more.
var ErrNotFound = errors.New("no such status list, or it has ended")

// Store is what the lists are built from.
type Store interface {
	// StatusLists returns all lists.
	StatusLists(ctx context.Context) ([]status.List, error)
	// CloseStatusLists decides that the lists of a purpose that are as good as full,
	// and were opened so long ago, close after a while; none if one of them has
	// closed, or will, later than so long ago. All by the database's clock; now is
	// for the record.
	CloseStatusLists(ctx context.Context, p status.Purpose, after, longAgo time.Duration, now time.Time) error
	// StatusesSet returns what is set: because of these changes, or at all.
	StatusesSet(ctx context.Context, because []changes.Change) ([]Run, error)
	// StatusesClear returns what is not set any more because these clients were
	// enabled again. Tokens that were cut one by one may be among it.
	StatusesClear(ctx context.Context, clients []string) ([]Run, error)
	// ServerEpoch returns the number of the last cut of everything: the lists of
	// before are set from end to end.
	ServerEpoch(ctx context.Context) (changes.Number, error)
	// ChangeNumber returns the number of the last committed change.
	ChangeNumber(ctx context.Context) (changes.Number, error)
}

// Lists is all lists that there are, with their bits, as this process knows
// them. Its methods are safe for concurrent use.
type Lists struct {
	store  Store
	issuer string
	base   status.Base
	sign   func(claims []byte) (string, error)
	maxAge time.Duration
	now    func() time.Time
	// behind says for how long what is known has not been vouched for, age how
	// long ago it was certain that nothing was missing.
	behind, age func() time.Duration
	built       func() <-chan struct{}
	listed      func(took time.Duration)
	stream      *listeners.Stream
	// onDemand bounds how often strangers' requests make the lists be read.
	onDemand *rate.Limiter

	// following is held by whoever sets bits, listing by whoever reads which lists
	// there are: which takes no time, and does not wait for the other.
	following, listing sync.Mutex
	known              atomic.Pointer[map[int64]*list]
	// epoch is the server's: the lists of before are set from end to end. number
	// is the last change that the bits have, and generation how often all of them
	// were read anew because anything may have changed.
	epoch, number, generation atomic.Int64
	// building is how long it took to read all of them, in nanoseconds.
	building atomic.Int64
}

// list is a list with its bits.
type list struct {
	record atomic.Pointer[status.List]
	mu     sync.Mutex // over bits, version, lst, count and signing
	bits   bits
	// version counts how often bits changed, lstOf is that of lst, and of tag, by which
	// caches know it.
	version, lstOf int
	lst, tag       string
	// count is how many bits were set in version countOf.
	count, countOf int
	token          atomic.Pointer[Token]
}

func (h *list) live(now time.Time) bool {
	gone := Gone(*h.record.Load())
	return gone.IsZero() || now.Before(gone)
}

// change changes bits.
func (h *list) change(f func(b bits)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h.bits)
	h.version++
}

// Settings are how lists are served.
type Settings struct {
	Issuer string
	// Base is what their addresses begin with.
	Base status.Base
	// Stream is told what is set, as it happens.
	Stream *listeners.Stream
	// MaxAge is for how long HTTP caches may keep a list and, after that,
	// whoever uses it.
	MaxAge time.Duration
	// Sign signs claims as a token of type TokenType.
	Sign func(claims []byte) (string, error)
	Now  func() time.Time
	// Behind says for how long what is known has not been vouched for; zero or
	// less while it is.
	Behind func() time.Duration
	// Age is how long ago it was known that nothing was missing.
	Age func() time.Duration
	// Built is closed when the lists were read for the first time.
	Built func() <-chan struct{}
	// Listed is told how long a cut took to be in the lists.
	Listed func(took time.Duration)
}

// New returns the lists in store; Follow loads them.
func New(store Store, s Settings) *Lists {
	l := &Lists{
		store: store, issuer: s.Issuer, base: s.Base, sign: s.Sign, maxAge: s.MaxAge, now: s.Now, behind: s.Behind, age: s.Age, built: s.Built, listed: s.Listed,
		stream: s.Stream, onDemand: rate.NewLimiter(2, 2),
	}
	l.known.Store(&map[int64]*list{})
	return l
}

// URIs are all lists that tokens may refer to (section 9).
func (l *Lists) URIs() []string {
	// Read once: a list can be gone the next time.
	now, lists := l.now(), *l.known.Load()
	uris := []string{}
	for _, number := range slices.Sorted(maps.Keys(lists)) {
		if lists[number].live(now) {
			uris = append(uris, l.base.URI(number))
		}
	}
	return uris
}

// State says whether lists can be had.
type State string

// The states that there are.
const (
	// Current: every list is known up to the last second or so.
	Current State = "current"
	// Building: they have yet to be read for the first time.
	Building State = "building"
	// Behind: it could not be read for a while what was cut. Lists are served as of
	// then for as long as anybody may keep one, and after that not at all.
	Behind State = "behind"
)

// State returns the state of the lists.
func (l *Lists) State() State {
	switch {
	case l.behind() <= 0:
		return Current
	case l.generation.Load() == 0:
		return Building
	default:
		return Behind
	}
}

// Await waits for the lists of a process that has just started to be read.
func (l *Lists) Await(ctx context.Context) error {
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case <-l.built():
		return nil
	case <-wait.C:
		return unvouched{}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patience is how long a request waits for the lists of a process that has just
// started. With some ten thousand grants that is long enough, and whoever asks for
// more is told to come again.
const patience = time.Second

// Vouched reports whether what is known may be taken for what there is.
func (l *Lists) Vouched() bool { return l.behind() <= 0 }

// unvouched is the error of a process that does not know what was cut.
type unvouched struct{}

func (unvouched) Error() string { return "what was cut could not be read for too long" }

// Unavailable tells the edge that this is a 503.
func (unvouched) Unavailable() bool { return true }

// find returns a list, which is looked for if it is so new that only the
// database knows it: not for every number that a stranger makes up. Returns
// ErrNotFound.
func (l *Lists) find(ctx context.Context, number int64) (*list, error) {
	h, ok := (*l.known.Load())[number]
	if !ok && number > 0 && l.onDemand.Allow() {
		if err := l.refresh(ctx); err != nil {
			return nil, err
		}
		h, ok = (*l.known.Load())[number]
	}
	if !ok || !h.live(l.now()) {
		return nil, ErrNotFound
	}
	return h, nil
}

// Generation counts how often all lists were read anew, because anything may have
// happened. What was taken from the database under an earlier one may be unknown to
// the database that there is now.
func (l *Lists) Generation() int64 { return l.generation.Load() }

// Usable reports whether tokens may be issued for an index now, and the longest
// that they may live: zero if that is not known.
func (l *Lists) Usable(ctx context.Context, r status.Ref) (life time.Duration, ok bool, err error) {
	if r.List == 0 {
		return 0, false, nil
	}
	if err := l.know(ctx, r.List); err != nil {
		return 0, false, err
	}
	life, ok = l.open(r.List)
	return life, ok, nil
}

// know reads which lists there are if one is not known, or what is known may be
// out of date: a list that is closed without being known to be is as bad as one
// that is taken to be closed and is not.
func (l *Lists) know(ctx context.Context, number int64) error {
	if _, known := (*l.known.Load())[number]; known && l.behind() <= 0 {
		return nil
	}
	return l.refresh(ctx)
}

// Alive reports whether a token that refers to an index may not have expired yet.
func (l *Lists) Alive(r status.Ref) bool {
	h, known := (*l.known.Load())[r.List]
	return known && h.live(l.now())
}

// open is Usable for what is known.
func (l *Lists) open(number int64) (life time.Duration, ok bool) {
	h, known := (*l.known.Load())[number]
	if !known {
		return 0, false
	}
	record := h.record.Load()
	closed := !record.ClosesAt.IsZero() && !l.now().Before(record.ClosesAt)
	return record.Life, !closed && number >= l.epoch.Load()
}

// Maintain decides which lists close. Closing is announced ahead: until then
// every process knows of it.
func (l *Lists) Maintain(ctx context.Context, ahead time.Duration) error {
	var errs []error
	for _, p := range []status.Purpose{status.ForGrants, status.ForClients} {
		var life time.Duration
		for _, h := range *l.known.Load() {
			if record := h.record.Load(); record.Purpose == p {
				life = max(life, record.Life)
			}
		}
		errs = append(errs, l.store.CloseStatusLists(ctx, p, ahead, life+Tail, l.now()))
	}
	return errors.Join(errs...)
}
