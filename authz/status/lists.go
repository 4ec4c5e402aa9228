package status

import (
	"bytes"
	"context"
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

// mostScopes is how many changes are looked at one by one; more of them, and it
// is less work to look at everything.
const mostScopes = 100

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
	// behind says for how long what is held has not been vouched for.
	behind func() time.Duration
	listed func(took time.Duration)
	stream *Stream
	// onDemand bounds how often strangers' requests make the lists be read.
	onDemand *rate.Limiter

	following sync.Mutex // one at a time reads and changes what is held
	held      atomic.Pointer[map[int64]*held]
	number    atomic.Int64
}

// held is a list with its bits.
type held struct {
	List
	mu      sync.Mutex // over bits, version, lst and signing
	bits    bits
	version int
	lst     string
	lstOf   int
	token   atomic.Pointer[Token]
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
	// Listed is told how long a cut took to be in the lists.
	Listed func(took time.Duration)
}

// NewLists returns the lists in store; Follow loads them.
func NewLists(store Store, s Settings) *Lists {
	l := &Lists{
		store: store, issuer: s.Issuer, sign: s.Sign, maxAge: s.MaxAge, now: s.Now, behind: s.Behind, listed: s.Listed,
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
	now := l.now()
	uris := []string{}
	for _, number := range slices.Sorted(maps.Keys(*l.held.Load())) {
		if (*l.held.Load())[number].live(now) {
			uris = append(uris, URI(l.issuer, number))
		}
	}
	return uris
}

func (h *held) live(now time.Time) bool { return h.Gone().IsZero() || now.Before(h.Gone()) }

// Follow sets what changes set.
func (l *Lists) Follow(ctx context.Context, changed []changes.Change) error {
	l.following.Lock()
	defer l.following.Unlock()
	everything, opened, cut := changed == nil || len(changed) > mostScopes, changed == nil, changed == nil
	for _, ch := range changed {
		everything = everything || ch.Kind == changes.Everything || ch.Kind == changes.Enabled
		opened = opened || ch.Kind == changes.StatusList
		cut = cut || ch.IsCut() || ch.Kind == changes.Enabled
	}
	if !cut && !opened {
		return nil
	}
	// Read before what it stands for, which then is at least that new.
	n, err := l.numberOf(ctx, changed)
	if err != nil {
		return err
	}
	if everything {
		if err := l.load(ctx); err != nil {
			return err
		}
		l.advance(event{number: n, reload: true, changed: changed})
		return nil
	}
	if opened {
		if err := l.load(ctx); err != nil {
			return err
		}
	}
	runs, err := l.store.StatusesSet(ctx, changed)
	if err != nil {
		return err
	}
	l.set(*l.held.Load(), runs)
	if cut {
		l.advance(l.eventOf(n, runs, changed))
	} else {
		l.number.Store(int64(n))
	}
	return nil
}

func (l *Lists) numberOf(ctx context.Context, changed []changes.Change) (changes.Number, error) {
	if len(changed) > 0 {
		return changed[len(changed)-1].Number, nil
	}
	return l.store.ChangeNumber(ctx)
}

func (l *Lists) advance(e event) {
	l.number.Store(int64(e.number))
	l.stream.publish(e)
	for _, ch := range e.changed {
		if ch.IsCut() {
			l.listed(l.now().Sub(ch.At))
		}
	}
}

// load reads all lists and all that is set in them. Bits that are not set any
// more are cleared: that is how a client that was enabled again has its tokens
// back. Call it with following locked.
func (l *Lists) load(ctx context.Context) error {
	lists, err := l.store.StatusLists(ctx)
	if err != nil {
		return err
	}
	runs, err := l.store.StatusesSet(ctx, nil)
	if err != nil {
		return err
	}
	before, next := *l.held.Load(), make(map[int64]*held, len(lists))
	fresh := map[int64]bits{}
	for _, list := range lists {
		fresh[list.Number] = newBits(list.Size)
	}
	for _, run := range runs {
		if b, ok := fresh[run.List]; ok && b.holds(run) {
			b.setRun(run)
		}
	}
	for _, list := range lists {
		h := &held{List: list, bits: fresh[list.Number], version: 1}
		if old, ok := before[list.Number]; ok {
			old.mu.Lock()
			h.version, h.lst, h.lstOf = old.version, old.lst, old.lstOf
			if !bytes.Equal(old.bits, h.bits) {
				h.version++
			}
			old.mu.Unlock()
		}
		next[list.Number] = h
	}
	l.held.Store(&next)
	return nil
}

func (l *Lists) set(lists map[int64]*held, runs []Run) {
	for _, run := range runs {
		h, ok := lists[run.List]
		if !ok {
			continue // gone
		}
		h.mu.Lock()
		if h.bits.holds(run) {
			h.bits.setRun(run)
			h.version++
		}
		h.mu.Unlock()
	}
}

// list returns a list, which is read if it is so new that only the database
// knows it. Returns ErrNotFound.
func (l *Lists) list(ctx context.Context, number int64) (*held, error) {
	h, ok := (*l.held.Load())[number]
	if !ok && number > 0 && l.onDemand.Allow() {
		// What is in them is much more to read than which there are.
		lists, err := l.store.StatusLists(ctx)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(lists, func(list List) bool { return list.Number == number }) {
			if err := l.Reload(ctx); err != nil {
				return nil, err
			}
			h, ok = (*l.held.Load())[number]
		}
	}
	if !ok || !h.live(l.now()) {
		return nil, ErrNotFound
	}
	return h, nil
}

// Reload reads the lists again, whether something changed or not.
func (l *Lists) Reload(ctx context.Context) error {
	l.following.Lock()
	defer l.following.Unlock()
	return l.load(ctx)
}

// unvouched is the error of a process that does not know what was cut.
type unvouched struct{}

func (unvouched) Error() string { return "what was cut could not be read for too long" }

// Unavailable tells the edge that this is a 503.
func (unvouched) Unavailable() bool { return true }

// Token returns the list as a signed token. Returns ErrNotFound. It fails while
// the process does not know what was cut: nothing would be worse than a new
// signature under old news.
func (l *Lists) Token(ctx context.Context, number int64) (*Token, error) {
	h, err := l.list(ctx, number)
	if err != nil {
		return nil, err
	}
	now, n := l.now(), changes.Number(l.number.Load())
	if l.behind() > 0 {
		if t := h.token.Load(); t != nil && now.Sub(t.at) < l.maxAge {
			return t, nil
		}
		return nil, unvouched{}
	}
	if t := l.Signed(number); t != nil {
		return t, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := l.Signed(number); t != nil && t.version == h.version {
		return t, nil
	}
	if h.lstOf != h.version {
		h.lst, h.lstOf = h.bits.encode(), h.version
	}
	t, err := l.signed(h, n, now)
	if err == nil {
		h.token.Store(t)
	}
	return t, err
}

// Signed returns the list as it was signed just now; nil if it has to be signed
// first, or there is no such list.
func (l *Lists) Signed(number int64) *Token {
	h, ok := (*l.held.Load())[number]
	if !ok || l.behind() > 0 {
		return nil
	}
	t, now := h.token.Load(), l.now()
	if t == nil || t.number != changes.Number(l.number.Load()) || now.Sub(t.at) >= resign || now.Before(t.at) || !h.live(now) {
		return nil
	}
	return t
}

// signed makes the token (section 5.1). change is ours: everything up to that
// change is in the list, so that whoever listens to the stream can tell whether
// the list, which may come from another server, is as new as an event.
func (l *Lists) signed(h *held, n changes.Number, now time.Time) (*Token, error) {
	ttl := int64(l.maxAge / time.Second)
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
	}{l.issuer, URI(l.issuer, h.Number), now.Unix(), now.Unix() + l.life(), ttl, n, statusList{1, h.lst}})
	if err != nil {
		return nil, fmt.Errorf("write a status list: %w", err)
	}
	jwt, err := l.sign(claims)
	if err != nil {
		return nil, err
	}
	return &Token{
		Body: []byte(jwt), ETag: []string{fmt.Sprintf(`"%d-%d-%d"`, h.Number, n, now.Unix())},
		Length: []string{strconv.Itoa(len(jwt))}, CacheControl: []string{"public, max-age=" + strconv.FormatInt(ttl, 10)},
		at: now, number: n, version: h.version,
	}, nil
}

// life is for how long a list is good, in seconds: long enough to be kept for as
// long as it may be, and short enough that an old one cannot be passed off as
// the newest for long.
func (l *Lists) life() int64 { return int64(max(time.Minute, 10*l.maxAge) / time.Second) }

// Is reports whether an entity tag is of this list as it is, and the token that
// was sent with it is good for a while.
func (t *Token) Is(etag string) bool {
	at, ok := strings.CutPrefix(strings.TrimSuffix(etag, `"`), t.ETag[0][:strings.LastIndexByte(t.ETag[0], '-')+1])
	if !ok {
		return false
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	return err == nil && t.at.Unix()-seconds < 30 && t.at.Unix() >= seconds
}

// open reports whether a token may be issued for a list now, and the longest
// that it may live.
func (l *Lists) open(number int64) (life time.Duration, ok bool) {
	h, held := (*l.held.Load())[number]
	if !held || !h.ClosesAt.IsZero() && !l.now().Before(h.ClosesAt) {
		return 0, false
	}
	return h.Life, true
}

// Maintain decides which lists close. Closing is announced ahead: until then
// every process knows of it.
func (l *Lists) Maintain(ctx context.Context, ahead time.Duration) error {
	now := l.now()
	var errs []error
	for _, p := range []Purpose{ForGrants, ForClients} {
		var life time.Duration
		for _, h := range *l.held.Load() {
			if h.Purpose == p {
				life = max(life, h.Life)
			}
		}
		errs = append(errs, l.store.CloseStatusLists(ctx, p, now.Add(ahead), now.Add(-life-Tail), now))
	}
	return errors.Join(errs...)
}
