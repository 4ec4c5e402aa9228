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

// ErrNotFound: there is no such list (any more).
var ErrNotFound = errors.New("no such status list, or it has ended")

// Store reads from the database what the lists are built from.
type Store interface {
	// StatusLists returns all lists.
	StatusLists(ctx context.Context) ([]status.List, error)
	// CloseStatusLists decides which lists of a purpose close, which they do after that
	// time: those that are almost full and were opened at least longAgo before. It
	// closes none if one of the purpose has closed less than longAgo before, or will
	// close. All times are by the database's clock; now is for the audit log.
	CloseStatusLists(ctx context.Context, p status.Purpose, after, longAgo time.Duration, now time.Time) error
	// StatusesSet returns the bits that must be set because of these changes; for nil,
	// all bits that must be set.
	StatusesSet(ctx context.Context, because []changes.Change) ([]Run, error)
	// StatusesClear returns the bits of clients that were enabled again. Among them may
	// be bits of tokens that were revoked one by one, and must stay set.
	StatusesClear(ctx context.Context, clients []string) ([]Run, error)
	// ServerEpoch returns the number of the change that last revoked everything: all
	// bits of lists with a lower number are set.
	ServerEpoch(ctx context.Context) (changes.Number, error)
	// ChangeNumber returns the number of the last committed change.
	ChangeNumber(ctx context.Context) (changes.Number, error)
}

// Lists holds this process's copy of all status lists, with their bits. Its methods are
// safe for concurrent use.
type Lists struct {
	store  Store
	issuer string
	base   status.Base
	sign   func(claims []byte) (string, error)
	maxAge time.Duration
	now    func() time.Time
	// behind, age, built and listed: see Settings.
	behind, age func() time.Duration
	built       func() <-chan struct{}
	listed      func(took time.Duration)
	stream      *listeners.Stream
	// onDemand bounds how often strangers' requests can cause the lists to be read.
	onDemand *rate.Limiter

	// following is locked while bits are set; listing, while refresh reads which lists
	// there are. They are two because refresh is quick, and must not wait until bits
	// are set.
	following, listing sync.Mutex
	known              atomic.Pointer[map[int64]*list]
	// epoch is the server's: all bits of lists with a lower number are set. number is
	// that of the last change that is in the bits. generation counts how often all bits
	// were read anew because anything may have changed.
	epoch, number, generation atomic.Int64
	// building is how long it took to read all bits, in nanoseconds.
	building atomic.Int64
}

// list is one status list with its bits.
type list struct {
	record atomic.Pointer[status.List]
	mu     sync.Mutex // guards bits, version, lst, count and signing
	bits   bits
	// version counts changes of bits. lstOf is the version of which lst is the encoded
	// form, and tag its part of the ETag.
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

// change lets f change the bits.
func (h *list) change(f func(b bits)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h.bits)
	h.version++
}

// Settings are the settings of Lists, and the functions that it calls.
type Settings struct {
	Issuer string
	// Base is the beginning of the lists' addresses.
	Base status.Base
	// Stream is told which bits are set, as soon as they are.
	Stream *listeners.Stream
	// MaxAge is for how long an HTTP cache may keep a list, and for how long after that
	// a verifier may.
	MaxAge time.Duration
	// Sign signs claims as a token of type TokenType.
	Sign func(claims []byte) (string, error)
	Now  func() time.Time
	// Behind, Age and Built are methods of the changes.Watcher that the lists follow:
	// Behind, and Age, and Loaded.
	Behind func() time.Duration
	Age    func() time.Duration
	Built  func() <-chan struct{}
	// Listed is called with the time that passed from a revocation until its bits were
	// set.
	Listed func(took time.Duration)
}

// New returns the lists in store, which Follow reads.
func New(store Store, s Settings) *Lists {
	l := &Lists{
		store: store, issuer: s.Issuer, base: s.Base, sign: s.Sign, maxAge: s.MaxAge, now: s.Now, behind: s.Behind, age: s.Age, built: s.Built, listed: s.Listed,
		stream: s.Stream, onDemand: rate.NewLimiter(2, 2),
	}
	l.known.Store(&map[int64]*list{})
	return l
}

// URIs returns the addresses of all lists that valid tokens may name (section 9).
func (l *Lists) URIs() []string {
	// The clock is read once: a list that is not gone now could be a moment later.
	now, lists := l.now(), *l.known.Load()
	uris := []string{}
	for _, number := range slices.Sorted(maps.Keys(lists)) {
		if lists[number].live(now) {
			uris = append(uris, l.base.URI(number))
		}
	}
	return uris
}

// State says how well this process knows the lists.
type State string

// The states.
const (
	// Current: the lists have every revocation but those of the last second or two.
	Current State = "current"
	// Building: the lists have not been read for the first time yet.
	Building State = "building"
	// Behind: revocations could not be read for a while. The lists are served as they
	// were, with their date, for as long as a verifier may keep a list; after that they
	// are not served.
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

// Await waits until the lists have been read for the first time. If that takes too long,
// it returns an error that is a 503.
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

// patience is how long a request waits, in a process that has just started, for the lists
// to be read. That is long enough for some ten thousand grants; with more, the request is
// told to try again.
const patience = time.Second

// Vouched reports whether the copies in memory are fresh: no revocation is missing but
// those of the last second or two.
func (l *Lists) Vouched() bool { return l.behind() <= 0 }

// unvouched is the error of a process that does not know what was revoked.
type unvouched struct{}

func (unvouched) Error() string { return "what was cut could not be read for too long" }

// Unavailable tells the edge that this is a 503.
func (unvouched) Unavailable() bool { return true }

// find returns a list. One that is not in memory may be new, so the lists are read from
// the database then, but not for every number that a stranger invents. Returns
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
// changed. A block that was taken under an earlier generation may not be in the present
// database, which may have been restored.
func (l *Lists) Generation() int64 { return l.generation.Load() }

// Usable reports whether a token may be issued now that names this place, and how long it
// may live at most; zero if that is not known.
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

// know reads which lists there are, if that list is not in memory or the copies are not
// fresh. Otherwise a token could be issued for a list that has closed in the meantime.
func (l *Lists) know(ctx context.Context, number int64) error {
	if _, known := (*l.known.Load())[number]; known && l.behind() <= 0 {
		return nil
	}
	return l.refresh(ctx)
}

// Alive reports whether there may be tokens naming this place that have not expired.
func (l *Lists) Alive(r status.Ref) bool {
	h, known := (*l.known.Load())[r.List]
	return known && h.live(l.now())
}

// open is Usable by the copy in memory alone.
func (l *Lists) open(number int64) (life time.Duration, ok bool) {
	h, known := (*l.known.Load())[number]
	if !known {
		return 0, false
	}
	record := h.record.Load()
	closed := !record.ClosesAt.IsZero() && !l.now().Before(record.ClosesAt)
	return record.Life, !closed && number >= l.epoch.Load()
}

// Maintain decides which lists close. They close after the time ahead, so that every
// process knows of it before it happens.
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
