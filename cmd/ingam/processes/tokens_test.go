package processes

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
)

func TestTokensAreVerifiedFromTheCommandLineAsAResourceServerDoes(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	secret := d.client("app")
	ring := d.ring()
	sign := func(typ string, changed map[string]any) string {
		t.Helper()
		token, err := ring.Sign(keys.Tokens, typ, d.claims(changed))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := s.token("app", secret)
	whole := s.post("/oauth2/token", "app", secret, url.Values{"grant_type": {"client_credentials"}}).body
	before := d.state()
	verify := func(stdin string, args ...string) ended {
		t.Helper()
		// A resource server has neither the database nor the master key.
		return d.command(stdin, []string{"INGAM_DATABASE=", "INGAM_MASTER_KEY_FILE="}, append([]string{"token", "verify"}, args...)...)
	}
	for what, stdin := range map[string]string{"a token": good, "a token in a line": good + "\n", "the whole answer": whole} {
		e := verify(stdin, "--audience", "https://api.test")
		var claims map[string]any
		if err := json.Unmarshal([]byte(e.stdout), &claims); err != nil || e.status != done || claims["sub"] != "app" || claims["iss"] != d.issuer {
			t.Errorf("%s: status %d, %v, %v", what, e.status, err, claims)
		}
		wantSaid(t, e.stderr, "signature is good", d.issuer, kidOf(t, good), "It was not revoked")
	}
	for what, c := range map[string]struct{ stdin, says string }{
		"another audience":      {sign("at+jwt", map[string]any{"aud": "https://other.test"}), "https://other.test"},
		"another issuer":        {sign("at+jwt", map[string]any{"iss": "https://other.test"}), ""},
		"an expired token":      {sign("at+jwt", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), "expired"},
		"another kind of token": {sign("JWT", nil), ""},
		"a changed token":       {tamper(good), ""},
		"no token":              {"", "no token"},
		"no token, but JSON":    {"{", "neither"},
		"a refusal":             {`{"error":"invalid_client","error_description":"no"}`, "invalid_client"},
	} {
		e := verify(c.stdin, "--audience", "https://api.test")
		if e.status != failed || e.stdout != "" {
			t.Errorf("%s: status %d\n%s", what, e.status, e.stdout)
		}
		wantSaid(t, e.stderr, c.says)
		if c.stdin != "" && strings.Contains(e.stderr, c.stdin) {
			t.Errorf("%s is repeated in the error", what)
		}
	}
	if e := verify(good, "extra"); e.status != misuse {
		t.Errorf("an argument: %+v", e)
	}
	if after := d.state(); after != before {
		t.Errorf("verifying changed something:\n%s\n%s", before, after)
	}

	if e := verify(good, "--no-status"); e.status != done || !strings.HasPrefix(e.stderr, "The signature is good") || !strings.Contains(e.stderr, "not checked.\n") {
		t.Errorf("without the status list: %+v", e)
	}

	// The scripts of cmd/ingam cannot test this cut, because they have no token.
	e := d.command(good, nil, "revoke", "--token-stdin", "--reason", "posted")
	if e.status != done || strings.Contains(e.stdout+e.stderr, good) {
		t.Errorf("%+v", e)
	}
	cuts := d.events(t, "cut.token")
	if len(cuts) != 1 || cuts[0].Subject != part(t, good, 1)["jti"] || cuts[0].Reason != "posted" || cuts[0].Actor != operator() {
		t.Errorf("%+v", cuts)
	}
	eventually(t, "the status list says so to the command as to a resource server", time.Minute, func() bool {
		e := verify(good, "--audience", "https://api.test")
		return e.status == failed && e.stdout == "" && strings.Contains(e.stderr, "the token was revoked, by its status list")
	})
	if e := verify(good, "--no-status"); e.status != done {
		t.Errorf("without the status list: %+v", e)
	}
	s.stop()
	if e := verify(good); e.status != failed || e.stdout != "" {
		t.Errorf("with nobody to ask: %+v", e)
	}
}
