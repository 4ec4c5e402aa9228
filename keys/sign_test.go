package keys_test

import (
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
