package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

// house is a key ring with its store and the private keys in it.
type house struct {
	*keys.Keyring
	t     *testing.T
	store *storage.Store
	clock *clock
	open  func(keys.Record) crypto.Signer
}

// newHouse returns a Keyring with every ring that there can be.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, store: newStore(t), clock: newClock()}
	m, _ := newMaster(t, "")
	h.Keyring = keys.New(h.store, m, policy, h.clock.now)
	must(t, h.Maintain(t.Context()))
	for _, a := range keys.Algorithms() {
		_, err := h.Ensure(t.Context(), keys.TokensBy(a), "test")
		must(t, err)
	}
	must(t, h.Reload(t.Context()))
	h.open = func(r keys.Record) crypto.Signer {
		der, err := m.Open(r.Ring, r.KID, r.Sealed)
		must(t, err)
		key, err := x509.ParsePKCS8PrivateKey(der)
		must(t, err)
		return key.(crypto.Signer)
	}
	return h
}

// signer returns the kid and the private key that sign for a ring.
func (h *house) signer(ring keys.Ring) (kid string, private crypto.Signer) {
	h.t.Helper()
	kid, err := h.SignsNow(ring)
	must(h.t, err)
	records, err := h.store.SigningKeys(h.t.Context())
	must(h.t, err)
	i := slices.IndexFunc(records, func(r keys.Record) bool { return r.KID == kid })
	return kid, h.open(records[i])
}

// signed is a token with that header, and the signature that sign makes of it.
func signed(header map[string]any, sign func(digest []byte) []byte) string {
	h, _ := json.Marshal(header)
	input := encode(h) + "." + encode([]byte(`{"a":1}`))
	sum := sha256.Sum256([]byte(input))
	return input + "." + encode(sign(sum[:]))
}

func TestEachAlgorithmHasARingInTheSameKeySet(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	body, _ := h.JWKS()
	var set struct {
		Keys []struct{ Kid, Alg, Use, Kty, Crv, D string }
	}
	must(t, json.Unmarshal(body, &set))
	if len(set.Keys) != 2*len(keys.Algorithms()) || strings.Contains(string(body), `"d"`) {
		t.Fatalf("%s", body)
	}
	published, err := keys.ParseJWKS(body)
	must(t, err)
	for _, a := range keys.Algorithms() {
		token := sign(t, h.Keyring, keys.TokensBy(a))
		for what, verify := range map[string]func() (keys.Verified, error){
			"the server":     func() (keys.Verified, error) { return h.Verify(keys.Tokens, token, "at+jwt") },
			"that again":     func() (keys.Verified, error) { return h.Verify(keys.Tokens, token, "at+jwt") },
			"who has a hint": func() (keys.Verified, error) { return h.VerifyHint(token, "at+jwt") },
			"who has the key set": func() (keys.Verified, error) {
				return published.Verify(token, "at+jwt")
			},
		} {
			if v, err := verify(); err != nil || string(v.Payload) != `{"a":1}` {
				t.Errorf("%s, %s: %v", a, what, err)
			}
		}
		if _, err := h.Verify(keys.Refresh, token, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%s: a refresh token: %v", a, err)
		}
		if same := sign(t, h.Keyring, keys.TokensBy(a)) == token; same != (a == keys.RS256 || a == keys.EdDSA) {
			t.Errorf("%s is deterministic: %v", a, same)
		}
		alg := map[string]string{}
		for _, k := range set.Keys {
			alg[k.Kid] = k.Alg
		}
		if v, _ := h.Verify(keys.Tokens, token, "at+jwt"); alg[v.KID] != string(a) {
			t.Errorf("%s: the key set says %q", a, alg[v.KID])
		}
	}
	if refresh := sign(t, h.Keyring, keys.Refresh); strings.Contains(string(body), kidOf(t, refresh)) {
		t.Error("a key for refresh tokens is published")
	}
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	return field(t, token, "kid")
}

func field(t *testing.T, token, name string) string {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	var header map[string]string
	must(t, json.Unmarshal(decode(t, first), &header))
	return header[name]
}

func TestASignatureIsOfTheAlgorithmOfItsKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	head := func(alg keys.Algorithm, kid string) map[string]any {
		return map[string]any{"alg": alg, "kid": kid, "typ": "at+jwt"}
	}
	rs, rsKey := h.signer(keys.Tokens)
	ps, psKey := h.signer(keys.TokensBy(keys.PS256))
	es, esKey := h.signer(keys.TokensBy(keys.ES256))
	ed, edKey := h.signer(keys.TokensBy(keys.EdDSA))
	pkcs := func(key crypto.Signer) func([]byte) []byte {
		return func(sum []byte) []byte {
			s, err := rsa.SignPKCS1v15(nil, key.(*rsa.PrivateKey), crypto.SHA256, sum)
			must(t, err)
			return s
		}
	}
	pss := func(key crypto.Signer, salt int) func([]byte) []byte {
		return func(sum []byte) []byte {
			s, err := rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), crypto.SHA256, sum, &rsa.PSSOptions{SaltLength: salt})
			must(t, err)
			return s
		}
	}
	curve := func(write func(r, s *big.Int) []byte) func([]byte) []byte {
		return func(sum []byte) []byte {
			r, s, err := ecdsa.Sign(rand.Reader, esKey.(*ecdsa.PrivateKey), sum)
			must(t, err)
			return write(r, s)
		}
	}
	fixed := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	ofInput := func(key crypto.Signer, header map[string]any) string { // EdDSA signs the text, not its hash
		token := signed(header, func([]byte) []byte { return nil })
		s, err := key.Sign(nil, []byte(strings.TrimSuffix(token, ".")), crypto.Hash(0))
		must(t, err)
		return token + encode(s)
	}
	good := map[string]string{
		"RS256": signed(head("RS256", rs), pkcs(rsKey)), "PS256": signed(head("PS256", ps), pss(psKey, 32)),
		"ES256": signed(head("ES256", es), curve(fixed)), "EdDSA": ofInput(edKey, head("EdDSA", ed)),
		// As anyone can rewrite it.
		"ES256, in its other form": signed(head("ES256", es), curve(func(r, s *big.Int) []byte {
			return fixed(r, new(big.Int).Sub(elliptic.P256().Params().N, s))
		})),
	}
	bad := map[string]string{
		"RS256 by a key for PS256":         signed(head("RS256", ps), pkcs(psKey)),
		"PS256 by a key for RS256":         signed(head("PS256", rs), pss(rsKey, 32)),
		"the kid of another ring":          signed(head("RS256", ps), pkcs(rsKey)),
		"the kid of another kind of key":   signed(head("ES256", ed), curve(fixed)),
		"a header that says another":       signed(head("EdDSA", es), curve(fixed)),
		"PS256 with a salt of 20 bytes":    signed(head("PS256", ps), pss(psKey, 20)),
		"PS256 without a salt":             signed(head("PS256", ps), pss(psKey, 0)),
		"ES256 in DER":                     signed(head("ES256", es), curve(func(r, s *big.Int) []byte { b, _ := asn1.Marshal([]*big.Int{r, s}); return b })),
		"ES256 that is too short":          signed(head("ES256", es), curve(func(r, s *big.Int) []byte { return fixed(r, s)[:63] })),
		"ES256 that is too long":           signed(head("ES256", es), curve(func(r, s *big.Int) []byte { return append(fixed(r, s), 0) })),
		"ES256 with r zero":                signed(head("ES256", es), curve(func(_, s *big.Int) []byte { return fixed(new(big.Int), s) })),
		"ES256 with s zero":                signed(head("ES256", es), curve(func(r, _ *big.Int) []byte { return fixed(r, new(big.Int)) })),
		"ES256 of nothing":                 signed(head("ES256", es), func([]byte) []byte { return make([]byte, 64) }),
		"EdDSA of the hash":                signed(head("EdDSA", ed), func(sum []byte) []byte { s, _ := edKey.Sign(nil, sum, crypto.Hash(0)); return s }),
		"ES384, which no ring has":         signed(head("ES384", es), curve(fixed)),
		"none":                             signed(head("none", es), func([]byte) []byte { return nil }),
		"a key that the token brings":      signed(map[string]any{"alg": "ES256", "typ": "at+jwt", "jwk": map[string]string{"kty": "EC"}}, curve(fixed)),
		"a key for refresh tokens, by kid": signed(head("RS256", func() string { kid, _ := h.signer(keys.Refresh); return kid }()), pkcs(rsKey)),
	}
	// The second time the headers of the good ones are known.
	for range 2 {
		for what, token := range bad {
			if v, err := h.Verify(keys.Tokens, token, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) || v.Payload != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		for what, token := range good {
			if v, err := h.Verify(keys.Tokens, token, "at+jwt"); err != nil || string(v.Payload) == "" {
				t.Errorf("%s, which the rest is forged like: %v", what, err)
			}
			if _, err := h.Verify(keys.Tokens, token, "JWT"); !errors.Is(err, keys.ErrInvalidToken) {
				t.Errorf("%s, of another typ: %v", what, err)
			}
		}
	}
}

func TestARingThatIsAskedForIsThereForGood(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	ring := keys.TokensBy(keys.ES256)
	if _, err := k.Sign(ring, "at+jwt", []byte(`{}`)); !errors.Is(err, keys.ErrNoSigningKey) {
		t.Errorf("before: %v", err)
	}
	if _, err := k.Rotate(t.Context(), ring, keys.Intervention{}); !errors.Is(err, keys.ErrNoRing) {
		t.Errorf("before: %v", err)
	}
	known, err := k.Ensure(t.Context(), ring, "cli:maria")
	must(t, err)
	must(t, k.Reload(t.Context()))
	if want := c.now().Add(policy.PublishAhead(ring)); !known.Equal(want) || policy.PublishAhead(ring) != policy.PublishAhead(keys.Tokens) {
		t.Errorf("known at %s, want %s", known, want)
	}
	if got := states(k, ring); !slices.Equal(got, []keys.State{keys.Active, keys.Published}) {
		t.Errorf("%v", got)
	}
	token := sign(t, k, ring)
	c.pass(time.Hour)
	if again, err := k.Ensure(t.Context(), ring, "cli:maria"); err != nil || !again.Equal(known) || kidOf(t, sign(t, k, ring)) != kidOf(t, token) {
		t.Errorf("asked for once more: %s %v", again, err)
	}
	// It rotates like the others, and its next key was published long before it signs.
	next := find(t, k, ring, keys.Published)
	c.pass(policy.RotateEvery)
	must(t, k.Maintain(t.Context()))
	if got := kidOf(t, sign(t, k, ring)); got != next.KID {
		t.Errorf("%s signs, not %s", got, next.KID)
	}
	if later, err := k.Ensure(t.Context(), ring, "cli:maria"); err != nil || c.now().Before(later) {
		t.Errorf("after a rotation its key is known from %s: %v", later, err)
	}
	if err := k.Withdraw(t.Context(), next.KID, keys.Intervention{}); !errors.Is(err, keys.ErrTooFresh) {
		t.Errorf("withdrawn before anybody can know its successor: %v", err)
	}
	must(t, k.Withdraw(t.Context(), next.KID, keys.Intervention{Force: true}))
	if got := kidOf(t, sign(t, k, ring)); got == next.KID {
		t.Error("a withdrawn key signs")
	}
	must(t, k.Maintain(t.Context()))
	wantStates(t, k, keys.Retired, keys.Active, keys.Published)
}

func TestARingOfANewerVersionIsPassedOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	must(t, h.store.ChangeKeys(t.Context(), keys.Change{At: h.clock.now(), Action: keys.ActionCreate, KID: "x", Insert: []keys.Record{
		{KID: "x", Ring: "tokens/ML-DSA-65", Ordinal: 1, Public: []byte("of a kind that is not known"), PublishedAt: h.clock.now(), SignsFrom: h.clock.now()},
	}}))
	must(t, h.Reload(t.Context()))
	must(t, h.Maintain(t.Context()))
	if body, _ := h.JWKS(); strings.Contains(string(body), `"kid":"x"`) {
		t.Errorf("%s", body)
	}
	sign(t, h.Keyring, keys.TokensBy(keys.EdDSA))
}

func TestAKeyOfAnotherKindThanItsRingIsNotRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, edKey := h.signer(keys.TokensBy(keys.EdDSA))
	public, err := x509.MarshalPKIXPublicKey(edKey.Public())
	must(t, err)
	must(t, h.store.ChangeKeys(t.Context(), keys.Change{At: h.clock.now(), Action: keys.ActionCreate, KID: "odd", Insert: []keys.Record{
		{KID: "odd", Ring: keys.TokensBy(keys.ES256), Ordinal: 9, Public: public, PublishedAt: h.clock.now(), SignsFrom: h.clock.now().Add(time.Hour)},
	}}))
	if err := h.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("%v", err)
	}
}

func TestARingIsNamedAsItIsStored(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]keys.Ring{"tokens": keys.Tokens, "refresh": keys.Refresh, "tokens/ES256": keys.TokensBy(keys.ES256)} {
		var r keys.Ring
		if err := r.UnmarshalText([]byte(name)); err != nil || r != want {
			t.Errorf("%s: %s %v", name, r, err)
		}
	}
	for _, name := range []string{"", "token", "tokens/", "tokens/RS256", "tokens/HS256", "refresh/ES256", "tokens/es256"} {
		r := keys.Tokens
		if err := r.UnmarshalText([]byte(name)); err == nil || r != keys.Tokens {
			t.Errorf("%q: %s %v", name, r, err)
		}
	}
}

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	must(t, err)
	return b
}
