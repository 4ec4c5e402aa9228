package throttle

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestNobodyFillsTheLineAlone(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	var leave []func()
	// many joins up to n times, and returns how often it could.
	many := func(n int, of ...string) (joined int) {
		shares := map[string]int{}
		for _, of := range of {
			shares[of] = 4
		}
		for range n {
			out, err := l.join(shares)
			if err != nil {
				if !errors.Is(err, ErrCrowded) || !errors.Is(err, ErrUnheard) {
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
	// It keeps at most mostPressing of them.
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
