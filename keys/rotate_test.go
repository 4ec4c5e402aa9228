package keys_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
)

func TestRotateWaitsUntilEveryVerifierMustKnowTheNextKey(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	old := find(t, k, keys.Tokens, keys.Active)
	next, err := k.Rotate(t.Context(), keys.Tokens, keys.Intervention{Actor: "test"})
	must(t, err)
	if want := next.PublishedAt.Add(policy.PublishAhead(keys.Tokens)); !next.SignsFrom.Equal(want) {
		t.Errorf("signs from %s, want %s", next.SignsFrom, want)
	}
	again, err := k.Rotate(t.Context(), keys.Tokens, keys.Intervention{Actor: "test"})
	must(t, err)
	if again.KID != next.KID || !again.SignsFrom.Equal(next.SignsFrom) {
		t.Error("asking again moved it")
	}
	_, err = k.Rotate(t.Context(), keys.Tokens, keys.Intervention{Now: true, Actor: "test"})
	if !errors.Is(err, keys.ErrTooFresh) {
		t.Errorf("at once, with a fresh key: %v", err)
	}
	if find(t, k, keys.Tokens, keys.Active).KID != old.KID {
		t.Error("a refused rotation rotated")
	}
	c.pass(policy.PublishAhead(keys.Tokens))
	if find(t, k, keys.Tokens, keys.Active).KID != next.KID {
		t.Error("the next key does not sign when it is due")
	}
}

func TestRotateNowSignsAtOnceAndPublishesAnother(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	before := find(t, k, keys.Tokens, keys.Published)
	c.pass(policy.PublishAhead(keys.Tokens))
	next, err := k.Rotate(t.Context(), keys.Tokens, keys.Intervention{Now: true, Actor: "test"})
	must(t, err)
	if next.KID != before.KID || next.State != keys.Active {
		t.Errorf("got %+v", next)
	}
	wantStates(t, k, keys.Retired, keys.Active, keys.Published)
	if _, err := k.Rotate(t.Context(), keys.Tokens, keys.Intervention{Now: true, Actor: "test"}); !errors.Is(err, keys.ErrTooFresh) {
		t.Errorf("once more: %v", err)
	}
	_, err = k.Rotate(t.Context(), keys.Tokens, keys.Intervention{Now: true, Force: true, Actor: "test"})
	must(t, err)
	wantStates(t, k, keys.Retired, keys.Retired, keys.Active, keys.Published)
}

func TestWithdrawEndsAKeyInEveryState(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	c.pass(policy.PublishAhead(keys.Tokens))
	_, err := k.Rotate(t.Context(), keys.Tokens, keys.Intervention{Now: true, Actor: "test"})
	must(t, err)
	retired, active, published := find(t, k, keys.Tokens, keys.Retired), find(t, k, keys.Tokens, keys.Active), find(t, k, keys.Tokens, keys.Published)
	token := sign(t, k, keys.Tokens)

	must(t, k.Withdraw(t.Context(), retired.KID, keys.Intervention{Actor: "test"}))
	if err := k.Withdraw(t.Context(), active.KID, keys.Intervention{Actor: "test"}); !errors.Is(err, keys.ErrTooFresh) {
		t.Errorf("the active one, with a fresh successor: %v", err)
	}
	c.pass(policy.PublishAhead(keys.Tokens))
	must(t, k.Withdraw(t.Context(), active.KID, keys.Intervention{Actor: "test"}))
	if find(t, k, keys.Tokens, keys.Active).KID != published.KID {
		t.Error("the successor did not take over")
	}
	if _, err := k.Verify(keys.Tokens, token, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
		t.Errorf("a token of the withdrawn key: %v", err)
	}
	fresh := find(t, k, keys.Tokens, keys.Published)
	must(t, k.Withdraw(t.Context(), fresh.KID, keys.Intervention{Actor: "test"}))
	if find(t, k, keys.Tokens, keys.Published).KID == fresh.KID {
		t.Error("the withdrawn successor was not replaced")
	}
	body, _ := k.JWKS()
	for _, kid := range []string{retired.KID, active.KID, fresh.KID} {
		if slices.Contains(kids(t, body), kid) {
			t.Errorf("the withdrawn key %s is in the key set", kid)
		}
	}
	if err := k.Withdraw(t.Context(), fresh.KID, keys.Intervention{}); !errors.Is(err, keys.ErrEnded) {
		t.Errorf("once more: %v", err)
	}
	if err := k.Withdraw(t.Context(), "nobody", keys.Intervention{}); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestAChangeNamesEveryKeyThatItTouches(t *testing.T) {
	t.Parallel()
	c := keys.Change{
		Move:    []keys.Move{{KID: "m"}},
		Insert:  []keys.Record{{KID: "i", Ring: keys.Tokens}, {KID: "j", Ring: keys.Tokens}},
		Reseal:  map[string][]byte{"s": nil, "r": nil},
		Destroy: []string{"d"}, Delete: []string{"e", "f"},
	}
	want := map[string]string{
		"signs_from_changed": "m", "inserted": "i j", "ring": "tokens", "resealed": "r s",
		"private_key_destroyed": "d", "deleted": "e f",
	}
	if got := c.Details(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAKeyWithoutASuccessorIsNotWithdrawnUnlessForced(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	// The next key begins to sign, and nobody has made the one after it yet.
	c.pass(policy.RotateEvery + time.Second)
	active := find(t, k, keys.Tokens, keys.Active).KID
	if err := k.Withdraw(t.Context(), active, keys.Intervention{}); !errors.Is(err, keys.ErrTooFresh) {
		t.Errorf("error %v", err)
	}
	sign(t, k, keys.Tokens)
	must(t, k.Withdraw(t.Context(), active, keys.Intervention{Force: true}))
	sign(t, k, keys.Tokens)
}

func TestAKeyThatCannotBeOpenedDoesNotKeepAWithdrawalFromTakingEffect(t *testing.T) {
	t.Parallel()
	store, c := newStore(t), newClock()
	old, path := newMaster(t, "")
	server := keys.New(store, old, policy, c.now)
	must(t, server.Maintain(t.Context()))
	token := sign(t, server, keys.Tokens)
	kid := find(t, server, keys.Tokens, keys.Active).KID

	// An operator already has the next master key; this server does not.
	next, _ := newMaster(t, path)
	operator := keys.New(store, next, policy, c.now)
	must(t, operator.Reload(t.Context()))
	_, err := operator.Rotate(t.Context(), keys.Tokens, keys.Intervention{Now: true, Force: true})
	must(t, err)
	must(t, operator.Withdraw(t.Context(), kid, keys.Intervention{Force: true}))

	if err := server.Reload(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("error %v", err)
	}
	if _, err := server.Verify(keys.Tokens, token, "at+jwt"); err == nil {
		t.Error("the withdrawn key verifies")
	}
	if body, _ := server.JWKS(); slices.Contains(kids(t, body), kid) {
		t.Error("the withdrawn key is published")
	}
	if token, err := server.Sign(keys.Tokens, "at+jwt", []byte(`{}`)); err == nil {
		if v, err := server.Verify(keys.Tokens, token, "at+jwt"); err != nil || v.KID == kid {
			t.Errorf("a key signs that does not verify: %v", err)
		}
	}
}

func TestATrialShowsWhatAChangeWouldDo(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	ctx := t.Context()
	before := k.List()
	signs, err := k.SignsNow(keys.Tokens)
	must(t, err)

	tried, err := k.Trial(ctx)
	must(t, err)
	next, err := tried.Rotate(ctx, keys.Tokens, keys.Intervention{Now: true, Force: true})
	must(t, err)
	if next.State != keys.Active || next.KID == signs {
		t.Errorf("%+v", next)
	}
	must(t, tried.Withdraw(ctx, signs, keys.Intervention{Force: true}))
	after := tried.List()
	if i := slices.IndexFunc(after, func(s keys.Status) bool { return s.KID == signs }); after[i].State != keys.Withdrawn {
		t.Errorf("%+v", after[i])
	}
	if !slices.IsSortedFunc(after, func(a, b keys.Status) int { return strings.Compare(a.Place(), b.Place()) }) {
		t.Errorf("%+v", after)
	}
	if err := tried.Withdraw(ctx, signs, keys.Intervention{Force: true}); !errors.Is(err, keys.ErrEnded) {
		t.Error(err)
	}
	must(t, k.Reload(ctx))
	if got := k.List(); !reflect.DeepEqual(got, before) {
		t.Errorf("%+v instead of %+v", got, before)
	}
}

func TestOnlyARotationAtOnceIsForced(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	if _, err := k.Rotate(t.Context(), keys.Tokens, keys.Intervention{Force: true}); !errors.Is(err, keys.ErrForceAlone) {
		t.Error(err)
	}
}
