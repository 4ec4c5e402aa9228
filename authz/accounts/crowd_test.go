package accounts_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestWhoIsTurnedAwayForTheCrowdIsNotCounted: one failure is heard here, and would
// lock the user out.
func TestWhoIsTurnedAwayForTheCrowdIsNotCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1)
	h.user("minji", "minji@example.com")
	from := accounts.Visitor{Address: "192.0.2.1"}
	giveBack := h.passwords.Occupy(t)
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
			if err := try(ctx); !errors.Is(err, accounts.ErrCrowded) || errors.Is(err, accounts.ErrWrong) {
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
