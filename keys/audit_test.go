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
	must(t, err)
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
		t.Error("its private half is kept")
	}

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
