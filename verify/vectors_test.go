package verify_test

import (
	"cmp"
	"crypto/ecdh"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/verify"
)

// published are the vectors of the RFCs about JOSE, each with the section that has it.
type published struct {
	// Signed are good signatures in compact serialisation.
	Signed []struct {
		Section, Alg, Text string
		Key                json.RawMessage
	}
	// Refused are others, of which none is accepted here.
	Refused   []struct{ Section, Text string }
	Encrypted []struct {
		Section, Text string
		Key           json.RawMessage
	}
	Keys map[string]json.RawMessage
}

func vectors(t *testing.T) (p published) {
	t.Helper()
	file, err := os.ReadFile("testdata/jose.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &p); err != nil || len(p.Signed) == 0 || len(p.Refused) == 0 || len(p.Encrypted) == 0 {
		t.Fatalf("%d, %d and %d vectors, %v", len(p.Signed), len(p.Refused), len(p.Encrypted), err)
	}
	return p
}

func readJWK(t *testing.T, text json.RawMessage) (k jose.JSONWebKey) {
	t.Helper()
	if err := k.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return k
}

// alone is a key set that publishes the key of a vector, for an algorithm and under a kid.
func alone(t *testing.T, text json.RawMessage, alg, kid string) []byte {
	t.Helper()
	k := readJWK(t, text)
	if half := k.Public(); half.Valid() {
		k = half
	}
	k.Algorithm, k.KeyID = alg, cmp.Or(kid, "none")
	return []byte(`{"keys":[` + string(jwk(t, k)) + `]}`)
}

// parts returns what the header of a vector says, and its payload.
func parts(t *testing.T, signed string) (header struct{ Typ, Kid string }, payload string) {
	t.Helper()
	var decoded [2][]byte
	for i := range decoded {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(strings.Split(signed, ".")[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(decoded[0], &header); err != nil {
		t.Fatal(err)
	}
	return header, string(decoded[1])
}

// TestPublishedSignatures checks those of RFC 7515 appendices A.1 to A.4, RFC 7520 sections
// 4.1 to 4.4 and 6, and RFC 8037 appendix A.5. ES512 and PS384 are among the algorithms that
// an issuer may have, though Ingam signs with neither.
func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	v := f.verifier(nil)
	for _, c := range vectors(t).Signed {
		h, good := parts(t, c.Text)
		var secrets [][]byte
		if c.Alg == "HS256" {
			secrets = [][]byte{newSecret(), readJWK(t, c.Key).Key.([]byte)}
		}
		set := alone(t, c.Key, c.Alg, h.Kid)
		for what, as := range map[string]struct {
			set    []byte
			narrow string
		}{"any": {set, ""}, "its own": {set, c.Alg}, "that of such a key": {alone(t, c.Key, usual(c.Alg), h.Kid), ""}} {
			if got, reason := verify.Opened(t.Context(), as.set, secrets, as.narrow, c.Text, h.Typ); string(got) != good || reason != "" {
				t.Errorf("%s, by %s algorithm: %q, refused for %s", c.Section, what, got, reason)
			}
		}
		at := strings.LastIndexByte(c.Text, '.') + 1
		for what, bad := range map[string]struct{ narrow, text, typ, reason string }{
			"signature changed":   {"", c.Text[:at] + flip(c.Text[at:]), h.Typ, "signature"},
			"payload changed":     {"", strings.Replace(c.Text, ".", ".AAAA", 1), h.Typ, "signature"},
			"without a signature": {"", c.Text[:at], h.Typ, "signature"},
			"as an access token":  {"", c.Text, "at+jwt", "header"},
			"another alg alone":   {"RS384", c.Text, h.Typ, "header"},
		} {
			if got, reason := verify.Opened(t.Context(), set, secrets, bad.narrow, bad.text, bad.typ); got != nil || reason != bad.reason {
				t.Errorf("%s, %s: %q, %q", c.Section, what, got, reason)
			}
		}
		refuses(t, v, c.Text, "header")
	}
}

// usual is empty for an algorithm that a key without one is for.
func usual(alg string) string {
	if alg[0] == 'P' {
		return alg
	}
	return ""
}

// TestPublishedSignaturesByAnotherKindOfKey: the algorithm is that of the key, and HS256
// that of no key.
func TestPublishedSignaturesByAnotherKindOfKey(t *testing.T) {
	t.Parallel()
	p := vectors(t)
	for _, c := range p.Signed {
		h, _ := parts(t, c.Text)
		for _, other := range p.Signed {
			if other.Alg == "HS256" || other.Alg == c.Alg {
				continue
			}
			set := alone(t, other.Key, other.Alg, h.Kid)
			if got, reason := verify.Opened(t.Context(), set, nil, "", c.Text, h.Typ); got != nil || reason != "header" {
				t.Errorf("%s by the key of %s: %q, %q", c.Section, other.Section, got, reason)
			}
		}
	}
}

// TestPublishedTextsThatAreNotAccepted: RFC 7515 appendix A.5 is not signed, RFC 7520 section
// 4.5 has no payload, and the others are in a JSON serialisation.
func TestPublishedTextsThatAreNotAccepted(t *testing.T) {
	t.Parallel()
	p := vectors(t)
	var secrets [][]byte
	for _, signed := range p.Signed {
		if signed.Alg == "HS256" {
			secrets = append(secrets, readJWK(t, signed.Key).Key.([]byte))
		}
	}
	reasons := map[string]string{"RFC 7515 A.5": "header", "RFC 7520 4.5": "signature"}
	for _, c := range p.Refused {
		want := reasons[c.Section]
		if want == "" {
			want = "form"
		}
		for _, signed := range p.Signed {
			set := alone(t, signed.Key, signed.Alg, "")
			if got, reason := verify.Opened(t.Context(), set, secrets, "", c.Text, ""); got != nil || reason != want {
				t.Errorf("%s by the key of %s: %q, %q", c.Section, signed.Section, got, reason)
			}
		}
	}
}

// TestPublishedKeyAgreements checks the derivation of these tests by RFC 7518 appendix C and
// RFC 7520 section 5.5, and then lets the receivers there read what the senders encrypted as
// it is done here.
func TestPublishedKeyAgreements(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	for section, c := range map[string]struct{ from, to, enc, apu, apv, key string }{
		"RFC 7518 C": {
			`{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps","d":"0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"}`,
			`{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}`,
			"A128GCM", "Alice", "Bob", "VqqN6vgjbSBcIijNcacQGg",
		},
		"RFC 7520 5.5": {
			`{"kty":"EC","crv":"P-256","x":"mPUKT_bAWGHIhg0TpjjqVsP1rXWQu_vwVOHHtNkdYoA","y":"8BQAsImGeAS46fyWw5MhYfGTT0IjBpFw2SS34Dv4Irs","d":"AtH35vJsQ9SGjYfOsjUxYXQKrPH3FjZHmEtSKoSN8cM"}`,
			`{"kty":"EC","crv":"P-256","x":"Ze2loSV3wrroKUN_4zhwGhCqo3Xhu1td4QjeQ5wIVR0","y":"HlLtdXARY_f55A3fnzQbPcm6hgr34Mp8p-nuzQCE0Zw","d":"r_kHyZ-a06rmxM3yESK84r1otSg-aQcVStkRhA-iCM8"}`,
			"A128CBC-HS256", "", "", "hzHdlfQIAEehb8Hrd_mFRhKsKLEzPfshfXs9l6areCc",
		},
	} {
		private := func(text string) *ecdh.PrivateKey {
			d, err := readJWK(t, []byte(text)).Key.(*ecdsa.PrivateKey).ECDH()
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		encode := base64.RawURLEncoding.EncodeToString
		from, to := private(c.from), private(c.to).PublicKey()
		if got := encode(agreed(t, from, to, c.enc, c.apu, c.apv, base64.RawURLEncoding.DecodedLen(len(c.key)))); got != c.key {
			t.Fatalf("%s: derived %s", section, got)
		}
		var epk map[string]any
		json.Unmarshal([]byte(c.from), &epk)
		delete(epk, "d")
		s := sealing{
			header: map[string]any{"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "jti": "t1", "epk": epk},
			cek:    agreed(t, from, to, "A256GCM", c.apu, c.apv, 32),
		}
		if c.apu != "" {
			s = s.with(map[string]any{"apu": encode([]byte(c.apu)), "apv": encode([]byte(c.apv))})
		}
		v := f.verifier(func(config *verify.Config) { config.DecryptionKeys = [][]byte{[]byte(c.to)} })
		if _, err := v.Verify(t.Context(), s.seal(t, f.token(nil))); err != nil {
			t.Errorf("%s: %v", section, err)
		}
	}
}
