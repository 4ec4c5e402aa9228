package keys_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
)

// newSeals returns key rings among which is Seals.
func newSeals(t *testing.T) (*keys.Keyring, *clock) {
	t.Helper()
	k, c := newRing(t)
	if _, err := k.Seal([]byte("text"), nil); !errors.Is(err, keys.ErrNoSigningKey) {
		t.Errorf("before the ring is asked for: %v", err)
	}
	if _, err := k.Rotate(t.Context(), keys.Seals, keys.Intervention{}); !errors.Is(err, keys.ErrNoRing) || !strings.Contains(err.Error(), "encryption") {
		t.Errorf("before the ring is asked for: %v", err)
	}
	_, err := k.Ensure(t.Context(), keys.Seals, "test")
	must(t, err)
	must(t, k.Reload(t.Context()))
	return k, c
}

func TestWhatWasSealedOpensForTheSameThingAlone(t *testing.T) {
	t.Parallel()
	k, _ := newSeals(t)
	other, _ := newSeals(t)
	sealed, err := k.Seal([]byte("text"), []byte("token 1"))
	must(t, err)
	again, err := k.Seal([]byte("text"), []byte("token 1"))
	must(t, err)
	if opened, err := k.Unseal(sealed, []byte("token 1")); err != nil || string(opened.Payload) != "text" || !strings.HasPrefix(sealed, opened.KID+".") || sealed == again {
		t.Fatalf("%q %v; %s", opened, err, again)
	}
	kid, encoded, _ := strings.Cut(sealed, ".")
	elsewhere, err := other.Seal([]byte("text"), []byte("token 1"))
	must(t, err)
	_, strange, _ := strings.Cut(elsewhere, ".")
	next := find(t, k, keys.Seals, keys.Published)
	for what, c := range map[string]struct{ sealed, bound string }{
		"for another thing":      {sealed, "token 2"},
		"for nothing":            {sealed, ""},
		"of another deployment":  {elsewhere, "token 1"},
		"of that under this kid": {kid + "." + strange, "token 1"},
		"under the next kid":     {next.KID + "." + encoded, "token 1"},
		"under no kid":           {encoded, "token 1"},
		"nothing":                {"", "token 1"},
		"no text":                {kid + ".", "token 1"},
		"cut short":              {sealed[:len(sealed)-4], "token 1"},
		"with more":              {sealed + "AAAA", "token 1"},
		"with a line break":      {sealed + "\n", "token 1"},
		"a flipped bit":          {kid + "." + flipped(encoded), "token 1"},
		"far too long":           {sealed + strings.Repeat("A", keys.MaxTokenLength), "token 1"},
	} {
		if opened, err := k.Unseal(c.sealed, []byte(c.bound)); !errors.Is(err, keys.ErrInvalidToken) || opened.Payload != nil {
			t.Errorf("%s: %q %v", what, opened, err)
		}
	}
}

// flipped changes the first character.
func flipped(s string) string {
	first := "A"
	if s[0] == 'A' {
		first = "B"
	}
	return first + s[1:]
}

func TestAKeyThatSealsIsKeptForAsLongAsTokensLive(t *testing.T) {
	t.Parallel()
	k, c := newSeals(t)
	seal := func() string {
		t.Helper()
		sealed, err := k.Seal([]byte("text"), nil)
		must(t, err)
		return sealed
	}
	opens := func(sealed string) bool {
		t.Helper()
		_, err := k.Unseal(sealed, nil)
		if err != nil && !errors.Is(err, keys.ErrInvalidToken) {
			t.Fatal(err)
		}
		return err == nil
	}
	of := func(sealed string) string { kid, _, _ := strings.Cut(sealed, "."); return kid }
	first := seal()
	if body, _ := k.JWKS(); strings.Contains(string(body), of(first)) {
		t.Error("its key is published")
	}
	// It rotates like the others.
	next := find(t, k, keys.Seals, keys.Published)
	c.pass(policy.RotateEvery)
	must(t, k.Maintain(t.Context()))
	last := seal()
	if of(last) != next.KID || !opens(first) || !opens(last) {
		t.Errorf("after a rotation: %s, not %s", of(last), next.KID)
	}
	c.pass(policy.LongestToken)
	must(t, k.Maintain(t.Context()))
	must(t, k.Reload(t.Context()))
	if !opens(first) {
		t.Error("it does not open while a token may live")
	}
	c.pass(time.Minute)
	must(t, k.Maintain(t.Context()))
	must(t, k.Reload(t.Context()))
	if opens(first) || !opens(last) || slices.ContainsFunc(k.List(), func(s keys.Status) bool { return s.KID == of(first) }) {
		t.Errorf("once all tokens have expired: %v", states(k, keys.Seals))
	}
	// A withdrawn one opens nothing.
	must(t, k.Withdraw(t.Context(), of(last), keys.Intervention{}))
	if opens(last) || !opens(seal()) || of(seal()) == of(last) {
		t.Error("after a withdrawal")
	}
}

func TestAKeyThatSealsSignsNothing(t *testing.T) {
	t.Parallel()
	k, _ := newSeals(t)
	if token, err := k.Sign(keys.Seals, "at+jwt", []byte(`{}`)); err == nil {
		t.Errorf("it signed %s", token)
	}
	if _, err := k.Verify(keys.Seals, sign(t, k, keys.Tokens), "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
		t.Errorf("it verifies: %v", err)
	}
	var ring keys.Ring
	if err := ring.UnmarshalText([]byte("seal")); err != nil || ring != keys.Seals || ring.Algorithm() != keys.A256GCM {
		t.Errorf("%s %v", ring, err)
	}
}

func TestEveryInstanceOpensWhatOneSealed(t *testing.T) {
	t.Parallel()
	c, store := newClock(), newStore(t)
	old, path := newMaster(t, "")
	one, other := keys.New(store, old, policy, c.now), keys.New(store, old, policy, c.now)
	for _, k := range []*keys.Keyring{one, other} {
		must(t, k.Maintain(t.Context()))
	}
	_, err := one.Ensure(t.Context(), keys.Seals, "test")
	must(t, err)
	must(t, one.Reload(t.Context()))
	sealed, err := one.Seal([]byte("text"), nil)
	must(t, err)
	// The other one has not read the new ring; who asks it reads the keys again then.
	if _, err := other.Unseal(sealed, nil); !errors.Is(err, keys.ErrUnknownKey) {
		t.Errorf("before it has read the ring: %v", err)
	}
	must(t, other.Reload(t.Context()))
	newer, _ := newMaster(t, path)
	resealed := keys.New(store, newer, policy, c.now)
	must(t, resealed.Reload(t.Context()))
	_, err = resealed.Reseal(t.Context(), "test")
	must(t, err)
	stranger, _ := newMaster(t, "")
	wrong := keys.New(store, stranger, policy, c.now)
	if err := wrong.Reload(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("with another master key: %v", err)
	}
	for what, k := range map[string]*keys.Keyring{"the other instance": other, "one with a newer master key": resealed} {
		if opened, err := k.Unseal(sealed, nil); err != nil || string(opened.Payload) != "text" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if opened, err := wrong.Unseal(sealed, nil); !errors.Is(err, keys.ErrMasterKey) || errors.Is(err, keys.ErrInvalidToken) || opened.Payload != nil {
		t.Errorf("with another master key it opens, or is said to be none: %v", err)
	}
}
