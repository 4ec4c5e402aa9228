package lists

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

// TokenType is the `typ` of a status list token (section 5.1).
const TokenType = "statuslist+jwt"

// resign is how old a signed list may be: nothing asks for a fresher one, and a
// stranger who asks all the time costs one signature of it.
const resign = time.Second

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
	h, err := l.find(ctx, number)
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

// Signed returns the list as it was signed just now; nil if it has to be signed
// first, or there is no such list.
func (l *Lists) Signed(number int64) *Token {
	h, ok := (*l.known.Load())[number]
	if !ok || l.behind() > 0 {
		return nil
	}
	return l.recent(h)
}

// recent is a list as it was signed just now, or nil.
func (l *Lists) recent(h *list) *Token {
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
func (l *Lists) signed(number int64, h *list, n changes.Number, now, asOf time.Time, vouched bool) (*Token, error) {
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
	}{l.issuer, l.base.URI(number), asOf.Unix(), asOf.Unix() + l.life(), ttl, n, statusList{1, h.lst}})
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
