package processes

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/ingam/ingam/verify"
)

// TestAnAPIWithASharedSecretAndTwoServers: its tokens cost no statement, it can check them
// by itself, no endpoint takes them, and both servers follow a new secret.
func TestAnAPIWithASharedSecretAndTwoServers(t *testing.T) {
	t.Parallel()
	const mono = "https://mono.test"
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		type shared struct {
			ID        string `json:"id"`
			APISecret string `json:"api_secret"`
		}
		var first, next shared
		d.mustJSON(&first, "api", "create", "--audience", mono, "--name", "Mono", "--scope", "use", "--signing-alg", "HS256")
		secret := d.client("app", "--audience", mono, "--scope", "read write use")
		var api struct {
			ClientSecret string `json:"client_secret"`
		}
		d.mustJSON(&api, "client", "create", "--id", "mono", "--name", "Mono", "--auth", "client_secret_basic", "--audience", mono)
		s, asked := d.startHere()
		second := d.startAt(freeAddress(t))
		token := s.token("app", secret, "resource", mono)
		asked.Take()
		for range 20 {
			s.token("app", secret, "resource", mono)
		}
		if statements := asked.Take(); len(statements) > 0 {
			t.Errorf("tokens asked the driver %d statements: %.500q", len(statements), statements)
		}
		for _, s := range []*server{s, second} {
			if !s.active("mono", api.ClientSecret, token) || s.active("app", secret, token) {
				t.Error("introspection is not for the API alone")
			}
			if a := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+token); a.status != http.StatusUnauthorized {
				t.Errorf("userinfo: %d %s", a.status, a.body)
			}
			if a := s.get("/.well-known/jwks.json"); strings.Contains(a.body, "HS256") || strings.Contains(a.body, `"oct"`) {
				t.Errorf("the key set: %s", a.body)
			}
		}
		if e := d.command(token, nil, "token", "verify", "--no-status"); e.status == done {
			t.Error("the key set verifies it")
		}
		if e := d.command(token, nil, "revoke", "--token-stdin"); e.status == done || !strings.Contains(e.stderr, "nothing to revoke") {
			t.Errorf("it revokes: %s", e.stderr)
		}
		d.mustJSON(&next, "api", "secret", "add", mono)
		v, err := verify.New(t.Context(), verify.Config{
			Issuer: d.issuer, Audience: mono, Algorithm: "HS256", Status: verify.StatusPoll,
			SharedSecrets: [][]byte{decoded(t, first.APISecret), decoded(t, next.APISecret)},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		d.must("api", "secret", "use", mono, next.ID)
		for _, s := range []*server{s, second} {
			later := s.token("app", secret, "resource", mono)
			if by := kidOf(t, later); by != next.ID {
				t.Errorf("signed by %v, not %s", by, next.ID)
			}
			for _, token := range []string{token, later} {
				if _, err := v.Verify(t.Context(), token); err != nil || !s.active("mono", api.ClientSecret, token) {
					t.Errorf("%v", err)
				}
			}
		}
		d.must("api", "secret", "remove", mono, kidOf(t, token))
		for _, s := range []*server{s, second} {
			if s.active("mono", api.ClientSecret, token) {
				t.Error("a token of a secret that was removed is active")
			}
		}
	})
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != 32 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	return b
}
