//go:build !quick

package strangers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestPythonVerifiersCheckEachAlgorithm has PyJWT and joserfc check the tokens of an API
// with another algorithm, by the key set.
func TestPythonVerifiersCheckEachAlgorithm(t *testing.T) {
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			p := startProvider(t)
			token := p.tokenOf(t, "--signing-alg="+algorithm)
			dir, python := venv(t, "verifiers")
			cmd := exec.Command(python, filepath.Join(dir, "verify.py"), p.issuer+"/.well-known/jwks.json", p.issuer, apiAudience, algorithm)
			body, signature := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.'):]
			cmd.Stdin = strings.NewReader(token + "\n" + body + "x" + signature + "\n")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || string(out) != "job job\nrefused refused\n" {
				t.Errorf("%v: %q %s", err, out, stderr.String())
			}
		})
	}
}

// TestPythonReadsEncryptedTokens has joserfc decrypt the tokens of an API with an encryption
// key, and check what is inside.
func TestPythonReadsEncryptedTokens(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, key := range map[string]crypto.Signer{"ECDH-ES": curve, "RSA-OAEP-256": modulus} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			p := startProvider(t)
			private, public := filepath.Join(t.TempDir(), "private.json"), filepath.Join(t.TempDir(), "public.json")
			for path, k := range map[string]any{private: key, public: key.Public()} {
				b, err := jose.JSONWebKey{Key: k, KeyID: "k1", Use: "enc", Algorithm: algorithm}.MarshalJSON()
				if err == nil {
					err = os.WriteFile(path, b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			token := p.tokenOf(t, "--encryption-key="+public)
			if n := strings.Count(token, "."); n != 4 {
				t.Fatalf("the token has %d parts", n+1)
			}
			dir, python := venv(t, "verifiers")
			cmd := exec.Command(python, filepath.Join(dir, "decrypt.py"), p.issuer+"/.well-known/jwks.json", p.issuer, apiAudience, private)
			cmd.Stdin = strings.NewReader(token + "\n" + token[:len(token)-4] + "AAAA\n")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || string(out) != "job\nrefused\n" {
				t.Errorf("%v: %q %s", err, out, stderr.String())
			}
		})
	}
}

// TestSpringChecksEachAlgorithm has Spring's Nimbus check them. It knows no EdDSA.
func TestSpringChecksEachAlgorithm(t *testing.T) {
	for _, algorithm := range []string{"PS256", "ES256"} {
		t.Run(algorithm, func(t *testing.T) {
			s := meet(t, "Spring Boot, resource server with "+algorithm, springBoots[len(springBoots)-1])
			tokens := apiTokens(s, "--token-typ=JWT", "--signing-alg="+algorithm)
			careful := springAPI(s, "spring.security.oauth2.resourceserver.jwt.audiences", apiAudience, "spring.security.oauth2.resourceserver.jwt.jws-algorithms", algorithm)
			said := careful.opens(tokens.AccessToken)
			careful.refuses(tokens.Extra("id_token").(string))
			s.knowsOf(said, fact{"sub", s.personID}, fact{"scope", "SCOPE_read"})
		})
	}
}

// tokenOf returns an access token of a client's own, for an API that is registered with
// further flags.
func (p *provider) tokenOf(t *testing.T, apiFlags ...string) string {
	t.Helper()
	p.must(t, "", append([]string{"api", "create", "--audience", apiAudience, "--name", "Orders", "--scope", "read"}, apiFlags...)...)
	var client struct {
		Secret string `json:"client_secret"`
	}
	made := p.must(t, "", "client", "create", "--id", "job", "--name", "Job", "--grant", "client_credentials", "--scope", "read", "--audience", apiAudience, "--auth", "client_secret_basic", "--json")
	if err := json.Unmarshal([]byte(made), &client); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, p.issuer+"/oauth2/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("job", client.Secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("%d: %v", resp.StatusCode, err)
	}
	return answer.AccessToken
}
