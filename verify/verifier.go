package verify

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// startWait is how long New waits for what it fetches first.
const startWait = 5 * time.Second

// Verifier checks the access tokens of one issuer for one API. It is safe for
// concurrent use.
type Verifier struct {
	cfg        Config
	algorithms []jose.SignatureAlgorithm
	source     source

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
// called. Its errors are faults of the configuration, or the context's.
//
// It fetches the issuer's metadata, keys and status lists, and returns when it
// has them, or after five seconds. That the issuer cannot be reached is no
// error: an API that is started while it is down must come up, and work from
// the moment the issuer does, without anyone restarting it. Until then Verify
// returns ErrUnavailable. Who would rather not start asks State.
func New(ctx context.Context, c Config) (*Verifier, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		cfg:        c,
		algorithms: []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.Algorithm)},
		source:     newSource(c.Issuer, c.HTTPClient),
		lists:      lists{byURI: map[string]*list{}},
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

// Close ends what goes on in the background, and returns when it has ended.
// What is held is used on, until it is too old. Where there was a stream, the issuer
// is told, for two seconds at most, that revocations need not wait for this process
// any more: so call it after the last request was answered, and before a process
// ends, since one that vanishes is waited for.
func (v *Verifier) Close() {
	v.cancel()
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.running.Wait()
	v.stream.leave()
}

// spawn runs f in the background, if there is still one.
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

// Verify checks an access token, as RFC 9068 section 4 has it, and then whether
// it was revoked. What it needs is in memory; only for a key or a status list
// that it has not seen yet does it wait for one to be fetched, three seconds at
// the most. Returns ErrInvalid, ErrExpired, ErrRevoked or ErrUnavailable.
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
	payload, err := v.opened(ctx, token, v.cfg.types()...)
	if err != nil {
		return nil, err
	}
	t, err := v.cfg.read(payload, v.cfg.Now())
	if err != nil {
		return nil, err
	}
	if v.cfg.Status != StatusNone {
		if err := v.standing(ctx, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}
