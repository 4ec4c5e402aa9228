package verify_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/ingam/ingam/verify"
)

// notTaken are the published keys that cannot decrypt here, and why.
var notTaken = map[string]string{
	"RFC 7516 A.3": "is not the private key of RSA or of the curve P-256",
	"RFC 7520 5.2": "is for another algorithm than RSA-OAEP-256",
	"RFC 7520 5.4": "is not on the curve P-256",
	"RFC 7520 5.6": "is not the private key of RSA or of the curve P-256",
	"RFC 7520 5.7": "is not the private key of RSA or of the curve P-256",
	"RFC 7520 5.8": "is not the private key of RSA or of the curve P-256",
	"RFC 7520 5.9": "is not the private key of RSA or of the curve P-256",
	"RFC 7520 6":   "is for another algorithm than RSA-OAEP-256",
	"RFC 8037 A.1": "is not the private key of RSA or of the curve P-256",
	"RFC 8037 A.6": "is not a JWK (RFC 7517) that can be read",
}

func TestPublishedKeysToDecryptWith(t *testing.T) {
	t.Parallel()
	p := vectors(t)
	keys := maps.Clone(p.Keys)
	for _, c := range p.Encrypted {
		keys[c.Section] = c.Key
	}
	for _, c := range p.Signed {
		if c.Section == "RFC 8037 A.4" {
			keys["RFC 8037 A.1"] = c.Key
		}
	}
	for section, why := range notTaken {
		_, err := decryptingWith(t, keys[section])
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v; want %q", section, err, why)
		}
	}
	for _, section := range []string{"RFC 7516 A.1", "RFC 7516 A.2", "RFC 7520 5.1", "RFC 7520 5.5"} {
		if _, err := decryptingWith(t, keys[section]); err != nil {
			t.Errorf("%s: %v", section, err)
		}
	}
}

func decryptingWith(t *testing.T, key json.RawMessage) (*verify.Verifier, error) {
	t.Helper()
	f := newIssuer(t)
	v, err := verify.New(t.Context(), verify.Config{Issuer: f.url, Audience: audience, HTTPClient: f.client, DecryptionKeys: [][]byte{key}})
	if err == nil {
		t.Cleanup(v.Close)
	}
	return v, err
}

// TestPublishedEncryption gives the texts of RFC 7516 appendix A and RFC 7520 sections 5 and
// 6 to a verifier that has their keys, where those can be had here. None has an algorithm
// and an encryption that are both accepted.
func TestPublishedEncryption(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	usual := f.verifier(decrypting(t))
	const alg, form = "its key is not encrypted by an algorithm that is accepted", "it is not encrypted"
	other := map[string]string{
		"RFC 7516 A.4": form, "RFC 7516 A.5": form, "RFC 7520 5.10": form, "RFC 7520 5.11": form, "RFC 7520 5.12": form,
		"RFC 7520 5.5": "it is not encrypted with A256GCM",
	}
	for _, c := range vectors(t).Encrypted {
		v := usual
		if c.Key != nil && notTaken[c.Section] == "" {
			v = f.verifier(func(config *verify.Config) { config.DecryptionKeys = [][]byte{c.Key} })
		}
		want := other[c.Section]
		if want == "" {
			want = alg
		}
		got, err := v.Verify(t.Context(), c.Text)
		if !errors.Is(err, verify.ErrInvalid) || !strings.HasSuffix(err.Error(), want) || got != nil {
			t.Errorf("%s: %+v, %v; want %q", c.Section, got, err, want)
		}
	}
}

// TestPublishedContentEncryption checks what these tests encrypt with by RFC 7516 appendix
// A.1.
func TestPublishedContentEncryption(t *testing.T) {
	t.Parallel()
	s := sealing{cek: []byte{
		177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110, 91, 112, 46, 34, 105, 47, 130, 203, 46, 122,
		234, 64, 252,
	}}
	iv := []byte{227, 197, 117, 252, 2, 219, 233, 68, 180, 225, 77, 219}
	got := s.sealWith(t, iv, `{"alg":"RSA-OAEP","enc":"A256GCM"}`, "The true sign of intelligence is not knowledge but imagination.")
	for _, c := range vectors(t).Encrypted {
		if parts := strings.Split(c.Text, "."); c.Section == "RFC 7516 A.1" {
			parts[1] = ""
			if want := strings.Join(parts, "."); got != want {
				t.Errorf("%s; want %s", got, want)
			}
		}
	}
}
