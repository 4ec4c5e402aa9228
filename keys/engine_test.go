package keys_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

// engine is a keys.Engine that keeps an account of what it gave out.
type engine struct {
	mu   sync.Mutex
	made map[string][]*lent
}

// lent is a key of an engine.
type lent struct {
	crypto.Signer
	closed atomic.Int32
}

func (l *lent) Close() error { l.closed.Add(1); return nil }

func (e *engine) Signer(kid string, key *rsa.PrivateKey) (crypto.Signer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := &lent{Signer: key}
	e.made[kid] = append(e.made[kid], l)
	return l, nil
}

// check wants each key to be closed once, but for the last of those that can sign.
func (e *engine) check(t *testing.T, can func(kid string) bool) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for kid, list := range e.made {
		for i, l := range list {
			want := int32(1)
			if i == len(list)-1 && can(kid) {
				want = 0
			}
			if n := l.closed.Load(); n != want {
				t.Errorf("%d of the %d that were made of key %s was closed %d times, want %d", i+1, len(list), kid, n, want)
			}
		}
	}
}

// TestAKeyOfAnEngineIsClosedWhenItLeavesTheRings: one that is closed too early would leave
// no signer but crypto/rsa, and one that is not closed stays in the engine's memory, though
// it was withdrawn because somebody stole it.
func TestAKeyOfAnEngineIsClosedWhenItLeavesTheRings(t *testing.T) {
	t.Parallel()
	store, c, e := newStore(t), newClock(), &engine{made: map[string][]*lent{}}
	m, _ := newMaster(t, "")
	k := keys.New(store, m, policy, c.now)
	k.Use(e)
	must(t, k.Maintain(t.Context()))
	signs := func(kid string) bool { return k.CanSign(keys.Tokens, kid) || k.CanSign(keys.Refresh, kid) }
	ctx, stop := context.WithCancel(t.Context())
	var signing sync.WaitGroup
	for range 3 {
		signing.Go(func() {
			for ctx.Err() == nil {
				if _, err := k.Sign(keys.Tokens, "at+jwt", []byte(`{}`)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		must(t, k.Withdraw(t.Context(), find(t, k, keys.Tokens, keys.Active).KID, keys.Intervention{Force: true}))
		must(t, k.Maintain(t.Context()))
		must(t, k.Reload(t.Context()))
		e.check(t, signs)
	}
	stop()
	signing.Wait()
	c.pass(10 * policy.RotateEvery)
	must(t, k.Maintain(t.Context()))
	must(t, k.Reload(t.Context()))
	e.check(t, signs)

	// What a Reload has opened when it fails is in no ring.
	e = &engine{made: map[string][]*lent{}}
	k = keys.New(unreadable{store}, m, policy, c.now)
	k.Use(e)
	if err := k.Reload(t.Context()); err == nil || len(e.made) == 0 {
		t.Errorf("%v, %d keys were opened", err, len(e.made))
	}
	e.check(t, signs)
}

// unreadable is a store whose last key cannot be read.
type unreadable struct{ *storage.Store }

func (u unreadable) SigningKeys(ctx context.Context) ([]keys.Record, error) {
	list, err := u.Store.SigningKeys(ctx)
	if len(list) > 0 {
		list[len(list)-1].Public = []byte("no key")
	}
	return list, err
}
