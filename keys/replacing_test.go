package keys_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
)

func TestTheMasterKeyCanBeReplacedWhileItIsInUse(t *testing.T) {
	t.Parallel()
	c := newClock()
	old, oldPath := newMaster(t, "")
	store := newStore(t)
	server := keys.New(store, old, policy, c.now)
	must(t, server.Maintain(t.Context()))
	token := sign(t, server, keys.Tokens)

	both, _ := newMaster(t, oldPath)
	next := keys.New(store, both, policy, c.now)
	must(t, next.Reload(t.Context()))
	n, err := next.Reseal(t.Context(), "test")
	must(t, err)
	if n != 4 {
		t.Errorf("resealed %d keys, want 4", n)
	}
	must(t, keys.New(store, both, policy, c.now).Reload(t.Context()))
	if err := keys.New(store, old, policy, c.now).Reload(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("the old master key still opens: %v", err)
	}
	// A server that still has the old master key continues to work.
	must(t, server.Reload(t.Context()))
	if _, err := server.Verify(keys.Tokens, token, "at+jwt"); err != nil {
		t.Error(err)
	}
}

func TestAWrongMasterKeySealsNothing(t *testing.T) {
	t.Parallel()
	store, c := newStore(t), newClock()
	right, _ := newMaster(t, "")
	wrong, _ := newMaster(t, "")
	k := keys.New(store, right, policy, c.now)
	must(t, k.Maintain(t.Context()))
	// The next key signs now, and the one after it is to be made.
	c.pass(policy.RotateEvery + time.Second)
	if err := keys.New(store, wrong, policy, c.now).Maintain(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("error %v", err)
	}
	must(t, k.Maintain(t.Context()))
	wantStates(t, k, keys.Retired, keys.Active, keys.Published)
	sign(t, k, keys.Tokens)
}
