package accounts

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestALongPasswordIsWeighedByItsBeginning: length alone makes none that is not
// guessed first.
func TestALongPasswordIsWeighedByItsBeginning(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("minji", 13) // as long as what is weighed, and more
	u := User{Username: "minji", Email: long + "@test.example"}
	for password, want := range map[string]bool{
		strings.Repeat("a", weighed): true, strings.Repeat("a", weighed+1): true, strings.Repeat("a", MaxPassword): true,
		long + "1!": true,
		// Cut through the middle of a character, which is none.
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
	p, err := newPasswords(0, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := max(1, runtime.GOMAXPROCS(0)/2); p.atOnce != int64(want) {
		t.Errorf("%d threads hash at once, not %d", p.atOnce, want)
	}
	synctest.Test(t, func(t *testing.T) {
		p, err := newPasswords(3, 8, 1)
		if err != nil {
			t.Fatal(err)
		}
		let, hashed := make(chan struct{}), make(chan error, 10)
		var running atomic.Int64
		hash := func(ctx context.Context, threads int64) {
			go func() {
				hashed <- p.hashing(ctx, threads, func() error { running.Add(1); <-let; running.Add(-1); return nil })
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
		if err := <-hashed; !errors.Is(err, errUnheard) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrCrowded) {
			t.Errorf("whoever hung up: %v", err)
		}
		if n := running.Load(); n != 2 {
			t.Errorf("%d hash at once", n)
		}
		// Whoever waits is told with half of the time to spare, of which the clock of
		// this test passes exactly as much.
		if err := <-hashed; !errors.Is(err, errUnheard) || !errors.Is(err, ErrCrowded) || time.Since(began) != 4*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		// What takes more threads than there are has them all, in its turn.
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
	for hash, want := range map[string]int64{
		"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$a2V5": 1, "$argon2i$v=19$m=65536,t=3,p=4$c2FsdA$a2V5": 4, "$argon2id$m=8,p=16,t=1$c2FsdA$a2V5": 16,
		"$argon2id$v=19$m=8,t=1,p=0$c2FsdA$a2V5": 1, "$argon2id$v=19$m=8,t=1,p=999999999999$c2FsdA$a2V5": 1, "$2b$12$p=7$": 1, "": 1,
	} {
		if got := threadsOf(hash); got != want {
			t.Errorf("%s: %d", hash, got)
		}
	}
}

func TestNobodyFillsTheLineAlone(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	var leave []func()
	// many joins as often as it can, n times at most, and returns how often that was.
	many := func(n int, of ...string) (joined int) {
		shares := map[string]int{}
		for _, of := range of {
			shares[of] = 4
		}
		for range n {
			out, err := l.join(shares)
			if err != nil {
				if !errors.Is(err, ErrCrowded) || !errors.Is(err, errUnheard) {
					t.Error(err)
				}
				return joined
			}
			leave = append(leave, out)
			joined++
		}
		return joined
	}
	each := l.most / 4
	if n := many(1000, "account a", "address 1"); n != each {
		t.Errorf("one account from one address: %d of %d", n, l.most)
	}
	if many(1, "account b", "address 1") != 0 || many(1, "account a", "address 2") != 0 {
		t.Error("one more account from the address, or one more address for the account")
	}
	if n := many(10, "account b", "address 2"); n != 10 {
		t.Errorf("%d others", n)
	}
	if n := many(1000); n != l.most-each-10 {
		t.Errorf("%d more until it is full", n)
	}
	if many(1, "account c", "address 3") != 0 {
		t.Error("more than there may be")
	}
	for _, out := range leave {
		out()
	}
	if l.n != 0 || len(l.of) != 0 {
		t.Errorf("%d and %v are left", l.n, l.of)
	}
}

func TestWhoIsThrottledAndGoesOnIsKnownUntilAPause(t *testing.T) {
	t.Parallel()
	p, now := newPressing(), time.Now()
	has := func(want bool, address string) {
		t.Helper()
		if p.has(address, now) != want {
			t.Errorf("%s: %t", address, !want)
		}
	}
	for range mostThrottled {
		p.note("1", now)
		now = now.Add(pause)
	}
	now = now.Add(-pause)
	has(false, "1")
	p.note("1", now)
	has(true, "1")
	has(false, "2")
	now = now.Add(pause + time.Second)
	has(false, "1")
	p.note("1", now)
	has(false, "1")
	// Of no more than so many at a time.
	for i := range 2 * mostPressing {
		p.note(fmt.Sprint("other ", i), now)
	}
	if n := len(p.of); n != mostPressing {
		t.Errorf("%d are known", n)
	}
	now = now.Add(pause + time.Second)
	if p.note("3", now); len(p.of) != 1 {
		t.Errorf("%d are known after a pause", len(p.of))
	}
}
