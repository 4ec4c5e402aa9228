package signin_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestWhoIsTurnedAwayForTheCrowdIsNotCounted: the limit here is one failure. If the
// attempts were counted, they would lock the user out.
func TestWhoIsTurnedAwayForTheCrowdIsNotCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1)
	h.user("minji", "minji@example.com")
	from := signin.Visitor{Address: "192.0.2.1"}
	giveBack := h.occupy()
	minji, err := h.users.ByName(t.Context(), "minji")
	if err != nil {
		t.Fatal(err)
	}
	signIn := func(name, password string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := h.signIn.Do(ctx, name, password, from)
			return err
		}
	}
	var all sync.WaitGroup
	for what, try := range map[string]func(context.Context) error{
		"the right password": signIn("minji", secret), "a wrong one": signIn("minji", "wrong"), "nobody's": signIn("nobody", "wrong"),
		"a password that is changed": func(ctx context.Context) error {
			_, err := h.signIn.Change(ctx, minji, secret, "another secret of 4711", "", from)
			return err
		},
	} {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := try(ctx); !errors.Is(err, throttle.ErrCrowded) || errors.Is(err, signin.ErrWrong) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	all.Wait()
	if n := storagetest.Count(t, h.url, "SELECT COALESCE(SUM(n), 0) FROM guesses"); n != 0 {
		t.Errorf("%d are counted", n)
	}
	giveBack()
	if who, err := h.try("minji", secret, "192.0.2.1"); who != "minji" {
		t.Errorf("afterwards: %v", err)
	}
}

// TestACrowdAtAnAccountKeepsItsUserOutOfNoBrowserThatIsKnown also checks that a crowd at
// one address locks nobody out at another.
func TestACrowdAtAnAccountKeepsItsUserOutOfNoBrowserThatIsKnown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	h.user("minji", "minji@example.com")
	known, err := h.signIn.Do(t.Context(), "minji", secret, signin.Visitor{Address: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	giveBack := h.occupy()
	ctx, over := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	// come sends n attempts for minji at once, and waits until turnedAway of them are
	// refused.
	come := func(n, turnedAway int, from string) {
		t.Helper()
		turned := make(chan error, n)
		for range n {
			crowd.Go(func() {
				if _, err := h.signIn.Do(ctx, "minji", "wrong", signin.Visitor{Address: from}); errors.Is(err, throttle.ErrCrowded) {
					turned <- err
				}
			})
		}
		for range turnedAway {
			<-turned
		}
	}
	line := 128 * h.passwords.AtOnce()
	enters := func(what string, want bool, from signin.Visitor) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.signIn.Do(ctx, "minji", secret, from); errors.Is(err, throttle.ErrCrowded) == want {
			t.Errorf("%s: %v", what, err)
		}
	}
	come(line/4+1, 1, "198.51.100.1")
	enters("the crowd's address", false, signin.Visitor{Address: "198.51.100.1"})
	enters("another address", true, signin.Visitor{Address: "192.0.2.1"})
	come(line/4+1, 1, "198.51.100.2")
	enters("another address, of a crowd at two", false, signin.Visitor{Address: "192.0.2.1"})
	enters("a browser that is known", true, signin.Visitor{Address: "192.0.2.1", Device: known.Device})
	over()
	giveBack()
	crowd.Wait()
}

// TestTwoAddressesThatAreThrottledLockNobodyOut: attempts from a throttled address check no
// password, but they do take a place in the line.
func TestTwoAddressesThatAreThrottledLockNobodyOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1)
	addresses := []string{"192.0.2.1", "192.0.2.2"}
	for i := range 30 {
		for _, address := range addresses {
			_, err := h.try("keeper", "wrong", address)
			var tooMany *throttle.TooManyError
			if errors.As(err, &tooMany) != (i > 0) {
				t.Fatalf("attempt %d: %v", i, err)
			}
		}
	}
	giveBack := h.occupy()
	threads := h.passwords.AtOnce()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	turnedAway := make(chan struct{}, 1000*threads)
	var all sync.WaitGroup
	for _, address := range addresses {
		for i := range 100 * threads {
			all.Go(func() {
				_, err := h.signIn.Do(ctx, fmt.Sprint("nobody ", i), "wrong", signin.Visitor{Address: address})
				if errors.Is(err, throttle.ErrCrowded) {
					turnedAway <- struct{}{}
				}
			})
		}
	}
	for range 2 * 30 * threads {
		<-turnedAway
	}
	h.user("minji", "minji@example.com")
	signedIn := make(chan error, 1)
	go func() {
		_, err := h.signIn.Do(ctx, "minji", secret, signin.Visitor{Address: "192.0.2.3"})
		signedIn <- err
	}()
	select {
	case err := <-signedIn:
		t.Errorf("somebody else is turned away: %v", err)
	case <-time.After(200 * time.Millisecond):
		// No password is being checked now.
	}
	giveBack()
	if t.Failed() {
		cancel()
	} else if err := <-signedIn; err != nil {
		t.Error(err)
	}
	cancel()
	all.Wait()
}
