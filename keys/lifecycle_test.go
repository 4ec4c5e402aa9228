package keys_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
)

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
	// Nothing was written: the clock alone has rotated the key.
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
	// The clock alone also removes it from the key set.
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
	// Its public half stays until no ID token that it signed can be needed as a hint.
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
		// Another process gets the same result.
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
	// Nobody has maintained the rings since, so the private half still exists.
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

// TestAKeyThatIsGoneCanBeWithdrawnAndTheOneBeforeItStaysGone: the private half of a key
// that is gone may have been stolen earlier.
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
	must(t, k.Withdraw(t.Context(), kids[1], keys.Intervention{Actor: "test"}))
	wantStates(t, k, keys.Gone, keys.Withdrawn, keys.Gone, keys.Active, keys.Published)
	for i, hint := range hints {
		if _, err := k.VerifyHint(hint, "JWT"); (err == nil) != (i != 1) {
			t.Errorf("the hint of key %d: %v", i, err)
		}
	}
	// The withdrawal of the active key does not bring back earlier keys either.
	c.pass(policy.PublishAhead(keys.Tokens))
	must(t, k.Withdraw(t.Context(), find(t, k, keys.Tokens, keys.Active).KID, keys.Intervention{Actor: "test"}))
	wantStates(t, k, keys.Gone, keys.Withdrawn, keys.Gone, keys.Withdrawn, keys.Active, keys.Published)
	after, _ := k.JWKS()
	if bytes.Contains(after, []byte(kids[2])) || bytes.Equal(after, jwks) {
		t.Errorf("the key set after the withdrawal: %s", after)
	}
	// The rows of withdrawn keys are deleted. The states of the keys beside them do not
	// change.
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

// TestWhateverIsDoneToTheRingsTokensVerifyAndVerifiersKnowTheKeys lets two processes make
// random decisions. A verifier caches the key set for as long as it may, and longer. On the
// way an API asks for another algorithm, whose keys sign once verifiers can know them.
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
		rings, signsFrom := []keys.Ring{keys.Tokens}, map[keys.Ring]time.Time{}
		body, _ := processes[0].JWKS()
		cached, cachedAt := kids(t, body), c.now()
		for n := range 120 {
			// The step is a few minutes, so that caches grow old, or some days,
			// so that keys do.
			step := []time.Duration{5 * time.Minute, 30 * time.Minute, 4 * 24 * time.Hour}[rnd.IntN(3)]
			c.pass(time.Duration(rnd.Int64N(int64(step))))
			p := processes[rnd.IntN(2)]
			must(t, p.Maintain(t.Context()))
			follow()
			if curve := keys.TokensBy(keys.ES256); n == 20 {
				known, err := p.Ensure(t.Context(), curve, "test")
				must(t, err)
				rings, signsFrom[curve] = append(rings, curve), known
			}
			switch rnd.IntN(6) {
			case 0:
				_, err := p.Rotate(t.Context(), rings[rnd.IntN(len(rings))], keys.Intervention{Now: rnd.IntN(2) == 0, Actor: "test"})
				if err != nil && !errors.Is(err, keys.ErrTooFresh) {
					t.Fatal(err)
				}
			case 1:
				list := p.List()
				victim := list[rnd.IntN(len(list))]
				err := p.Withdraw(t.Context(), victim.KID, keys.Intervention{Actor: "test"})
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
				for _, ring := range append(rings, keys.Refresh) {
					find(t, p, ring, keys.Active)
					find(t, p, ring, keys.Published)
				}
				for _, ring := range rings {
					if c.now().Before(signsFrom[ring]) {
						continue
					}
					token := sign(t, p, ring)
					v, err := processes[1-i].Verify(keys.Tokens, token, "at+jwt")
					must(t, err)
					if !slices.Contains(cached, v.KID) {
						t.Fatalf("seed %d step %d: a verifier that fetched %s ago does not know key %s of %s", seed, n, c.now().Sub(cachedAt), v.KID, ring)
					}
					alive = append(alive, issued{token, c.now().Add(policy.LongestToken)})
				}
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
			_, err := p.Rotate(context.Background(), keys.Tokens, keys.Intervention{Now: true, Actor: "test"})
			if errors.Is(err, keys.ErrTooFresh) {
				err = nil // the other process has rotated, and the next key of this one is fresh
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

// TestAClockThatIsAheadLeavesNoRingWithoutAKeyThatSigns: clocks may differ by the skew.
// Then a key already signs in one process, and not yet in another.
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
	must(t, operator.Withdraw(t.Context(), find(t, operator, keys.Tokens, keys.Active).KID, keys.Intervention{}))

	must(t, server.Reload(t.Context()))
	for range 2 {
		v, err := server.Verify(keys.Tokens, sign(t, server, keys.Tokens), "at+jwt")
		if must(t, err); v.KID != next {
			t.Errorf("%s signs, and not %s, which verifiers know", v.KID, next)
		}
		must(t, server.Maintain(t.Context()))
	}
}
