package keys_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

// stock is real RSA keys, made once: these tests walk through years of
// rotations. A test that compared keys across two of them would be fooled; none
// does, since kids differ.
var stock = sync.OnceValue(func() []*rsa.PrivateKey {
	list := make([]*rsa.PrivateKey, 4)
	for i := range list {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		list[i] = k
	}
	return list
})

func TestMain(m *testing.M) {
	var n atomic.Int64
	keys.SetGenerator(func(int) (*rsa.PrivateKey, error) {
		s := stock()
		return s[int(n.Add(1))%len(s)], nil
	})
	os.Exit(m.Run())
}

var policy = keys.Policy{
	Bits: 2048, RotateEvery: 30 * 24 * time.Hour, JWKSMaxAge: 5 * time.Minute, VerifierCache: 10 * time.Minute,
	Staleness: 2 * time.Second, Skew: 30 * time.Second, LongestToken: 24 * time.Hour, LongestHint: 90 * 24 * time.Hour,
}

// clock is the one fake that is allowed.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newStore(t *testing.T) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "keys.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func newMaster(t *testing.T, from string) (*keys.MasterKey, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.key")
	if err := keys.WriteMasterKey(path, from); err != nil {
		t.Fatal(err)
	}
	m, err := keys.OpenMasterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return m, path
}

// newRing returns maintained rings of their own.
func newRing(t *testing.T) (*keys.Keyring, *clock) {
	t.Helper()
	c := newClock()
	m, _ := newMaster(t, "")
	k := keys.New(newStore(t), m, policy, c.now)
	must(t, k.Maintain(t.Context()))
	return k, c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sign(t *testing.T, k *keys.Keyring, ring keys.Ring) string {
	t.Helper()
	return signAs(t, k, ring, "at+jwt")
}

func signAs(t *testing.T, k *keys.Keyring, ring keys.Ring, typ string) string {
	t.Helper()
	token, err := k.Sign(ring, typ, []byte(`{"a":1}`))
	must(t, err)
	return token
}

// states returns the states of a ring's keys in the order in which they sign.
func states(k *keys.Keyring, ring keys.Ring) []keys.State {
	var list []keys.State
	for _, s := range k.List() {
		if s.Ring == ring {
			list = append(list, s.State)
		}
	}
	return list
}

func find(t *testing.T, k *keys.Keyring, ring keys.Ring, state keys.State) keys.Status {
	t.Helper()
	for _, s := range k.List() {
		if s.Ring == ring && s.State == state {
			return s
		}
	}
	t.Fatalf("no key of ring %s is %s: %v", ring, state, states(k, ring))
	return keys.Status{}
}

func wantStates(t *testing.T, k *keys.Keyring, want ...keys.State) {
	t.Helper()
	if got := states(k, keys.Tokens); !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
}

func kids(t *testing.T, jwks []byte) []string {
	t.Helper()
	var set struct{ Keys []map[string]string }
	must(t, json.Unmarshal(jwks, &set))
	var list []string
	for _, k := range set.Keys {
		list = append(list, k["kid"])
	}
	return list
}

func TestAKeyIsPublishedThenSignsThenRetiresThenIsGone(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	wantStates(t, k, keys.Active, keys.Published)
	first, second := find(t, k, keys.Tokens, keys.Active), find(t, k, keys.Tokens, keys.Published)
	token := sign(t, k, keys.Tokens)

	c.pass(policy.RotateEvery - time.Millisecond)
	must(t, k.Maintain(t.Context()))
	wantStates(t, k, keys.Active, keys.Published)
	c.pass(time.Millisecond)
	// No write has happened: the clock alone rotated.
	wantStates(t, k, keys.Retired, keys.Active)
	v, err := k.Verify(keys.Tokens, sign(t, k, keys.Tokens), "at+jwt")
	must(t, err)
	if v.KID != second.KID {
		t.Errorf("signed by %s, want %s", v.KID, second.KID)
	}
	must(t, k.Maintain(t.Context()))
	wantStates(t, k, keys.Retired, keys.Active, keys.Published)
	if _, err := k.Verify(keys.Tokens, token, "at+jwt"); err != nil {
		t.Errorf("a token of the retired key: %v", err)
	}

	body, etag := k.JWKS()
	if got := kids(t, body); len(got) != 3 || got[0] != first.KID {
		t.Errorf("the key set holds %v", got)
	}
	c.pass(policy.LongestToken + policy.Skew + policy.Staleness)
	// Gone from the key set by the clock alone, too.
	after, afterTag := k.JWKS()
	if slices.Contains(kids(t, after), first.KID) || afterTag == etag {
		t.Error("a key whose last token has expired is still in the key set")
	}
	if _, err := k.Verify(keys.Tokens, token, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
		t.Errorf("a token of the key that is gone: %v", err)
	}
	c.pass(time.Second)
	must(t, k.Maintain(t.Context()))
	wantStates(t, k, keys.Gone, keys.Active, keys.Published)
	// Its public half stays for hints, until nothing that one tells of can last.
	c.pass(policy.LongestHint - policy.LongestToken)
	must(t, k.Maintain(t.Context()))
	if slices.ContainsFunc(k.List(), func(s keys.Status) bool { return s.KID == first.KID }) {
		t.Error("a key that is needed for nothing is still there")
	}
}

func TestAKeyThatIsGoneReadsHintsAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newClock()
	m, _ := newMaster(t, "")
	store := newStore(t)
	k := keys.New(store, m, policy, c.now)
	must(t, k.Maintain(t.Context()))
	first := find(t, k, keys.Tokens, keys.Active)
	hint, access, refresh := signAs(t, k, keys.Tokens, "JWT"), sign(t, k, keys.Tokens), signAs(t, k, keys.Refresh, "JWT")
	want := func(when string, good bool) {
		t.Helper()
		// Another process knows the same.
		other := keys.New(store, nil, policy, c.now)
		must(t, other.Reload(t.Context()))
		for _, k := range []*keys.Keyring{k, other} {
			if v, err := k.VerifyHint(hint, "JWT"); good != (err == nil) || good && (v.KID != first.KID || string(v.Payload) != `{"a":1}`) || !good && !errors.Is(err, keys.ErrInvalidToken) {
				t.Errorf("%s, as a hint: %v", when, err)
			}
			if _, err := k.VerifyHint(access, "JWT"); !errors.Is(err, keys.ErrInvalidToken) {
				t.Errorf("%s, an access token as a hint: %v", when, err)
			}
			if _, err := k.VerifyHint(refresh, "JWT"); !errors.Is(err, keys.ErrInvalidToken) {
				t.Errorf("%s, what the other ring signed as a hint: %v", when, err)
			}
		}
	}
	want("while its key signs", true)
	// Nobody maintained the rings meanwhile: the private half is destroyed later.
	c.pass(policy.RotateEvery + 2*policy.LongestToken)
	want("when its key is gone", true)
	must(t, k.Maintain(t.Context()))
	want("after the cleaning", true)
	for what, verify := range map[string]func() error{
		"an access token":     func() error { _, err := k.Verify(keys.Tokens, access, "at+jwt"); return err },
		"an ID token by name": func() error { _, err := k.Verify(keys.Tokens, hint, "JWT"); return err },
	} {
		if err := verify(); !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%s of a key that is gone: %v", what, err)
		}
	}
	if body, _ := k.JWKS(); slices.Contains(kids(t, body), first.KID) {
		t.Error("a key that is gone is published")
	}
	if _, err := k.SignWith(keys.Tokens, first.KID, "JWT", []byte(`{}`)); !errors.Is(err, keys.ErrNoSigningKey) {
		t.Errorf("a key that is gone signs: %v", err)
	}
	records, err := store.SigningKeys(t.Context())
	must(t, err)
	for _, r := range records {
		if r.KID == first.KID && r.Sealed != nil {
			t.Error("the private half of a key that is gone is kept")
		}
	}
	c.pass(policy.LongestHint - 3*policy.LongestToken)
	want("on the last day", true)
	c.pass(3 * policy.LongestToken)
	want("when its time is over", false)
}

// The private half of a key that is gone may have been stolen in its time.
func TestAKeyThatIsGoneCanBeWithdrawnAndTheOneBeforeItStaysGone(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	var kids, hints []string
	for range 3 {
		kids, hints = append(kids, find(t, k, keys.Tokens, keys.Active).KID), append(hints, signAs(t, k, keys.Tokens, "JWT"))
		c.pass(policy.RotateEvery)
		must(t, k.Maintain(t.Context()))
	}
	c.pass(2 * policy.LongestToken)
	must(t, k.Maintain(t.Context()))
	wantStates(t, k, keys.Gone, keys.Gone, keys.Gone, keys.Active, keys.Published)
	jwks, _ := k.JWKS()
	must(t, k.Withdraw(t.Context(), kids[1], keys.WithdrawOptions{Actor: "test"}))
	wantStates(t, k, keys.Gone, keys.Withdrawn, keys.Gone, keys.Active, keys.Published)
	for i, hint := range hints {
		if _, err := k.VerifyHint(hint, "JWT"); (err == nil) != (i != 1) {
			t.Errorf("the hint of key %d: %v", i, err)
		}
	}
	// Nor does the withdrawal of the one that signs bring back those before it.
	c.pass(policy.PublishAhead(keys.Tokens))
	must(t, k.Withdraw(t.Context(), find(t, k, keys.Tokens, keys.Active).KID, keys.WithdrawOptions{Actor: "test"}))
	wantStates(t, k, keys.Gone, keys.Withdrawn, keys.Gone, keys.Withdrawn, keys.Active, keys.Published)
	after, _ := k.JWKS()
	if bytes.Contains(after, []byte(kids[2])) || bytes.Equal(after, jwks) {
		t.Errorf("the key set after the withdrawal: %s", after)
	}
	// The rows of withdrawn keys go; what they stood between stays as it was.
	c.pass(2 * policy.LongestToken)
	must(t, k.Maintain(t.Context()))
	wantStates(t, k, keys.Gone, keys.Gone, keys.Active, keys.Published)
	for i, hint := range hints {
		if _, err := k.VerifyHint(hint, "JWT"); (err == nil) != (i != 1) {
			t.Errorf("later, the hint of key %d: %v", i, err)
		}
	}
}

func TestPrivateKeysAreDestroyedOnceTheySignNoMore(t *testing.T) {
	t.Parallel()
	c := newClock()
	m, _ := newMaster(t, "")
	store := newStore(t)
	k := keys.New(store, m, policy, c.now)
	must(t, k.Maintain(t.Context()))
	c.pass(policy.RotateEvery + time.Minute)
	must(t, k.Maintain(t.Context()))
	records, err := store.SigningKeys(t.Context())
	must(t, err)
	for _, r := range records {
		if retired := r.Ordinal == 1; retired != (r.Sealed == nil) {
			t.Errorf("key %d of %s: destroyed %t", r.Ordinal, r.Ring, r.Sealed == nil)
		}
	}
}

func TestAServerThatWasDownPastARotationGoesOn(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	second := find(t, k, keys.Tokens, keys.Published)
	c.pass(10 * policy.RotateEvery)
	must(t, k.Maintain(t.Context()))
	if got := find(t, k, keys.Tokens, keys.Active); got.KID != second.KID {
		t.Error("the successor, which was published in time, does not sign")
	}
	next := find(t, k, keys.Tokens, keys.Published)
	if ahead := next.SignsFrom.Sub(c.now()); ahead < policy.PublishAhead(keys.Tokens) {
		t.Errorf("the next key signs in %s, before verifiers can know it", ahead)
	}
}

func TestRotateWaitsUntilEveryVerifierMustKnowTheNextKey(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	old := find(t, k, keys.Tokens, keys.Active)
	next, err := k.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Actor: "test"})
	must(t, err)
	if want := next.PublishedAt.Add(policy.PublishAhead(keys.Tokens)); !next.SignsFrom.Equal(want) {
		t.Errorf("signs from %s, want %s", next.SignsFrom, want)
	}
	again, err := k.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Actor: "test"})
	must(t, err)
	if again.KID != next.KID || !again.SignsFrom.Equal(next.SignsFrom) {
		t.Error("asking again moved it")
	}
	_, err = k.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Now: true, Actor: "test"})
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
	next, err := k.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Now: true, Actor: "test"})
	must(t, err)
	if next.KID != before.KID || next.State != keys.Active {
		t.Errorf("got %+v", next)
	}
	wantStates(t, k, keys.Retired, keys.Active, keys.Published)
	if _, err := k.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Now: true, Actor: "test"}); !errors.Is(err, keys.ErrTooFresh) {
		t.Errorf("once more: %v", err)
	}
	_, err = k.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Now: true, Force: true, Actor: "test"})
	must(t, err)
	wantStates(t, k, keys.Retired, keys.Retired, keys.Active, keys.Published)
}

func TestWithdrawEndsAKeyInEveryState(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	c.pass(policy.PublishAhead(keys.Tokens))
	_, err := k.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Now: true, Actor: "test"})
	must(t, err)
	retired, active, published := find(t, k, keys.Tokens, keys.Retired), find(t, k, keys.Tokens, keys.Active), find(t, k, keys.Tokens, keys.Published)
	token := sign(t, k, keys.Tokens)

	must(t, k.Withdraw(t.Context(), retired.KID, keys.WithdrawOptions{Actor: "test"}))
	if err := k.Withdraw(t.Context(), active.KID, keys.WithdrawOptions{Actor: "test"}); !errors.Is(err, keys.ErrTooFresh) {
		t.Errorf("the active one, with a fresh successor: %v", err)
	}
	c.pass(policy.PublishAhead(keys.Tokens))
	must(t, k.Withdraw(t.Context(), active.KID, keys.WithdrawOptions{Actor: "test"}))
	if find(t, k, keys.Tokens, keys.Active).KID != published.KID {
		t.Error("the successor did not take over")
	}
	if _, err := k.Verify(keys.Tokens, token, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
		t.Errorf("a token of the withdrawn key: %v", err)
	}
	fresh := find(t, k, keys.Tokens, keys.Published)
	must(t, k.Withdraw(t.Context(), fresh.KID, keys.WithdrawOptions{Actor: "test"}))
	if find(t, k, keys.Tokens, keys.Published).KID == fresh.KID {
		t.Error("the withdrawn successor was not replaced")
	}
	body, _ := k.JWKS()
	for _, kid := range []string{retired.KID, active.KID, fresh.KID} {
		if slices.Contains(kids(t, body), kid) {
			t.Errorf("the withdrawn key %s is in the key set", kid)
		}
	}
	if err := k.Withdraw(t.Context(), fresh.KID, keys.WithdrawOptions{}); !errors.Is(err, keys.ErrEnded) {
		t.Errorf("once more: %v", err)
	}
	if err := k.Withdraw(t.Context(), "nobody", keys.WithdrawOptions{}); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("an unknown key: %v", err)
	}
}

// TestWhateverIsDoneToTheRings walks two processes through random decisions,
// with a verifier that caches the key set for as long as it may, and longer.
func TestWhateverIsDoneToTheRingsTokensVerifyAndVerifiersKnowTheKeys(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		rnd := mathrand.New(mathrand.NewPCG(seed, 1))
		c := newClock()
		m, _ := newMaster(t, "")
		store := newStore(t)
		processes := []*keys.Keyring{keys.New(store, m, policy, c.now), keys.New(store, m, policy, c.now)}
		for _, p := range processes {
			must(t, p.Maintain(t.Context()))
		}
		follow := func() {
			for _, p := range processes {
				must(t, p.Reload(t.Context()))
			}
		}
		type issued struct {
			token   string
			expires time.Time
		}
		var alive []issued
		withdrawn := map[string]bool{}
		body, _ := processes[0].JWKS()
		cached, cachedAt := kids(t, body), c.now()
		for n := range 120 {
			// Minutes, in which caches are old, or days, in which keys are.
			step := []time.Duration{5 * time.Minute, 30 * time.Minute, 4 * 24 * time.Hour}[rnd.IntN(3)]
			c.pass(time.Duration(rnd.Int64N(int64(step))))
			p := processes[rnd.IntN(2)]
			must(t, p.Maintain(t.Context()))
			follow()
			switch rnd.IntN(6) {
			case 0:
				_, err := p.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Now: rnd.IntN(2) == 0, Actor: "test"})
				if err != nil && !errors.Is(err, keys.ErrTooFresh) {
					t.Fatal(err)
				}
			case 1:
				list := p.List()
				victim := list[rnd.IntN(len(list))]
				err := p.Withdraw(t.Context(), victim.KID, keys.WithdrawOptions{Actor: "test"})
				switch {
				case err == nil:
					withdrawn[victim.KID] = true
				case !errors.Is(err, keys.ErrTooFresh) && !errors.Is(err, keys.ErrEnded):
					t.Fatal(err)
				}
			}
			follow()
			// A verifier fetches when its copy is older than the worst cache.
			if c.now().Sub(cachedAt) > policy.JWKSMaxAge+policy.VerifierCache {
				body, _ := processes[rnd.IntN(2)].JWKS()
				cached, cachedAt = kids(t, body), c.now()
			}
			for i, p := range processes {
				for _, ring := range []keys.Ring{keys.Tokens, keys.Refresh} {
					find(t, p, ring, keys.Active)
					find(t, p, ring, keys.Published)
				}
				token := sign(t, p, keys.Tokens)
				v, err := processes[1-i].Verify(keys.Tokens, token, "at+jwt")
				must(t, err)
				if !slices.Contains(cached, v.KID) {
					t.Fatalf("seed %d step %d: a verifier that fetched %s ago does not know key %s", seed, n, c.now().Sub(cachedAt), v.KID)
				}
				alive = append(alive, issued{token, c.now().Add(policy.LongestToken)})
			}
			alive = slices.DeleteFunc(alive, func(i issued) bool { return !c.now().Before(i.expires) })
			for _, i := range alive {
				header, _, _ := strings.Cut(i.token, ".")
				b, _ := base64.RawURLEncoding.DecodeString(header)
				var h struct{ Kid string }
				must(t, json.Unmarshal(b, &h))
				_, err := p.Verify(keys.Tokens, i.token, "at+jwt")
				if (err == nil) == withdrawn[h.Kid] {
					t.Fatalf("seed %d step %d: key %s withdrawn %t, verify says %v", seed, n, h.Kid, withdrawn[h.Kid], err)
				}
			}
		}
	}
}

func TestTwoProcessesMakeOneDecision(t *testing.T) {
	t.Parallel()
	c := newClock()
	m, _ := newMaster(t, "")
	store := newStore(t)
	var group sync.WaitGroup
	errs := make(chan error, 16)
	for range 8 {
		group.Go(func() { errs <- keys.New(store, m, policy, c.now).Maintain(context.Background()) })
	}
	group.Wait()
	k := keys.New(store, m, policy, c.now)
	must(t, k.Reload(t.Context()))
	wantStates(t, k, keys.Active, keys.Published)

	c.pass(policy.PublishAhead(keys.Tokens))
	for range 8 {
		group.Go(func() {
			p := keys.New(store, m, policy, c.now)
			_, err := p.Rotate(context.Background(), keys.Tokens, keys.RotateOptions{Now: true, Actor: "test"})
			if errors.Is(err, keys.ErrTooFresh) {
				err = nil // somebody else rotated, and this one's next is fresh
			}
			errs <- err
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		must(t, err)
	}
	must(t, k.Reload(t.Context()))
	wantStates(t, k, keys.Retired, keys.Active, keys.Published)
}

func TestTheKeySetHoldsPublicKeysOfOneRingAndNothingElse(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	body, etag := k.JWKS()
	var set map[string][]map[string]any
	must(t, json.Unmarshal(body, &set))
	if len(set) != 1 || len(set["keys"]) != 2 {
		t.Fatalf("got %s", body)
	}
	for _, key := range set["keys"] {
		for name := range key {
			if !slices.Contains([]string{"kty", "use", "alg", "kid", "n", "e"}, name) {
				t.Errorf("the key set has a member %q", name)
			}
		}
		if key["alg"] != "RS256" || key["use"] != "sig" || key["kty"] != "RSA" {
			t.Errorf("got %v", key)
		}
	}
	for _, s := range k.List() {
		if s.Ring == keys.Refresh && bytes.Contains(body, []byte(s.KID)) {
			t.Error("a key of the refresh ring is published")
		}
	}
	again, sameTag := k.JWKS()
	must(t, k.Reload(t.Context()))
	reloaded, reloadedTag := k.JWKS()
	if !bytes.Equal(body, again) || etag != sameTag || !bytes.Equal(body, reloaded) || etag != reloadedTag {
		t.Error("the key set changed although no key did")
	}
	set2, err := keys.ParseJWKS(body)
	must(t, err)
	if _, err := set2.Verify(sign(t, k, keys.Tokens), "at+jwt"); err != nil {
		t.Errorf("the published key set does not verify: %v", err)
	}
	if _, err := set2.Verify(sign(t, k, keys.Refresh), "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
		t.Errorf("the published key set on a token of the other ring: %v", err)
	}
}

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

func TestAPrivateKeyOpensOnlyInItsOwnRow(t *testing.T) {
	t.Parallel()
	m, _ := newMaster(t, "")
	other, _ := newMaster(t, "")
	sealed, err := m.Seal(keys.Tokens, "a", []byte("private"))
	must(t, err)
	if got, err := m.Open(keys.Tokens, "a", sealed); err != nil || string(got) != "private" {
		t.Fatalf("%q, %v", got, err)
	}
	if bytes.Contains(sealed, []byte("private")) {
		t.Error("it is not sealed")
	}
	for what, open := range map[string]func() ([]byte, error){
		"another kid":        func() ([]byte, error) { return m.Open(keys.Tokens, "b", sealed) },
		"another ring":       func() ([]byte, error) { return m.Open(keys.Refresh, "a", sealed) },
		"another master key": func() ([]byte, error) { return other.Open(keys.Tokens, "a", sealed) },
	} {
		if _, err := open(); !errors.Is(err, keys.ErrMasterKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMasterKeyFiles(t *testing.T) {
	t.Parallel()
	_, path := newMaster(t, "")
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
	before, err := os.ReadFile(path)
	must(t, err)
	if err := keys.WriteMasterKey(path, ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing file: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("an existing file was changed")
	}
	for what, content := range map[string]string{"empty": "", "not JSON": "hello", "other JSON": `{"a":1}`, "half": string(before[:len(before)/2])} {
		bad := filepath.Join(t.TempDir(), "bad.key")
		must(t, os.WriteFile(bad, []byte(content), 0o600))
		_, err := keys.OpenMasterKey(bad)
		if !errors.Is(err, keys.ErrMasterKey) {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && len(content) > 20 && strings.Contains(err.Error(), content[10:20]) {
			t.Errorf("%s: the error quotes the file", what)
		}
	}
	if _, err := keys.OpenMasterKey(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "ingam master-key new") {
		t.Errorf("a missing file: %v", err)
	}
}

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
	// A server that runs on with the old one has what it needs.
	must(t, server.Reload(t.Context()))
	if _, err := server.Verify(keys.Tokens, token, "at+jwt"); err != nil {
		t.Error(err)
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

// Clocks may be apart by the skew: what one process's clock has begun, another's
// has not.
func TestAClockThatIsAheadLeavesNoRingWithoutAKeyThatSigns(t *testing.T) {
	t.Parallel()
	store, behind := newStore(t), newClock()
	m, _ := newMaster(t, "")
	server := keys.New(store, m, policy, behind.now)
	must(t, server.Maintain(t.Context()))
	behind.pass(48 * time.Hour)
	next := find(t, server, keys.Tokens, keys.Published).KID

	ahead := newClock()
	ahead.pass(48*time.Hour + policy.Skew - time.Second)
	operator := keys.New(store, m, policy, ahead.now)
	must(t, operator.Reload(t.Context()))
	must(t, operator.Withdraw(t.Context(), find(t, operator, keys.Tokens, keys.Active).KID, keys.WithdrawOptions{}))

	must(t, server.Reload(t.Context()))
	for range 2 {
		v, err := server.Verify(keys.Tokens, sign(t, server, keys.Tokens), "at+jwt")
		if must(t, err); v.KID != next {
			t.Errorf("%s signs, and not %s, which verifiers know", v.KID, next)
		}
		must(t, server.Maintain(t.Context()))
	}
}

func TestAKeyWithoutASuccessorIsNotWithdrawnUnlessForced(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	// The next key begins to sign, and nobody has made the one after it yet.
	c.pass(policy.RotateEvery + time.Second)
	active := find(t, k, keys.Tokens, keys.Active).KID
	if err := k.Withdraw(t.Context(), active, keys.WithdrawOptions{}); !errors.Is(err, keys.ErrTooFresh) {
		t.Errorf("error %v", err)
	}
	sign(t, k, keys.Tokens)
	must(t, k.Withdraw(t.Context(), active, keys.WithdrawOptions{Force: true}))
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

	// An operator has the next master key already; this server does not.
	next, _ := newMaster(t, path)
	operator := keys.New(store, next, policy, c.now)
	must(t, operator.Reload(t.Context()))
	_, err := operator.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{Now: true, Force: true})
	must(t, err)
	must(t, operator.Withdraw(t.Context(), kid, keys.WithdrawOptions{Force: true}))

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

func TestReadingTheRingsAgainChangesNothingUnlessSomethingChanged(t *testing.T) {
	t.Parallel()
	store, c := newStore(t), newClock()
	old, path := newMaster(t, "")
	server, operator := keys.New(store, old, policy, c.now), keys.New(store, old, policy, c.now)
	must(t, server.Maintain(t.Context()))
	must(t, operator.Maintain(t.Context()))
	// read has the server read the rings a few times, and says whether that
	// changed anything.
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
	_, err := operator.Rotate(t.Context(), keys.Tokens, keys.RotateOptions{})
	must(t, err)
	read("a rotation", true)
	c.pass(policy.RotateEvery)
	must(t, operator.Maintain(t.Context()))
	read("a key that is new", true)
	must(t, operator.Withdraw(t.Context(), find(t, operator, keys.Refresh, keys.Active).KID, keys.WithdrawOptions{Force: true}))
	read("a withdrawal", true)

	// The same keys under another master key.
	next, _ := newMaster(t, path)
	must(t, keys.New(store, next, policy, c.now).Maintain(t.Context()))
	server = keys.New(store, next, policy, c.now)
	read("the first time", true)
}
