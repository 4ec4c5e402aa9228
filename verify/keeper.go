package verify

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// patience is how long a request waits for a fetch at most.
const patience = 3 * time.Second

// keeper fetches one document (the key set or a status list) again and again, in a
// goroutine of its own, and sooner when it is asked to. Nothing else fetches that
// document. So there is one fetch at a time, however many requests wait for it, and
// it does not stop when the request that asked for it goes away.
type keeper struct {
	// what names the document in the log.
	what string
	// fetch fetches the document and returns after how long to do so again. asked
	// says that ask or demand was called.
	fetch func(ctx context.Context, asked bool) (time.Duration, error)
	// limit is the shortest time between a fetch and the next that ask causes: a
	// stranger's token can cause one.
	limit time.Duration
	// slowest is the longest pause between attempts that fail.
	slowest time.Duration
	now     func() time.Time
	log     *slog.Logger

	wake chan struct{}

	mu sync.Mutex
	// ended is closed when the attempt that was asked for, or is under way, has
	// ended; nil if there is no attempt.
	ended chan struct{}
	begun time.Time
	asked bool
	err   error
}

// ask has the document fetched. The channel that it returns is closed when the attempt
// has ended; it is nil if the last attempt began less than limit ago, and nothing is
// fetched then.
func (k *keeper) ask() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended == nil {
		if !k.begun.IsZero() && age(k.now(), k.begun) < k.limit {
			return nil
		}
		k.ended = make(chan struct{})
		k.asked = true
		k.poke()
	}
	return k.ended
}

// demand has the document fetched now, whatever limit says, past every cache.
func (k *keeper) demand() {
	k.mu.Lock()
	k.asked = true
	k.mu.Unlock()
	k.poke()
}

// poke has the document fetched now. If an attempt is under way, it is fetched once
// more after it, since that attempt may have begun too early to see the news.
func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// failure returns why the last attempt failed; nil if it succeeded.
func (k *keeper) failure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// run fetches until the context is done, or until stop, which it calls before each
// attempt, returns true.
func (k *keeper) run(ctx context.Context, stop func() bool) {
	failures := 0
	for !stop() && ctx.Err() == nil {
		next, err := k.attempt(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures == 0 {
				k.log.Warn("cannot fetch", "what", k.what, "error", err)
			}
			failures++
			next = backoff(failures, time.Second, k.slowest)
		default:
			if failures > 0 {
				k.log.Info("fetched again", "what", k.what, "failures", failures)
			}
			failures = 0
			// A little early each time, by chance, so that processes that
			// started together do not come back together.
			next -= time.Duration(rand.Int64N(int64(next)/8 + 1))
		}
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-k.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (k *keeper) attempt(ctx context.Context) (time.Duration, error) {
	k.mu.Lock()
	select {
	case <-k.wake:
	default:
	}
	if k.ended == nil {
		k.ended = make(chan struct{})
	}
	asked := k.asked
	k.asked = false
	k.begun = k.now()
	k.mu.Unlock()

	next, err := k.fetch(ctx, asked)

	k.mu.Lock()
	k.err = err
	close(k.ended)
	k.ended = nil
	k.mu.Unlock()
	return next, err
}

// wait returns when done is closed, after patience, or when a context is done. It
// returns at once if done is nil.
func (v *Verifier) wait(ctx context.Context, done <-chan struct{}) {
	if done == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	case <-v.ctx.Done():
	}
}

// backoff returns how long to wait after that many failures. The time doubles with each
// failure, up to most; a random part of its upper half is taken off, so that not all
// verifiers meet a restarted server at once.
func backoff(failures int, first, most time.Duration) time.Duration {
	d := most
	if failures < 16 {
		d = min(most, first<<(failures-1))
	}
	return d/2 + time.Duration(rand.Int64N(int64(d)/2+1))
}

// age returns how much time has passed between then and now, by the monotonic clock or
// the wall clock, whichever says more. The monotonic one stands still while the machine
// is suspended, so that old copies would look fresh when it wakes; the wall clock can be
// set back.
func age(now, then time.Time) time.Duration {
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}
