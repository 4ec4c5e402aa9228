package keys_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/keys"
)

// TestATokenHasTheBytesThatTheLibraryWouldWrite: versions of before signed by the library,
// and a refresh that is repeated at another version must return the same bytes.
func TestATokenHasTheBytesThatTheLibraryWouldWrite(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	claims := []byte(`{"sub":"minji","aud":"https://api.test/?a=1&b=<2>"}`)
	for _, ring := range []keys.Ring{keys.Tokens, keys.Refresh, keys.TokensBy(keys.EdDSA)} {
		for _, typ := range []string{"at+jwt", "rt+jwt", "JWT"} {
			kid, private := h.signer(ring)
			signer, err := jose.NewSigner(
				jose.SigningKey{Algorithm: jose.SignatureAlgorithm(ring.Algorithm()), Key: jose.JSONWebKey{Key: private, KeyID: kid}},
				(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
			must(t, err)
			jws, err := signer.Sign(claims)
			must(t, err)
			want, err := jws.CompactSerialize()
			must(t, err)
			got, err := h.Sign(ring, typ, claims)
			must(t, err)
			if got != want {
				t.Errorf("%s %s:\n%s\n%s", ring, typ, got, want)
			}
		}
	}
}

// TestARefreshTokenThatWasMadeHereIsKnown: it is good without a proof, and for nothing more
// than one with a proof would be.
func TestARefreshTokenThatWasMadeHereIsKnown(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	kid := find(t, k, keys.Refresh, keys.Active).KID
	token, err := k.SignWith(keys.Refresh, kid, "rt+jwt", []byte(`{"a":1}`))
	must(t, err)
	want := func(what string, good bool, ring keys.Ring, token, typ string) {
		t.Helper()
		v, err := k.Verify(ring, token, typ)
		if good && (err != nil || v.KID != kid || string(v.Payload) != `{"a":1}`) || !good && !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%s: %+v %v", what, v, err)
		}
	}
	want("it", true, keys.Refresh, token, "rt+jwt")
	want("as another type", false, keys.Refresh, token, "at+jwt")
	want("as one of the other ring", false, keys.Tokens, token, "rt+jwt")
	last := strings.IndexByte(alphabet, token[len(token)-1])
	want("in another spelling", false, keys.Refresh, token[:len(token)-1]+string(alphabet[last^1]), "rt+jwt")
	want("with another signature", false, keys.Refresh, token[:len(token)-4]+"AAAA", "rt+jwt")
	must(t, k.Withdraw(t.Context(), kid, keys.Intervention{Force: true}))
	want("once its key is withdrawn", false, keys.Refresh, token, "rt+jwt")
}
