package keys_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"

	"github.com/ingam/ingam/keys"
)

// shared is a secret that an API shares with a house, and what the API knows of it.
type shared struct {
	keys.SharedSecret
	known []byte
}

func (h *house) share(api string) shared {
	h.t.Helper()
	sealed, shown, err := h.Share(api)
	must(h.t, err)
	known, err := base64.RawURLEncoding.DecodeString(shown)
	must(h.t, err)
	return shared{sealed, known}
}

// macs is a token with that header, as somebody makes it who has a secret.
func macs(alg, kid string, secret []byte) string {
	of := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	if of == nil {
		of = sha256.New
	}
	h, _ := json.Marshal(map[string]any{"alg": alg, "kid": kid, "typ": "at+jwt"})
	input := encode(h) + "." + encode([]byte(`{"a":1}`))
	mac := hmac.New(of, secret)
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil))
}

func TestASharedSecretHas256BitsAndIsKeptSealed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, other := h.share("api"), h.share("api")
	if len(s.known) != 32 || bytes.Equal(s.known, other.known) || s.KID == other.KID {
		t.Errorf("%d bytes, %s and %s", len(s.known), s.KID, other.KID)
	}
	for what, text := range map[string]string{"the record": fmt.Sprintf("%v %+v %#v", s.SharedSecret, s.SharedSecret, s.SharedSecret), "sealed": string(s.Sealed)} {
		if strings.Contains(text, string(s.known)) || strings.Contains(text, encode(s.known)) {
			t.Errorf("%s has the secret in it", what)
		}
	}
	// It is sealed for its API and its kid.
	for what, moved := range map[string]keys.SharedSecret{
		"another API": {API: "other", KID: s.KID, Sealed: s.Sealed}, "another kid": {API: "api", KID: other.KID, Sealed: s.Sealed},
		"none": {API: "api"},
	} {
		if token, err := h.SignShared(moved, "at+jwt", []byte(`{}`)); err == nil {
			t.Errorf("%s: %s", what, token)
		}
		if _, err := h.VerifyShared(moved, macs("HS256", moved.KID, nil), "at+jwt"); err == nil || errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%s: %v, which is no verdict", what, err)
		}
	}
	// One that is too short cannot be put in its place either.
	m, _ := newMaster(t, "")
	short, err := m.Seal("shared/api", "k", []byte("short"))
	must(t, err)
	if _, err := keys.New(h.store, m, policy, h.clock.now).SignShared(keys.SharedSecret{API: "api", KID: "k", Sealed: short}, "at+jwt", []byte(`{}`)); err == nil {
		t.Error("a secret that is too short signs")
	}
	if _, _, err := keys.New(h.store, nil, policy, h.clock.now).Share("api"); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("without a master key: %v", err)
	}
}

func TestASharedSecretIsSealedAnew(t *testing.T) {
	t.Parallel()
	store, c := newStore(t), newClock()
	old, path := newMaster(t, "")
	sealed, _, err := keys.New(store, old, policy, c.now).Share("api")
	must(t, err)
	next, _ := newMaster(t, path)
	k := keys.New(store, next, policy, c.now)
	again, err := k.Reshare(sealed)
	must(t, err)
	one, err := k.SignShared(sealed, "at+jwt", []byte(`{}`))
	must(t, err)
	other, err := k.SignShared(again, "at+jwt", []byte(`{}`))
	must(t, err)
	if one != other || bytes.Equal(sealed.Sealed, again.Sealed) {
		t.Error("it is another secret, or sealed as before")
	}
	if _, err := keys.New(store, old, policy, c.now).SignShared(again, "at+jwt", []byte(`{}`)); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("by the former master key: %v", err)
	}
}

func TestATokenOfASharedSecretIsGoodForThatSecretAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, other := h.share("api"), h.share("other")
	token, err := h.SignShared(s.SharedSecret, "at+jwt", []byte(`{"a":1}`))
	must(t, err)
	if token != macs("HS256", s.KID, s.known) && !strings.HasPrefix(token, encode([]byte(`{"alg":"HS256"`))) {
		t.Errorf("%s", token)
	}
	v, err := h.VerifyShared(s.SharedSecret, token, "at+jwt")
	if err != nil || v.KID != s.KID || string(v.Payload) != `{"a":1}` {
		t.Errorf("%+v, %v", v, err)
	}
	if kid, ok := keys.SharedKID(token); !ok || kid != s.KID {
		t.Errorf("%q, %t", kid, ok)
	}
	if _, err := h.VerifyShared(s.SharedSecret, macs("HS256", s.KID, s.known), "at+jwt"); err != nil {
		t.Errorf("the API's own token, which it can make: %v", err)
	}
	kid, private := h.signer(keys.Tokens)
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	must(t, err)
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	for what, bad := range map[string]string{
		"another secret":              macs("HS256", s.KID, other.known),
		"another secret's kid":        macs("HS256", other.KID, s.known),
		"the kid of a ring":           macs("HS256", kid, s.known),
		"no kid":                      macs("HS256", "", s.known),
		"a public key in DER":         macs("HS256", s.KID, der),
		"a public key in PEM":         macs("HS256", s.KID, inPEM),
		"a public key, with its kid":  macs("HS256", kid, inPEM),
		"an empty secret":             macs("HS256", s.KID, nil),
		"the sealed secret":           macs("HS256", s.KID, s.Sealed),
		"HS384":                       macs("HS384", s.KID, s.known),
		"HS512":                       macs("HS512", s.KID, s.known),
		"RS256 under its kid":         macs("RS256", s.KID, s.known),
		"ES256 under its kid":         macs("ES256", s.KID, s.known),
		"none":                        macs("none", s.KID, s.known),
		"a ring's token":              sign(t, h.Keyring, keys.Tokens),
		"without a signature":         token[:strings.LastIndexByte(token, '.')+1],
		"a signature that is cut off": token[:len(token)-4],
		"another spelling":            token + "=",
		"too long":                    token + strings.Repeat("a", keys.MaxTokenLength),
	} {
		if v, err := h.VerifyShared(s.SharedSecret, bad, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
	}
	if _, err := h.VerifyShared(s.SharedSecret, token, "JWT"); !errors.Is(err, keys.ErrInvalidToken) {
		t.Errorf("another typ: %v", err)
	}
}

func TestNoRingTakesATokenOfASharedSecret(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.share("api")
	kid, private := h.signer(keys.Tokens)
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	must(t, err)
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwks, _ := h.JWKS()
	if strings.Contains(string(jwks), s.KID) || strings.Contains(string(jwks), "oct") {
		t.Errorf("the key set has it: %s", jwks)
	}
	set, err := keys.ParseJWKS(fmt.Appendf(nil, `{"keys":[{"kty":"oct","kid":%q,"alg":"HS256","k":%q}]}`, s.KID, encode(s.known)))
	must(t, err)
	for what, bad := range map[string]string{
		"a good one": macs("HS256", s.KID, s.known), "a ring's kid": macs("HS256", kid, s.known), "DER": macs("HS256", kid, der), "PEM": macs("HS256", kid, inPEM),
		"HS384": macs("HS384", kid, inPEM), "HS512": macs("HS512", kid, inPEM), "as RS256": macs("RS256", kid, s.known), "as RS256 under its kid": macs("RS256", s.KID, s.known),
	} {
		for _, ring := range []keys.Ring{keys.Tokens, keys.Refresh} {
			if _, err := h.Verify(ring, bad, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
				t.Errorf("%s, ring %s: %v", what, ring, err)
			}
		}
		if _, err := h.VerifyHint(bad, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%s, as a hint: %v", what, err)
		}
		if _, err := set.Verify(bad, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%s, by a key set with a symmetric key: %v", what, err)
		}
	}
}
