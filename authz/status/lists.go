package status

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/ingam/ingam/authz/changes"
)

// TokenType is the `typ` of a status list token (section 5.1).
const TokenType = "statuslist+jwt"

// resign is how old a signed list may be: nothing asks for a fresher one, and a
// stranger who asks all the time costs one signature of it.
const resign = time.Second

// Lists is all lists that there are, with their bits, as this process knows
// them. Its methods are safe for concurrent use.
type Lists struct {
	store  Store
	issuer string
	sign   func(claims []byte) (string, error)
	maxAge time.Duration
	now    func() time.Time
	// behind says for how long what is held has not been vouched for, age how
	// long ago it was known that nothing was missing.
	behind, age func() time.Duration
	built       func() <-chan struct{}
	listed      func(took time.Duration)
	stream      *Stream
	// onDemand bounds how often strangers' requests make the lists be read.
	onDemand *rate.Limiter

	// following is held by whoever sets bits, listing by whoever reads which lists
	// there are: which takes no time, and does not wait for the other.
	following, listing sync.Mutex
	held               atomic.Pointer[map[int64]*held]
	// epoch is the server's: the lists of before are set from end to end. number
	// is the last change that the bits have, and generation how often all of them
	// were read anew because anything may have changed.
	epoch, number, generation atomic.Int64
	// building is how long it took to read all of them, in nanoseconds.
	building atomic.Int64
}

// held is a list with its bits.
type held struct {
	record atomic.Pointer[List]
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

func (h *held) live(now time.Time) bool {
	gone := h.record.Load().Gone()
	return gone.IsZero() || now.Before(gone)
}

// change changes bits.
func (h *held) change(f func(b bits)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h.bits)
	h.version++
}

// Token is a signed list.
type Token struct {
	Body []byte
	// ETag, Length and CacheControl are the header fields, made once: a list is
	// fetched far more often than it changes.
	ETag, Length, CacheControl []string

	at      time.Time
	number  changes.Number
	version int
	// vouched is whether nothing was missing in it when it was signed, as far as
	// anybody could know.
	vouched bool
}

// Settings are how lists are served.
type Settings struct {
	Issuer string
	// MaxAge is for how long HTTP caches may keep a list and, after that,
	// whoever uses it.
	MaxAge time.Duration
	// Sign signs claims as a token of type TokenType.
	Sign func(claims []byte) (string, error)
	Now  func() time.Time
	// Behind says for how long what is held has not been vouched for; zero or
	// less while it is.
	Behind func() time.Duration
	// Age is how long ago it was known that nothing was missing.
	Age func() time.Duration
	// Built is closed when the lists were read for the first time.
	Built func() <-chan struct{}
	// Listed is told how long a cut took to be in the lists.
	Listed func(took time.Duration)
}

// NewLists returns the lists in store; Follow loads them.
func NewLists(store Store, s Settings) *Lists {
	l := &Lists{
		store: store, issuer: s.Issuer, sign: s.Sign, maxAge: s.MaxAge, now: s.Now, behind: s.Behind, age: s.Age, built: s.Built, listed: s.Listed,
		stream: newStream(), onDemand: rate.NewLimiter(2, 2),
	}
	l.held.Store(&map[int64]*held{})
	return l
}

// Stream is what has been set, as it happens.
func (l *Lists) Stream() *Stream { return l.stream }

// Path is where the lists are, below the issuer.
const Path = "/oauth2/status/"

// URI is where a list of an issuer is.
func URI(issuer string, list int64) string { return issuer + Path + strconv.FormatInt(list, 10) }

// ListOf is the inverse of URI; 0 for what is no list of the issuer.
func ListOf(issuer, uri string) int64 {
	text, is := strings.CutPrefix(uri, issuer+Path)
	number, err := strconv.ParseInt(text, 10, 64)
	if !is || err != nil || number < 1 || URI(issuer, number) != uri {
		return 0
	}
	return number
}

// URIs are all lists that tokens may refer to (section 9).
func (l *Lists) URIs() []string {
	// Read once: a list can be gone the next time.
	now, lists := l.now(), *l.held.Load()
	uris := []string{}
	for _, number := range slices.Sorted(maps.Keys(lists)) {
		if lists[number].live(now) {
			uris = append(uris, URI(l.issuer, number))
		}
	}
	return uris
}

// Follow sets what changes set.
func (l *Lists) Follow(ctx context.Context, changed []changes.Change) error {
	l.following.Lock()
	defer l.following.Unlock()
	if changed == nil {
		return l.followAnything(ctx)
	}
	var opened, cut, everything bool
	var enabled []string
	for _, ch := range changed {
		opened = opened || ch.Kind == changes.StatusList
		everything = everything || ch.Kind == changes.Everything
		cut = cut || ch.IsCut()
		if ch.Kind == changes.Enabled {
			enabled = append(enabled, ch.Subject)
		}
	}
	if opened || everything {
		if err := l.refresh(ctx); err != nil {
			return err
		}
	}
	if len(enabled) > 0 {
		if err := l.clear(ctx, enabled); err != nil {
			return err
		}
	}
	if !cut && len(enabled) == 0 {
		return nil
	}
	runs, err := l.store.StatusesSet(ctx, changed)
	if err != nil {
		return err
	}
	l.set(runs)
	e := l.eventOf(changed, runs)
	e.reload = e.reload || everything || len(enabled) > 0
	l.advance(e, changed)
	return nil
}

// followAnything reads all lists and all that is set in them.
func (l *Lists) followAnything(ctx context.Context) error {
	began := time.Now()
	// Before what it stands for, which then is at least that new.
	n, err := l.store.ChangeNumber(ctx)
	if err != nil {
		return err
	}
	if err := l.refresh(ctx); err != nil {
		return err
	}
	runs, err := l.store.StatusesSet(ctx, nil)
	if err != nil {
		return err
	}
	fresh := map[int64]bits{}
	lists := *l.held.Load()
	for number, h := range lists {
		fresh[number] = newBits(h.record.Load().Size)
	}
	for _, run := range runs {
		if b, ok := fresh[run.List]; ok && b.holds(run) {
			b.setRun(run)
		}
	}
	for number, h := range lists {
		h.change(func(b bits) { copy(b, fresh[number]) })
	}
	l.generation.Add(1)
	l.building.Store(int64(time.Since(began)))
	l.advance(event{number: n, anew: true, reload: true}, nil)
	return nil
}

func (l *Lists) advance(e event, changed []changes.Change) {
	l.number.Store(int64(e.number))
	l.stream.publish(e, changed)
	for _, ch := range changed {
		if ch.IsCut() {
			l.listed(l.now().Sub(ch.At))
		}
	}
}

// refresh reads which lists there are, and since when. A list that was not held
// is empty: what is set in it comes with changes that are yet to be followed.
func (l *Lists) refresh(ctx context.Context) error {
	l.listing.Lock()
	defer l.listing.Unlock()
	lists, err := l.store.StatusLists(ctx)
	if err != nil {
		return err
	}
	epoch, err := l.store.ServerEpoch(ctx)
	if err != nil {
		return err
	}
	before, next := *l.held.Load(), make(map[int64]*held, len(lists))
	for _, list := range lists {
		h, ok := before[list.Number]
		if !ok || int64(len(h.bits))*8 < list.Size {
			h = &held{bits: newBits(list.Size), version: 1}
		}
		h.record.Store(&list)
		if list.Number < int64(epoch) {
			h.change(func(b bits) { b.setRun(Run{List: list.Number, Size: list.Size}) })
		}
		next[list.Number] = h
	}
	l.held.Store(&next)
	l.epoch.Store(int64(epoch))
	return nil
}

func (l *Lists) set(runs []Run) {
	lists := *l.held.Load()
	byList := map[int64][]Run{}
	for _, run := range runs {
		byList[run.List] = append(byList[run.List], run)
	}
	for number, runs := range byList {
		if h, ok := lists[number]; ok { // else it is gone
			h.change(func(b bits) {
				for _, run := range runs {
					if b.holds(run) {
						b.setRun(run)
					}
				}
			})
		}
	}
}

// clear gives clients that were enabled again their tokens back, but for those
// that were cut one by one meanwhile or before.
func (l *Lists) clear(ctx context.Context, clients []string) error {
	clear, err := l.store.StatusesClear(ctx, clients)
	if err != nil {
		return err
	}
	set, err := l.store.StatusesSet(ctx, nil)
	if err != nil {
		return err
	}
	lists := *l.held.Load()
	for number, h := range lists {
		h.change(func(b bits) {
			for _, run := range clear {
				if run.List == number && b.holds(run) {
					b.clearRun(run)
				}
			}
			for _, run := range set {
				if run.List == number && b.holds(run) {
					b.setRun(run)
				}
			}
		})
	}
	return nil
}

// list returns a list, which is looked for if it is so new that only the
// database knows it: not for every number that a stranger makes up. Returns
// ErrNotFound.
func (l *Lists) list(ctx context.Context, number int64) (*held, error) {
	h, ok := (*l.held.Load())[number]
	if !ok && number > 0 && l.onDemand.Allow() {
		if err := l.refresh(ctx); err != nil {
			return nil, err
		}
		h, ok = (*l.held.Load())[number]
	}
	if !ok || !h.live(l.now()) {
		return nil, ErrNotFound
	}
	return h, nil
}

// unvouched is the error of a process that does not know what was cut.
type unvouched struct{}

func (unvouched) Error() string { return "what was cut could not be read for too long" }

// Unavailable tells the edge that this is a 503.
func (unvouched) Unavailable() bool { return true }

// Token returns the list as a signed token. Returns ErrNotFound. It says of when it
// is: while a cut of very much is being read, or the database cannot be, that is a
// while ago. It fails once that is longer than anybody may keep a list, and until the
// lists have been read for the first time: a list that only looks empty would let
// revoked tokens pass.
func (l *Lists) Token(ctx context.Context, number int64) (*Token, error) {
	if err := l.Await(ctx); err != nil {
		return nil, err
	}
	// Before the bits: they may be newer than what they are said to be, and never
	// older.
	now, n := l.now(), changes.Number(l.number.Load())
	asOf := now.Add(-max(0, l.age()))
	h, err := l.list(ctx, number)
	if err != nil {
		return nil, err
	}
	vouched := l.behind() <= 0
	if !vouched && l.age() > l.maxAge {
		return nil, unvouched{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := l.recent(h); t != nil && t.version == h.version && t.vouched == vouched {
		return t, nil
	}
	if h.lstOf != h.version {
		h.lst, h.lstOf = h.bits.encode(), h.version
		sum := sha256.Sum256([]byte(h.lst))
		h.tag = base64.RawURLEncoding.EncodeToString(sum[:9])
	}
	t, err := l.signed(number, h, n, now, asOf, vouched)
	if err == nil {
		h.token.Store(t)
	}
	return t, err
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

// Vouched reports whether what is held may be taken for what there is.
func (l *Lists) Vouched() bool { return l.behind() <= 0 }

// Signed returns the list as it was signed just now; nil if it has to be signed
// first, or there is no such list.
func (l *Lists) Signed(number int64) *Token {
	h, ok := (*l.held.Load())[number]
	if !ok || l.behind() > 0 {
		return nil
	}
	return l.recent(h)
}

// recent is a list as it was signed just now, or nil.
func (l *Lists) recent(h *held) *Token {
	t, now := h.token.Load(), l.now()
	if t == nil || t.number != changes.Number(l.number.Load()) || now.Sub(t.at) >= resign || now.Before(t.at) || !h.live(now) {
		return nil
	}
	return t
}

// signed makes the token (section 5.1), issued when it was last known that nothing
// was missing in it. change is ours: everything up to that
// change is in the list, so that whoever listens to the stream can tell whether
// the list, which may come from another server, is as new as an event. If it is not
// vouched for, HTTP caches may keep it for as much less as it is old: whoever counts its
// ttl from then on would go by it for longer than by any other.
func (l *Lists) signed(number int64, h *held, n changes.Number, now, asOf time.Time, vouched bool) (*Token, error) {
	ttl := int64(l.maxAge / time.Second)
	kept := ttl
	if !vouched {
		kept = max(0, ttl-int64(now.Sub(asOf)/time.Second))
	}
	type statusList struct {
		Bits int    `json:"bits"`
		Lst  string `json:"lst"`
	}
	claims, err := json.Marshal(struct {
		Issuer    string         `json:"iss"`
		Subject   string         `json:"sub"`
		IssuedAt  int64          `json:"iat"`
		ExpiresAt int64          `json:"exp"`
		TTL       int64          `json:"ttl"`
		Change    changes.Number `json:"change"`
		List      statusList     `json:"status_list"`
	}{l.issuer, URI(l.issuer, number), asOf.Unix(), asOf.Unix() + l.life(), ttl, n, statusList{1, h.lst}})
	if err != nil {
		return nil, fmt.Errorf("write a status list: %w", err)
	}
	jwt, err := l.sign(claims)
	if err != nil {
		return nil, err
	}
	return &Token{
		// With its content: after a failover that lost changes, or a restore, another
		// list can be of the same change.
		Body: []byte(jwt), ETag: []string{fmt.Sprintf(`"%d-%d-%s.%d"`, number, n, h.tag, now.Unix())},
		Length: []string{strconv.Itoa(len(jwt))}, CacheControl: []string{"public, max-age=" + strconv.FormatInt(kept, 10)},
		at: now, number: n, version: h.version, vouched: vouched,
	}, nil
}

// life is for how long a list is good, in seconds: long enough to be kept for as
// long as it may be, and short enough that an old one cannot be passed off as
// the newest for long.
func (l *Lists) life() int64 { return int64(max(time.Minute, 10*l.maxAge) / time.Second) }

// Is reports whether an entity tag is of this list as it is, and the token that
// was sent with it is good for a while.
func (t *Token) Is(etag string) bool {
	at, ok := strings.CutPrefix(strings.TrimSuffix(etag, `"`), t.ETag[0][:strings.LastIndexByte(t.ETag[0], '.')+1])
	if !ok {
		return false
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	return err == nil && t.at.Unix()-seconds < 30 && t.at.Unix() >= seconds
}

// Usable reports whether tokens may be issued for an index now, and the longest
// that they may live: zero if that is not known.
func (l *Lists) Usable(ctx context.Context, r Ref) (life time.Duration, ok bool, err error) {
	if r.List == 0 {
		return 0, false, nil
	}
	if err := l.know(ctx, r.List); err != nil {
		return 0, false, err
	}
	life, ok = l.open(r.List)
	return life, ok, nil
}

// know reads which lists there are if one is not held, or what is held may be
// out of date: a list that is closed without being known to be is as bad as one
// that is taken to be closed and is not.
func (l *Lists) know(ctx context.Context, number int64) error {
	if _, held := (*l.held.Load())[number]; held && l.behind() <= 0 {
		return nil
	}
	return l.refresh(ctx)
}

// Alive reports whether a token that refers to an index may not have expired yet.
func (l *Lists) Alive(r Ref) bool {
	h, held := (*l.held.Load())[r.List]
	return held && h.live(l.now())
}

// open is Usable for what is held.
func (l *Lists) open(number int64) (life time.Duration, ok bool) {
	h, held := (*l.held.Load())[number]
	if !held {
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
	for _, p := range []Purpose{ForGrants, ForClients} {
		var life time.Duration
		for _, h := range *l.held.Load() {
			if record := h.record.Load(); record.Purpose == p {
				life = max(life, record.Life)
			}
		}
		errs = append(errs, l.store.CloseStatusLists(ctx, p, ahead, life+Tail, l.now()))
	}
	return errors.Join(errs...)
}
