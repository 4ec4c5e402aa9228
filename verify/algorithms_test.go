package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/verify"
)

// mixed is an issuer that publishes one key for each of several algorithms. The kid of a
// key is its algorithm; that of the RSA key for lists is k0.
type mixed struct {
	*issuer
	p256    *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

func newMixed(t *testing.T) *mixed {
	t.Helper()
	m := &mixed{issuer: newIssuer(t)}
	var err error
	if m.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, m.ed25519, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	m.with(func() {
		m.answers["/realm/jwks"] = func(w http.ResponseWriter, _ *http.Request) {
			var set jose.JSONWebKeySet
			for kid, key := range map[string]any{
				"k0": rsaKeys()[0].Public(), "RS256": rsaKeys()[1].Public(), "PS256": rsaKeys()[2].Public(),
				"ES256": m.p256.Public(), "EdDSA": m.ed25519.Public(),
			} {
				alg := kid
				if kid == "k0" {
					alg = "RS256"
				}
				set.Keys = append(set.Keys, jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: alg, Use: "sig"})
			}
			json.NewEncoder(w).Encode(set)
		}
	})
	return m
}

// by signs claims with an algorithm, under a kid.
func (m *mixed) by(alg jose.SignatureAlgorithm, kid string, changes map[string]any) string {
	m.t.Helper()
	key := map[jose.SignatureAlgorithm]any{jose.RS256: rsaKeys()[1], jose.PS256: rsaKeys()[2], jose.ES256: m.p256, jose.EdDSA: m.ed25519}[alg]
	payload, err := json.Marshal(m.claims(changes))
	if err != nil {
		m.t.Fatal(err)
	}
	return signWith(m.t, jose.SigningKey{Algorithm: alg, Key: key}, map[string]any{"kid": kid, "typ": "at+jwt"}, payload)
}

func TestTheKeySetSaysByWhichAlgorithmAKeySigns(t *testing.T) {
	t.Parallel()
	m := newMixed(t)
	v := m.verifier(nil)
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		if _, err := v.Verify(t.Context(), m.by(alg, string(alg), nil)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		for _, kid := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
			if kid == string(alg) {
				continue
			}
			if _, err := v.Verify(t.Context(), m.by(alg, kid, nil)); !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("%s with the kid of %s: %v", alg, kid, err)
			}
		}
	}
	// The same RSA key, by the other of its algorithms.
	payload, _ := json.Marshal(m.claims(nil))
	other := signWith(t, jose.SigningKey{Algorithm: jose.PS256, Key: rsaKeys()[1]}, map[string]any{"kid": "RS256", "typ": "at+jwt"}, payload)
	if _, err := v.Verify(t.Context(), other); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("PS256 by a key for RS256: %v", err)
	}
}

func TestASignatureHasOneForm(t *testing.T) {
	t.Parallel()
	m := newMixed(t)
	v := m.verifier(nil)
	payload, _ := json.Marshal(m.claims(nil))
	signed := func(alg string, sign func(sum []byte) []byte) string {
		encode := base64.RawURLEncoding.EncodeToString
		input := encode([]byte(`{"alg":"`+alg+`","kid":"`+alg+`","typ":"at+jwt"}`)) + "." + encode(payload)
		sum := sha256.Sum256([]byte(input))
		return input + "." + encode(sign(sum[:]))
	}
	curve := func(write func(r, s *big.Int) []byte) func([]byte) []byte {
		return func(sum []byte) []byte {
			r, s, err := ecdsa.Sign(rand.Reader, m.p256, sum)
			if err != nil {
				t.Fatal(err)
			}
			return write(r, s)
		}
	}
	fixed := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	pss := func(salt int) func([]byte) []byte {
		return func(sum []byte) []byte {
			s, err := rsa.SignPSS(rand.Reader, rsaKeys()[2], crypto.SHA256, sum, &rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	for what, token := range map[string]string{"ES256": signed("ES256", curve(fixed)), "PS256": signed("PS256", pss(32))} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatalf("%s, which the rest is forged like: %v", what, err)
		}
	}
	for what, token := range map[string]string{
		"ES256 in DER":            signed("ES256", curve(func(r, s *big.Int) []byte { b, _ := asn1.Marshal([]*big.Int{r, s}); return b })),
		"ES256 too short":         signed("ES256", curve(func(r, s *big.Int) []byte { return fixed(r, s)[:63] })),
		"ES256 with r zero":       signed("ES256", curve(func(_, s *big.Int) []byte { return fixed(new(big.Int), s) })),
		"ES256 with s zero":       signed("ES256", curve(func(r, _ *big.Int) []byte { return fixed(r, new(big.Int)) })),
		"PS256 with a short salt": signed("PS256", pss(20)),
		"PS256 without a salt":    signed("PS256", pss(0)),
		"HS256":                   signed("HS256", func([]byte) []byte { return make([]byte, 32) }),
		"none":                    signed("none", func([]byte) []byte { return nil }),
	} {
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAPinnedAlgorithmIsThatOfTokensAlone: the status lists are for all APIs of the issuer,
// whichever algorithm the tokens of this one have.
func TestAPinnedAlgorithmIsThatOfTokensAlone(t *testing.T) {
	t.Parallel()
	m := newMixed(t)
	uri, l := m.addList(1)
	m.revoke(l, 3)
	v := m.verifier(func(c *verify.Config) {
		patient(c)
		c.Algorithm = "ES256"
	})
	at := func(index int) map[string]any {
		return map[string]any{"status": map[string]any{"status_list": map[string]any{"idx": index, "uri": uri}}}
	}
	if _, err := v.Verify(t.Context(), m.by(jose.ES256, "ES256", at(4))); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(t.Context(), m.by(jose.ES256, "ES256", at(3))); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
	if _, err := v.Verify(t.Context(), m.by(jose.RS256, "RS256", at(4))); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("signed with another algorithm: %v", err)
	}
}
