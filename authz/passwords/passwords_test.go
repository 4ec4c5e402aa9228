package passwords

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/throttle"
)

// TestALongPasswordIsWeighedByItsBeginning: a long password may still be one of the first
// that attackers guess.
func TestALongPasswordIsWeighedByItsBeginning(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("minji", 13) // longer than the part that is weighed
	u := accounts.User{Username: "minji", Email: long + "@test.example"}
	for password, want := range map[string]bool{
		strings.Repeat("a", weighed): true, strings.Repeat("a", weighed+1): true, strings.Repeat("a", MaxLength): true,
		long + "1!": true,
		// The part that is weighed ends in the middle of a character.
		strings.Repeat("a", weighed-1) + "김민지":                                   true,
		"correct horse battery staple, and then as many words more as one likes": false,
		strings.Repeat("4711 secrets of a house ", 10):                           false,
	} {
		if got := guessable(password, u); got != want {
			t.Errorf("%q: %t", password, got)
		}
	}
}

func TestHashingHasABoundedShareOfTheCPUs(t *testing.T) {
	t.Parallel()
	p, err := New(0, Cost{8, 1})
	if err != nil {
		t.Fatal(err)
	}
	if want := max(1, runtime.GOMAXPROCS(0)/2); p.atOnce != int64(want) {
		t.Errorf("%d threads hash at once, not %d", p.atOnce, want)
	}
	synctest.Test(t, func(t *testing.T) {
		p, err := New(3, Cost{8, 1})
		if err != nil {
			t.Fatal(err)
		}
		let, hashed := make(chan struct{}), make(chan error, 10)
		var running atomic.Int64
		hash := func(ctx context.Context, threads int) {
			go func() {
				hashed <- p.InTurn(ctx, threads, func() error { running.Add(1); <-let; running.Add(-1); return nil })
			}()
			synctest.Wait()
		}
		hash(t.Context(), 1)
		hash(t.Context(), 2)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		hash(ctx, 1)
		gone, hangUp := context.WithCancel(ctx)
		hash(gone, 1)
		hangUp()
		if err := <-hashed; !errors.Is(err, throttle.ErrUnheard) || !errors.Is(err, context.Canceled) || errors.Is(err, throttle.ErrCrowded) {
			t.Errorf("whoever hung up: %v", err)
		}
		if n := running.Load(); n != 2 {
			t.Errorf("%d hash at once", n)
		}
		// A caller that waits is refused when half of its time is left. The clock
		// of this test makes that exactly half.
		if err := <-hashed; !errors.Is(err, throttle.ErrUnheard) || !errors.Is(err, throttle.ErrCrowded) || time.Since(began) != 4*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		// A hash that needs more threads than there are gets all of them, in its
		// turn.
		hash(t.Context(), 8)
		hash(t.Context(), 1)
		let <- struct{}{}
		let <- struct{}{}
		synctest.Wait()
		if n := running.Load(); n != 1 {
			t.Errorf("%d hash beside one that takes all threads", n)
		}
		close(let)
		for range 4 {
			if err := <-hashed; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestThreadsOfAHash(t *testing.T) {
	t.Parallel()
	for hash, want := range map[string]int{
		"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$a2V5": 1, "$argon2i$v=19$m=65536,t=3,p=4$c2FsdA$a2V5": 4, "$argon2id$m=8,p=16,t=1$c2FsdA$a2V5": 16,
		"$argon2id$v=19$m=8,t=1,p=0$c2FsdA$a2V5": 1, "$argon2id$v=19$m=8,t=1,p=999999999999$c2FsdA$a2V5": 1, "$2b$12$p=7$": 1, "": 1,
	} {
		if got := threadsOf(hash); got != want {
			t.Errorf("%s: %d", hash, got)
		}
	}
}
