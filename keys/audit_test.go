package keys_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
)

// TestWhatTheRingOfTheAuditLogHasSignedIsVerifiedForEver: it is signed once, and read years
// later.
func TestWhatTheRingOfTheAuditLogHasSignedIsVerifiedForEver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before, _ := h.JWKS()
	if _, err := h.Rotate(t.Context(), keys.Audit, keys.Intervention{Actor: "test"}); !errors.Is(err, keys.ErrNoRing) {
		t.Error(err)
	}
	_, err := h.Ensure(t.Context(), keys.Audit, "test")
	must(t, errors.Join(err, h.Reload(t.Context())))
	if after, _ := h.JWKS(); !bytes.Equal(before, after) {
		t.Error("the ring is in the key set")
	}
	first := signAs(t, h.Keyring, keys.Audit, "head+jwt")
	for _, ring := range keys.Rings() {
		if ring == keys.Audit || ring == keys.Seals {
			continue
		}
		if _, err := h.Verify(ring, first, "head+jwt"); !errors.Is(err, keys.ErrUnknownKey) {
			t.Errorf("%s takes it: %v", ring, err)
		}
	}
	for range 20 {
		h.clock.pass(policy.RotateEvery)
		must(t, h.Maintain(t.Context()))
	}
	states := states(h.Keyring, keys.Audit)
	if n := len(states); n < 10 || slices.Contains(states, keys.Gone) || states[0] != keys.Retired || states[n-2] != keys.Active {
		t.Errorf("%v", states)
	}
	if _, err := h.Verify(keys.Audit, first, "head+jwt"); err != nil {
		t.Error(err)
	}
	if _, err := h.VerifyHint(first, "head+jwt"); err == nil {
		t.Error("it is a hint")
	}
	public, err := h.PublicKeys(keys.Audit)
	must(t, err)
	var jwk struct{ Kty, Crv, X, D, Kid, Alg string }
	must(t, json.Unmarshal(public[0].JWK, &jwk))
	if len(public) != len(states) || jwk.Kty != "OKP" || jwk.Crv != "Ed25519" || jwk.X == "" || jwk.D != "" || jwk.Alg != "EdDSA" || jwk.Kid != public[0].KID {
		t.Errorf("%d of %d: %+v", len(public), len(states), jwk)
	}
	if h.CanSign(keys.Audit, public[0].KID) {
		t.Error("it can still sign")
	}
	// Who has no master key cannot know whose keys these are.
	stranger := keys.New(h.store, nil, policy, h.clock.now)
	must(t, stranger.Reload(t.Context()))
	public, err = stranger.PublicKeys(keys.Audit)
	if err != nil || len(public) != 0 {
		t.Errorf("%+v, %v", public, err)
	}
	public, err = h.PublicKeys(keys.Audit)
	must(t, err)

	// What is withdrawn verifies nothing, and is still told of.
	must(t, h.Withdraw(t.Context(), public[0].KID, keys.Intervention{Actor: "test"}))
	if _, err := h.Verify(keys.Audit, first, "head+jwt"); !errors.Is(err, keys.ErrUnknownKey) {
		t.Error(err)
	}
	h.clock.pass(10 * 365 * 24 * time.Hour)
	must(t, h.Maintain(t.Context()))
	public, err = h.PublicKeys(keys.Audit)
	must(t, err)
	if public[0].KID != jwk.Kid || public[0].WithdrawnAt.IsZero() {
		t.Errorf("%+v", public[0])
	}
}

// TestAKeyThatSomebodyPutsIntoTheRingOfTheAuditLogVerifiesNothing: whoever writes to the
// database could sign another audit log with it.
func TestAKeyThatSomebodyPutsIntoTheRingOfTheAuditLogVerifiesNothing(t *testing.T) {
	t.Parallel()
	h, thief := newHouse(t), newHouse(t)
	for _, of := range []*house{h, thief} {
		_, err := of.Ensure(t.Context(), keys.Audit, "test")
		must(t, errors.Join(err, of.Reload(t.Context())))
	}
	audit := func(of *house) keys.Record {
		t.Helper()
		all, err := of.store.SigningKeys(t.Context())
		must(t, err)
		return all[slices.IndexFunc(all, func(r keys.Record) bool { return r.Ring == keys.Audit })]
	}
	own, put := audit(h), audit(thief)
	forged := signAs(t, thief.Keyring, keys.Audit, "head+jwt")
	good := signAs(t, h.Keyring, keys.Audit, "head+jwt")
	for what, sealed := range map[string][]byte{"nothing": nil, "another master key": put.Sealed, "that of another key": own.Sealed} {
		put.Sealed, put.Ordinal = sealed, put.Ordinal+100
		must(t, h.store.ChangeKeys(t.Context(), keys.Change{Actor: "thief", Action: keys.ActionCreate, KID: put.KID, Insert: []keys.Record{put}}))
		if err := h.Reload(t.Context()); (err != nil) != (sealed != nil) || err != nil && !errors.Is(err, keys.ErrMasterKey) {
			t.Errorf("sealed is %s: %v", what, err)
		}
		if _, err := h.Verify(keys.Audit, forged, "head+jwt"); !errors.Is(err, keys.ErrUnknownKey) {
			t.Errorf("sealed is %s: %v", what, err)
		}
		if _, err := h.Verify(keys.Audit, good, "head+jwt"); err != nil {
			t.Errorf("sealed is %s: %v", what, err)
		}
		public, err := h.PublicKeys(keys.Audit)
		must(t, err)
		if slices.ContainsFunc(public, func(k keys.PublicKey) bool { return k.KID == put.KID }) {
			t.Errorf("sealed is %s: it is exported", what)
		}
		must(t, h.store.ChangeKeys(t.Context(), keys.Change{Actor: "thief", Action: keys.ActionDestroy, KID: put.KID, Delete: []string{put.KID}}))
	}
}
