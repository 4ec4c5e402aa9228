package keys_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
)

func TestSignaturesAreDeterministic(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	first, second := sign(t, k, keys.Refresh), sign(t, k, keys.Refresh)
	if first != second {
		t.Error("the same claims gave two tokens: a retry could not get the same successor")
	}
}

func TestWithoutAMasterKeyRingsVerifyAndDoNotSign(t *testing.T) {
	t.Parallel()
	c := newClock()
	m, _ := newMaster(t, "")
	store := newStore(t)
	whole := keys.New(store, m, policy, c.now)
	must(t, whole.Maintain(t.Context()))
	bare := keys.New(store, nil, policy, c.now)
	must(t, bare.Reload(t.Context()))
	if _, err := bare.Verify(keys.Tokens, sign(t, whole, keys.Tokens), "at+jwt"); err != nil {
		t.Error(err)
	}
	if _, err := bare.Sign(keys.Tokens, "at+jwt", []byte(`{}`)); !errors.Is(err, keys.ErrNoSigningKey) {
		t.Errorf("signed: %v", err)
	}
}

func TestReadingTheRingsAgainChangesNothingUnlessSomethingChanged(t *testing.T) {
	t.Parallel()
	store, c := newStore(t), newClock()
	old, path := newMaster(t, "")
	server, operator := keys.New(store, old, policy, c.now), keys.New(store, old, policy, c.now)
	must(t, server.Maintain(t.Context()))
	must(t, operator.Maintain(t.Context()))
	// read lets the server read the rings a few times, and checks whether the first
	// time changed anything.
	read := func(what string, changes bool) {
		t.Helper()
		before := server.Snapshot()
		must(t, server.Reload(t.Context()))
		after := server.Snapshot()
		if (after != before) != changes {
			t.Errorf("%s: changed is %t", what, after != before)
		}
		for range 3 {
			must(t, server.Reload(t.Context()))
		}
		if server.Snapshot() != after {
			t.Errorf("%s: it changes every time", what)
		}
	}
	read("nothing was done", false)
	c.pass(time.Hour)
	read("an hour later", false)
	_, err := operator.Rotate(t.Context(), keys.Tokens, keys.Intervention{})
	must(t, err)
	read("a rotation", true)
	c.pass(policy.RotateEvery)
	must(t, operator.Maintain(t.Context()))
	read("a key that is new", true)
	must(t, operator.Withdraw(t.Context(), find(t, operator, keys.Refresh, keys.Active).KID, keys.Intervention{Force: true}))
	read("a withdrawal", true)

	// The same keys under another master key.
	next, _ := newMaster(t, path)
	must(t, keys.New(store, next, policy, c.now).Maintain(t.Context()))
	server = keys.New(store, next, policy, c.now)
	read("the first time", true)
}
