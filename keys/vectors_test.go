package keys_test

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/keys"
)

// published are the vectors of the RFCs about JOSE, each with the section that has it.
type published struct {
	Signed []struct {
		Section, Alg, Text string
		Key                json.RawMessage
	}
	Refused []struct{ Section, Text string }
	Keys    map[string]json.RawMessage
	// Encrypted are for package verify, which decrypts; their keys are of use here.
	Encrypted []struct {
		Section string
		Key     json.RawMessage
	}
}

func vectors(t *testing.T) (p published) {
	t.Helper()
	file, err := os.ReadFile("../verify/testdata/jose.json")
	must(t, err)
	must(t, json.Unmarshal(file, &p))
	if len(p.Signed) == 0 || len(p.Refused) == 0 || len(p.Encrypted) == 0 {
		t.Fatal("there are no vectors")
	}
	return p
}

func readJWK(t *testing.T, text json.RawMessage) (k jose.JSONWebKey) {
	t.Helper()
	must(t, k.UnmarshalJSON(text))
	return k
}

// alone is a key set that publishes the key of a vector. One without a kid gets one.
func alone(t *testing.T, text json.RawMessage, alg string) keys.KeySet {
	t.Helper()
	k := readJWK(t, text)
	if half := k.Public(); half.Valid() {
		k = half
	}
	if k.KeyID == "" {
		k.KeyID = "k"
	}
	k.Algorithm = alg
	set, err := keys.ParseJWKS([]byte(`{"keys":[` + jwkOf(t, k) + `]}`))
	must(t, err)
	return set
}

// middle is the payload of a signed text.
func middle(t *testing.T, signed string) []byte {
	t.Helper()
	return decode(t, strings.Split(signed, ".")[1])
}

// wantRefused checks that a text is refused, and that the error says why.
func wantRefused(t *testing.T, what string, err error, why string) {
	t.Helper()
	if !errors.Is(err, keys.ErrInvalidToken) || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: %v; want %q", what, err, why)
	}
}

// TestPublishedSignatures checks the signatures of RFC 7515 appendix A, RFC 7520 sections 4
// and 6, and RFC 8037 appendix A.5.
func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, v := range vectors(t).Signed {
		set := alone(t, v.Key, v.Alg)
		got, err := set.Check(v.Text)
		if _, fromToken := set.Verify(v.Text, "at+jwt"); !errors.Is(fromToken, keys.ErrInvalidToken) {
			t.Errorf("%s is taken for a token: %v", v.Section, fromToken)
		}
		switch v.Alg {
		case "RS256", "PS256", "ES256", "EdDSA":
			checked++
			if err != nil || !bytes.Equal(got.Payload, middle(t, v.Text)) {
				t.Errorf("%s: %q, %v", v.Section, got.Payload, err)
			}
			_, err = set.Check(otherwise(v.Text))
			wantRefused(t, v.Section+", changed", err, "its signature is wrong")
			if other := map[string]string{"RS256": "PS256", "PS256": "RS256"}[v.Alg]; other != "" {
				_, err = alone(t, v.Key, other).Check(v.Text)
				wantRefused(t, v.Section+" by a key for "+other, err, "its algorithm is not that of its key")
			}
		default: // HS256, PS384 and ES512: no key of a key set is for these
			wantRefused(t, v.Section, err, "it is not a JWS with an algorithm of this server")
		}
	}
	if checked != 5 {
		t.Errorf("%d vectors were checked", checked)
	}
}

// otherwise changes the first character of the signature.
func otherwise(signed string) string {
	at := strings.LastIndexByte(signed, '.') + 1
	last := strings.IndexByte(alphabet, signed[at])
	return signed[:at] + string(alphabet[last^1]) + signed[at+1:]
}

// TestPublishedSignaturesAreMadeAgain signs what RFC 7515 appendix A.2, RFC 7520 section 4.1
// and RFC 8037 appendix A.4 sign, with their keys. RS256 and EdDSA are deterministic.
func TestPublishedSignaturesAreMadeAgain(t *testing.T) {
	t.Parallel()
	m, _ := newMaster(t, "")
	k := keys.New(newStore(t), m, policy, newClock().now)
	made := 0
	for _, v := range vectors(t).Signed {
		if v.Alg != "RS256" && v.Alg != "EdDSA" {
			continue
		}
		made++
		jwk, ring := readJWK(t, v.Key), keys.TokensBy(keys.Algorithm(v.Alg))
		der, err := x509.MarshalPKCS8PrivateKey(jwk.Key)
		must(t, err)
		sealed, err := m.Seal(ring, jwk.KeyID, der)
		must(t, err)
		if got, err := k.SignBare(keys.Record{Ring: ring, KID: jwk.KeyID, Sealed: sealed}, middle(t, v.Text)); got != v.Text {
			t.Errorf("%s: %s, %v", v.Section, got, err)
		}
	}
	if made != 3 {
		t.Errorf("%d vectors were made", made)
	}
}

// shared seals the secret of a section for an API of the keyring, and returns the vector.
func (p published) shared(t *testing.T, section string) (k *keys.Keyring, s keys.SharedSecret, text string) {
	t.Helper()
	m, _ := newMaster(t, "")
	for _, v := range p.Signed {
		if v.Section == section {
			jwk := readJWK(t, v.Key)
			sealed, err := m.Seal("shared/api", jwk.KeyID, jwk.Key.([]byte))
			must(t, err)
			s, text = keys.SharedSecret{API: "api", KID: jwk.KeyID, Sealed: sealed}, v.Text
		}
	}
	return keys.New(newStore(t), m, policy, newClock().now), s, text
}

// TestPublishedMACs makes and checks that of RFC 7520 section 4.4; section 4.5 is the same
// without the payload.
func TestPublishedMACs(t *testing.T) {
	t.Parallel()
	p := vectors(t)
	k, secret, text := p.shared(t, "RFC 7520 4.4")
	if made, err := k.SignSharedBare(secret, middle(t, text)); made != text {
		t.Errorf("made %s, %v", made, err)
	}
	if got, err := k.CheckShared(secret, text); err != nil || !bytes.Equal(got.Payload, middle(t, text)) {
		t.Errorf("%q, %v", got.Payload, err)
	}
	_, err := k.CheckShared(secret, otherwise(text))
	wantRefused(t, "changed", err, "its signature is wrong")
	_, err = k.VerifyShared(secret, text, "at+jwt")
	wantRefused(t, "as a token", err, "its header is not that of such a token")
	for _, v := range p.Refused {
		want := map[string]string{"RFC 7520 4.5": "its signature is wrong", "RFC 7515 A.5": "it is not a JWS with an algorithm of this server"}[v.Section]
		_, err = k.CheckShared(secret, v.Text)
		wantRefused(t, v.Section, err, cmp.Or(want, "it does not have three parts"))
	}
}

// TestAPublishedSecretOfAnotherLength: that of RFC 7515 appendix A.1 has 64 bytes, and those
// that are shared here have 32.
func TestAPublishedSecretOfAnotherLength(t *testing.T) {
	t.Parallel()
	k, secret, text := vectors(t).shared(t, "RFC 7515 A.1")
	_, signing := k.SignSharedBare(secret, middle(t, text))
	_, checking := k.CheckShared(secret, text)
	for what, err := range map[string]error{"signs": signing, "checks": checking} {
		if err == nil || !strings.Contains(err.Error(), "cannot be read") || errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("it %s: %v", what, err)
		}
	}
}

// TestPublishedTextsThatAreNoTokens: RFC 7515 appendix A.5 is not signed, RFC 7520 section 4.5
// has no payload, and the others are in a JSON serialisation.
func TestPublishedTextsThatAreNoTokens(t *testing.T) {
	t.Parallel()
	p := vectors(t)
	for _, v := range p.Refused {
		want := "it does not have three parts"
		if v.Section == "RFC 7515 A.5" || v.Section == "RFC 7520 4.5" {
			want = "it is not a JWS with an algorithm of this server"
		}
		for _, signed := range p.Signed {
			_, err := alone(t, signed.Key, signed.Alg).Check(v.Text)
			wantRefused(t, v.Section+" by the key of "+signed.Section, err, want)
		}
	}
}

// TestPublishedThumbprint is that of RFC 7638 section 3.1, whose key is for signatures: so it
// is taken without its alg alone, which a thumbprint does not cover.
func TestPublishedThumbprint(t *testing.T) {
	t.Parallel()
	text := vectors(t).Keys["RFC 7638 3.1"]
	if _, err := keys.ParseEncryptionKey(text); !errors.Is(err, keys.ErrEncryptionKey) || !strings.Contains(err.Error(), "its alg is not RSA-OAEP-256") {
		t.Errorf("as published: %v", err)
	}
	k := readJWK(t, text)
	k.Algorithm = ""
	key, err := keys.ParseEncryptionKey([]byte(jwkOf(t, k)))
	must(t, err)
	if got := key.Thumbprint(); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Error(got)
	}
}

// TestPublishedKeysToEncryptTo gives the public halves of the keys of RFC 7516 appendix A,
// RFC 7520 section 5 and RFC 8037 appendix A as keys to encrypt to.
func TestPublishedKeysToEncryptTo(t *testing.T) {
	t.Parallel()
	p := vectors(t)
	texts := map[string]json.RawMessage{}
	for name, text := range p.Keys {
		texts[name] = text
	}
	for _, v := range p.Encrypted {
		texts[v.Section] = v.Key
	}
	for section, c := range map[string]struct{ alg, why string }{
		"RFC 7516 A.1": {alg: "RSA-OAEP-256"},
		"RFC 7520 5.1": {alg: "RSA-OAEP-256"},
		"RFC 7520 5.2": {why: "its alg is not RSA-OAEP-256"},
		"RFC 7520 5.4": {why: "it is on the curve P-384"},
		"RFC 7520 5.5": {alg: "ECDH-ES"},
		"RFC 8037 A.2": {why: "it is neither an RSA key nor one on the curve P-256"},
		"RFC 8037 A.6": {why: "it is not a JWK (RFC 7517) that can be read"},
	} {
		text := texts[section]
		if !bytes.Contains(text, []byte(`"d"`)) {
			checkEncryptionKey(t, section, string(text), c.alg, c.why)
			continue
		}
		checkEncryptionKey(t, section+", private", string(text), "", "it is a private key")
		k := readJWK(t, text)
		checkEncryptionKey(t, section, jwkOf(t, k.Public()), c.alg, c.why)
	}
}

// checkEncryptionKey checks that a JWK is taken for that algorithm, or refused and why.
func checkEncryptionKey(t *testing.T, what, text, alg, why string) {
	t.Helper()
	key, err := keys.ParseEncryptionKey([]byte(text))
	if why != "" {
		if !errors.Is(err, keys.ErrEncryptionKey) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v; want %q", what, err, why)
		}
		return
	}
	if err != nil || key.Algorithm() != alg || key.Try() != nil {
		t.Errorf("%s: %v", what, err)
	}
}
