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

// resign is how long a signed list is served before it is signed again. Nobody needs a
// fresher one, and a stranger who requests it all the time causes one signature in that
// time.
const resign = time.Second

// Token is a status list, signed.
type Token struct {
	Body []byte
	// ETag, Length and CacheControl are the header fields, made once: a list is
	// fetched far more often than it changes.
	ETag, Length, CacheControl []string

	// at is when it was signed, and number the last change that is in it.
	at      time.Time
	number  changes.Number
	version int
	// vouched is whether the copies in memory were fresh when it was signed.
	vouched bool
}

// Token returns a list as a signed token. Its `iat` says for which moment the list is
// complete. That is some time ago while a large revocation is being read, or the database
// cannot be reached. If that is longer ago than a verifier may keep a list, Token returns
// an error instead. So it does until the lists have been read for the first time: in a
// list that only looks empty, revoked tokens would be valid. Returns ErrNotFound if there
// is no such list.
func (l *Lists) Token(ctx context.Context, number int64) (*Token, error) {
	if err := l.Await(ctx); err != nil {
		return nil, err
	}
	// These are read before the bits, so that the bits may be newer than the token
	// says, but never older.
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

// Signed returns the list as it was signed less than a second ago; nil if it must be
// signed first, or there is no such list.
func (l *Lists) Signed(number int64) *Token {
	h, ok := (*l.known.Load())[number]
	if !ok || l.behind() > 0 {
		return nil
	}
	return l.recent(h)
}

// recent returns the list as it was signed less than a second ago, or nil.
func (l *Lists) recent(h *list) *Token {
	t, now := h.token.Load(), l.now()
	if t == nil || t.number != changes.Number(l.number.Load()) || now.Sub(t.at) >= resign || now.Before(t.at) || !h.live(now) {
		return nil
	}
	return t
}

// signed makes and signs the token (section 5.1). Its `iat` is asOf, the moment for which
// the list is complete. The claim `change` is Ingam's own: every change up to that number
// is in the list. By it a listener can tell whether the list, which may come from another
// instance, is as new as an event of the stream. If the list is not vouched for, HTTP
// caches may keep it for less time, by as much as it is old: otherwise a verifier, which
// counts the ttl from when it got the list, would use it longer than a fresh one.
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
		// The ETag has a hash of the content: after a failover that lost changes, or a
		// restore, another content can have the same number of change.
		Body: []byte(jwt), ETag: []string{fmt.Sprintf(`"%d-%d-%s.%d"`, number, n, h.tag, now.Unix())},
		Length: []string{strconv.Itoa(len(jwt))}, CacheControl: []string{"public, max-age=" + strconv.FormatInt(kept, 10)},
		at: now, number: n, version: h.version, vouched: vouched,
	}, nil
}

// life returns for how long a list is valid, in seconds. It is longer than caches and
// verifiers may keep a list, and so short that nobody can pass an old list off as the
// newest for long.
func (l *Lists) life() int64 { return int64(max(time.Minute, 10*l.maxAge) / time.Second) }

// Is reports whether an ETag belongs to this content of the list, and to a token that was
// signed less than 30 s before this one, so that it is still valid for a while.
func (t *Token) Is(etag string) bool {
	at, ok := strings.CutPrefix(strings.TrimSuffix(etag, `"`), t.ETag[0][:strings.LastIndexByte(t.ETag[0], '.')+1])
	if !ok {
		return false
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	return err == nil && t.at.Unix()-seconds < 30 && t.at.Unix() >= seconds
}
