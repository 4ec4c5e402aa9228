package verify

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"
)

// startWait is how long New waits for its first fetches.
const startWait = 5 * time.Second

// Verifier checks the access tokens of one issuer for one API. It is safe for
// concurrent use.
type Verifier struct {
	cfg    Config
	source source

	ctx    context.Context
	cancel context.CancelFunc

	meta      atomic.Pointer[metadata]
	keys      atomic.Pointer[keySet]
	keyKeeper *keeper
	lists     lists
	stream    *stream
	counts    counts

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// New returns a Verifier that works until the context is done or Close is
// called. It returns an error if the configuration is wrong or the context ends.
//
// New fetches the issuer's metadata, keys and status lists, and returns when it
// has them, or after five seconds. If the issuer cannot be reached, that is no
// error: an API that is started meanwhile must come up, and work as soon as the
// issuer does, without a restart. Until then Verify returns ErrUnavailable. To
// refuse to start instead, look at State.
func New(ctx context.Context, c Config) (*Verifier, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		cfg:    c,
		source: newSource(c.Issuer, c.HTTPClient),
		lists:  lists{byURI: map[string]*list{}},
	}
	v.ctx, v.cancel = context.WithCancel(ctx)
	v.stream = newStream(v, rand.Text())
	v.keyKeeper = v.newKeeper("keys", unknownKeyLimit, 30*time.Second, v.fetchKeys)

	fetched := v.keyKeeper.ask()
	v.spawn(func() { v.keyKeeper.run(v.ctx, func() bool { return false }) })
	ready := make(chan struct{})
	v.spawn(func() {
		defer close(ready)
		select {
		case <-fetched:
		case <-v.ctx.Done():
			return
		}
		if c.Status == StatusStream {
			v.spawn(func() { v.stream.run(v.ctx) })
		}
		if c.Status != StatusNone {
			v.prefetch(v.ctx)
		}
	})
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	select {
	case <-ready:
	case <-timer.C:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// Close stops the work in the background, and returns when it has stopped. Verify
// still works with the keys and lists in memory until they are too old. Where there
// was a stream, Close tells the issuer, which takes two seconds at most, that this
// process has stopped. So call it after the last request was answered and before the
// process ends: otherwise `ingam revoke --wait` goes on waiting for this process.
func (v *Verifier) Close() {
	v.cancel()
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.running.Wait()
	v.stream.leave()
}

// spawn runs f in the background, unless Close was called.
func (v *Verifier) spawn(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.running.Go(f)
	}
}

func (v *Verifier) newKeeper(what string, limit, slowest time.Duration, fetch func(context.Context, bool) (time.Duration, error)) *keeper {
	return &keeper{
		what: what, fetch: fetch, limit: limit, slowest: slowest,
		now: v.cfg.Now, log: v.cfg.Logger, wake: make(chan struct{}, 1),
	}
}

// Verify checks an access token (RFC 9068 section 4), and whether it was revoked. It
// works from memory; only if the token names a key or a status list that is not there
// yet does it wait for a fetch, three seconds at most. It returns ErrInvalid,
// ErrExpired, ErrRevoked or ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, token string) (*Token, error) {
	t, err := v.verify(ctx, token)
	if err != nil {
		v.counts.refuse(err)
		return nil, err
	}
	v.counts.verified.Add(1)
	return t, nil
}

func (v *Verifier) verify(ctx context.Context, token string) (*Token, error) {
	if len(token) > maxTokenLength {
		return nil, invalid(byForm, "it is too long")
	}
	signed, id, err := v.cfg.unwrapped(token)
	if err != nil {
		return nil, err
	}
	payload, err := v.opened(ctx, signed, v.cfg.Algorithm, v.cfg.SharedSecrets, v.cfg.types()...)
	if err != nil {
		return nil, err
	}
	t, err := v.cfg.read(payload, v.cfg.Now())
	if err != nil {
		return nil, err
	}
	if id != "" && id != t.ID {
		// Anyone can encrypt to this API. The issuer answers about an encrypted token by
		// its header, so with another token inside it would answer about another one.
		return nil, invalid(byEncryption, "its header is that of another token")
	}
	if v.cfg.Status != StatusNone {
		if err := v.standing(ctx, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}
