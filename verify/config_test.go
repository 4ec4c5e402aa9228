package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/verify"
)

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	good := verify.Config{Issuer: "https://id.example.com", Audience: audience}
	for name, change := range map[string]func(*verify.Config){
		"Issuer is not set":            func(c *verify.Config) { c.Issuer = "" },
		"Issuer is not an http":        func(c *verify.Config) { c.Issuer = "https://id.example.com?a=b" },
		"Issuer is http":               func(c *verify.Config) { c.Issuer = "http://id.example.com" },
		"Audience is not set":          func(c *verify.Config) { c.Audience = "" },
		`Algorithm "none"`:             func(c *verify.Config) { c.Algorithm = "none" },
		`Algorithm "HS256"`:            func(c *verify.Config) { c.Algorithm = "HS256" },
		"Skew is 10m":                  func(c *verify.Config) { c.Skew = 10 * time.Minute },
		"StatusStream needs ClientID":  streaming,
		"Status is none of":            func(c *verify.Config) { c.Status = 7 },
		"MaxStaleness is 1ms":          func(c *verify.Config) { c.MaxStaleness = time.Millisecond },
		"MaxKeyAge is 720h":            func(c *verify.Config) { c.MaxKeyAge = 720 * time.Hour },
		"MaxListBytes":                 func(c *verify.Config) { c.MaxListBytes = -1 },
		"Resource.ID is not an https ": func(c *verify.Config) { c.Resource.ID = "orders" },
	} {
		c := good
		change(&c)
		if _, err := verify.New(t.Context(), c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v; want %q", err, name)
		}
	}
}

func TestAnyOneAsymmetricAlgorithmCanBePinned(t *testing.T) {
	t.Parallel()
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	keys := map[jose.SignatureAlgorithm]crypto.Signer{
		jose.RS256: rsaKeys()[0], jose.RS512: rsaKeys()[0], jose.PS256: rsaKeys()[0],
		jose.ES256: p256, jose.ES384: p384, jose.EdDSA: ed,
	}
	f := newIssuer(t)
	f.with(func() {
		f.answers["/realm/jwks"] = func(w http.ResponseWriter, _ *http.Request) {
			var set jose.JSONWebKeySet
			for alg, key := range keys {
				set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: string(alg)})
			}
			json.NewEncoder(w).Encode(set)
		}
	})
	payload, _ := json.Marshal(f.claims(nil))
	for pinned := range keys {
		v := f.verifier(func(c *verify.Config) { c.Algorithm = string(pinned) })
		for alg, key := range keys {
			token := signWith(t, jose.SigningKey{Algorithm: alg, Key: key}, map[string]any{"kid": string(alg), "typ": "at+jwt"}, payload)
			if _, err := v.Verify(t.Context(), token); (err == nil) != (alg == pinned) || err != nil && !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("%s where %s is pinned: %v", alg, pinned, err)
			}
		}
	}
}
