package processes

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/verify"
)

// TestIndependentVerifiersCheckEachAlgorithm checks that libraries of others accept the
// tokens of an API with another algorithm, by the key set or the shared secret alone.
func TestIndependentVerifiersCheckEachAlgorithm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"PS256", "ES256", "EdDSA", "HS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t).oneAtATime()
			s := d.start()
			var api struct {
				Secret string `json:"api_secret"`
			}
			d.mustJSON(&api, "api", "create", "--audience", "https://api.test", "--name", "API", "--scope", "read write", "--signing-alg", algorithm)
			var shared []byte
			var secrets [][]byte
			if algorithm == "HS256" {
				shared = decoded(t, api.Secret)
				secrets = [][]byte{shared}
			}
			secret := d.client("app")
			token := s.token("app", secret)
			if got := part(t, token, 0)["alg"]; got != algorithm {
				t.Fatalf("the token is signed with %v", got)
			}
			for _, v := range independentVerifiers(t, s, algorithm, shared) {
				if subject, err := v.check(token); err != nil || subject != "app" {
					t.Errorf("%s: %q %v", v.name, subject, err)
				}
				if _, err := v.check(tamper(token)); err == nil {
					t.Errorf("%s accepted another payload", v.name)
				}
			}
			if shared != nil {
				for _, v := range independentVerifiers(t, s, algorithm, bytes.Repeat([]byte{1}, len(shared))) {
					if _, err := v.check(token); err == nil {
						t.Errorf("%s accepted it, with another secret", v.name)
					}
				}
			}
			for what, v := range map[string]*verify.Verifier{
				"as it is":   d.verifier(verify.Config{SharedSecrets: secrets, Status: verify.StatusPoll, MaxStaleness: time.Hour}),
				"narrowed":   d.verifier(verify.Config{SharedSecrets: secrets, Algorithm: algorithm}),
				"that polls": d.verifier(verify.Config{SharedSecrets: secrets, Algorithm: algorithm, Status: verify.StatusPoll, MaxStaleness: time.Hour}),
			} {
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Errorf("package verify, %s: %v", what, err)
				}
			}
			usual := d.verifier(verify.Config{Algorithm: "RS256"})
			if _, err := usual.Verify(t.Context(), token); err == nil {
				t.Error("a verifier that is narrowed to RS256 accepted it")
			}
			if e := d.command(token, nil, "token", "verify", "--audience", "https://api.test"); (e.status == done) != (shared == nil) {
				t.Errorf("ingam token verify: %d %s", e.status, e.stderr)
			}
			if !s.active("app", secret, token) {
				t.Error("it is not active")
			}
		})
	}
}

// independentVerifiers returns verifiers by several libraries; shared is the secret of HS256.
func independentVerifiers(t *testing.T, s *server, algorithm string, shared []byte) []verifier {
	t.Helper()
	return append(goVerifiers(t, s, algorithm, shared), nodeVerifier(t, s, algorithm, shared))
}

// TestAnAlgorithmThatChangesLocksNobodyOut runs two servers: while an API changes its
// algorithm, each token verifies everywhere, whichever server issued it.
func TestAnAlgorithmThatChangesLocksNobodyOut(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	// Verifiers know a new key soon here, so that the change is soon over.
	d.settings = append(d.settings, "INGAM_KEYS_JWKS_MAX_AGE=10s", "INGAM_KEYS_VERIFIER_CACHE=0s", "INGAM_TOKENS_SKEW=0s")
	s, second := d.start(), d.startAt(freeAddress(t))
	secret := d.client("app")
	v := d.verifier(verify.Config{})
	d.must("api", "update", "https://api.test", "--signing-alg", "ES256")
	tokens := map[any]int{}
	eventually(t, "both servers sign with the new algorithm", time.Minute, func() bool {
		time.Sleep(200 * time.Millisecond) // they have other things to do
		var algorithms []any
		for _, at := range []*server{s, second} {
			token := at.token("app", secret)
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			for _, asked := range []*server{s, second} {
				if !asked.active("app", secret, token) {
					t.Fatal("a token is not active")
				}
			}
			algorithms = append(algorithms, part(t, token, 0)["alg"])
			tokens[algorithms[len(algorithms)-1]]++
		}
		return algorithms[0] == "ES256" && algorithms[1] == "ES256"
	})
	if tokens["RS256"] == 0 || tokens["ES256"] == 0 || len(tokens) != 2 {
		t.Errorf("%v", tokens)
	}

	// The new ring is rotated by force, and withdrawn from, while a server is killed and
	// starts again.
	before := s.token("app", secret)
	d.must("key", "rotate", "--ring", "tokens/ES256", "--now", "--force")
	second.kill()
	second = d.startAt(strings.TrimPrefix(second.url, "http://"))
	rotated := ""
	eventually(t, "both servers sign with the next key", time.Minute, func() bool {
		rotated = s.token("app", secret)
		other := second.token("app", secret)
		return kidOf(t, rotated) != kidOf(t, before) && kidOf(t, other) == kidOf(t, rotated)
	})
	d.must("key", "withdraw", kidOf(t, rotated), "--force")
	second.kill()
	second = d.startAt(strings.TrimPrefix(second.url, "http://"))
	for what, at := range map[string]*server{"the server that went on": s, "the one that was killed": second} {
		if at.active("app", secret, rotated) || !at.active("app", secret, before) {
			t.Errorf("%s: a token of the withdrawn key is active %v, one of the retired key %v", what, at.active("app", secret, rotated), at.active("app", secret, before))
		}
		if token := at.token("app", secret); part(t, token, 0)["alg"] != "ES256" || !s.active("app", secret, token) || !second.active("app", secret, token) {
			t.Errorf("%s: its next token is not good everywhere", what)
		}
	}
}
