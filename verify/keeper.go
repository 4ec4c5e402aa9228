package verify

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// patience is how long a request waits for something to be fetched.
const patience = 3 * time.Second

// keeper fetches one thing again and again, in a goroutine of its own, and
// sooner when it is asked to. Nobody else fetches it: so there is one request
// at a time, however many wait for it, and it does not end because the first
// of them went away.
type keeper struct {
	what string
	// fetch says after how long to fetch again. asked: somebody waits for it.
	fetch func(ctx context.Context, asked bool) (time.Duration, error)
	// limit is how often it can be asked to: strangers' tokens do.
	limit time.Duration
	// slowest is how often a failing one tries again, in the end.
	slowest time.Duration
	now     func() time.Time
	log     *slog.Logger

	wake chan struct{}

	mu sync.Mutex
	// ended is closed when the attempt that is asked for or under way has
	// ended; nil if there is none.
	ended chan struct{}
	begun time.Time
	asked bool
	err   error
}

// ask has it fetched and returns what is closed when that was tried; nil if it
// was tried too short a time ago.
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

// demand has it fetched now, past every cache.
func (k *keeper) demand() {
	k.mu.Lock()
	k.asked = true
	k.mu.Unlock()
	k.poke()
}

// poke has it fetched now, or once more when the attempt under way has ended,
// since that may have begun too early to see what there is to see.
func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// failure is why the last attempt failed; nil if it did not.
func (k *keeper) failure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// run fetches until the context is done, or until stop, asked before each
// attempt, says so.
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

// wait returns when done is closed, or before that because nobody can wait any
// longer. A nil channel is not waited for.
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

// backoff is how long to wait after that many failures: twice as long each
// time, and any part of its upper half, so that a server that comes back is
// not met by everyone at once.
func backoff(failures int, first, most time.Duration) time.Duration {
	d := most
	if failures < 16 {
		d = min(most, first<<(failures-1))
	}
	return d/2 + time.Duration(rand.Int64N(int64(d)/2+1))
}

// age is how long ago that was, by whichever of two clocks says more: the
// monotonic one stands still while the machine is suspended, and what is kept
// would look fresh when it wakes; the wall clock can be set back.
func age(now, then time.Time) time.Duration {
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}
