//go:build !quick

package strangers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// TestPythonVerifiersCheckEachAlgorithm has PyJWT and joserfc check the tokens of an API
// with another algorithm, by the key set or the shared secret.
func TestPythonVerifiersCheckEachAlgorithm(t *testing.T) {
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			p := startProvider(t)
			secret := p.createAPI(t, "--signing-alg="+algorithm)
			token := p.clientTokens(t)()
			body, signature := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.'):]
			ask := func(keys, said string) {
				t.Helper()
				python(t, token+"\n"+body+"x"+signature+"\n", said, "verify.py", keys, p.issuer, apiAudience, algorithm)
			}
			if secret == "" {
				ask(p.issuer+"/.well-known/jwks.json", "job job\nrefused refused\n")
				return
			}
			ask(secret, "job job\nrefused refused\n")
			ask(anotherSecret, "refused refused\nrefused refused\n")
		})
	}
}

// anotherSecret is one that no API has, in base64url.
var anotherSecret = base64.RawURLEncoding.EncodeToString(make([]byte, 32))

// python fails unless a script of python/verifiers answers lines with what it should.
func python(t *testing.T, lines, said, script string, args ...string) {
	t.Helper()
	dir, python := venv(t, "verifiers")
	cmd := exec.Command(python, append([]string{filepath.Join(dir, script)}, args...)...)
	cmd.Stdin = strings.NewReader(lines)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || string(out) != said {
		t.Errorf("%v: %q %s", err, out, stderr.String())
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
			p.createAPI(t, "--encryption-key="+public)
			token := p.clientTokens(t)()
			if n := strings.Count(token, "."); n != 4 {
				t.Fatalf("the token has %d parts", n+1)
			}
			python(t, token+"\n"+token[:len(token)-4]+"AAAA\n", "job\nrefused\n",
				"decrypt.py", p.issuer+"/.well-known/jwks.json", p.issuer, apiAudience, private)
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

// TestSpringChecksHS256 has it check them by the shared secret.
func TestSpringChecksHS256(t *testing.T) {
	s := meet(t, "Spring Boot, resource server with HS256", springBoots[len(springBoots)-1])
	secret := s.createAPI("--signing-alg=HS256")
	token := s.clientTokens(s)()
	said := springAPI(s, "rfc9068.audience", apiAudience, "rfc9068.secret", secret).opens(token)
	springAPI(s, "rfc9068.audience", apiAudience, "rfc9068.secret", anotherSecret).refuses(token)
	s.knowsOf(said, fact{"sub", "job"}, fact{"scope", "SCOPE_read"})
}

// clientTokens registers the client "job" of the API. It gets access tokens of its own by
// what is returned.
func (p *provider) clientTokens(t testing.TB) (token func() string) {
	t.Helper()
	var client struct {
		Secret string `json:"client_secret"`
	}
	made := p.must(t, "", "client", "create", "--id", "job", "--name", "Job", "--grant", "client_credentials", "--scope", "read", "--audience", apiAudience, "--auth", "client_secret_basic", "--json")
	if err := json.Unmarshal([]byte(made), &client); err != nil {
		t.Fatal(err)
	}
	config := clientcredentials.Config{ClientID: "job", ClientSecret: client.Secret, TokenURL: p.issuer + "/oauth2/token", AuthStyle: oauth2.AuthStyleInHeader}
	return func() string {
		t.Helper()
		token, err := config.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return token.AccessToken
	}
}
