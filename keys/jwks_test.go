package keys_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/ingam/ingam/keys"
)

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
