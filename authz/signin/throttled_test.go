package signin_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestManyPeopleAtOneAddressSignInAtOnce: they are more than the failures that an address
// may have.
func TestManyPeopleAtOneAddressSignInAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1) // ten from one address
	const people = 12
	for i := range people {
		h.user(fmt.Sprint("person", i), "")
	}
	var all sync.WaitGroup
	for i := range 3 * people {
		all.Go(func() {
			if _, err := h.signIn.Do(t.Context(), fmt.Sprint("person", i%people), secret, signin.Visitor{Address: "192.0.2.1", ClientID: "mobile"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := storagetest.Count(t, h.url, "SELECT COALESCE(SUM(n), 0) FROM guesses"); n != 0 {
		t.Errorf("%d are still counted", n)
	}
}

func TestAttemptsThatAreRefusedCountAgainstNobodyElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2)
	h.user("minji", "")
	// The spelling of a name makes no difference, nor does it matter whether the user
	// exists.
	for _, name := range []string{"minji", "nobody"} {
		for i, spelling := range []string{name, strings.ToUpper(name), " " + name, name + " "} {
			_, err := h.try(spelling, "x", "192.0.2.7")
			tooMany := new(throttle.TooManyError)
			if throttled := errors.As(err, &tooMany); throttled != (i >= 2) || !throttled && !errors.Is(err, signin.ErrWrong) {
				t.Errorf("%q: %v", spelling, err)
			}
		}
	}
	// One address alone cannot use up the failures that an account may have.
	for range 40 {
		if _, err := h.try("minji", "x", "192.0.2.8"); err == nil {
			t.Error("a wrong password signs in")
		}
	}
	if who, err := h.try("minji", secret, "192.0.2.9"); who != "minji" {
		t.Errorf("the owner is locked out: %v", err)
	}
}
