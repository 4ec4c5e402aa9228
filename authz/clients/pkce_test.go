package clients

import (
	"strings"
	"testing"
)

func TestWhatARequestLacksByTheRuleOfItsClient(t *testing.T) {
	t.Parallel()
	confidential := Client{ID: "app", Auth: SecretBasic}
	with := func(c Client, p PKCE) Client {
		c.PKCE = p
		return c
	}
	public, clear := Client{ID: "app", Auth: None}, Client{ID: "app", Auth: SecretPost, RedirectURIs: []string{"https://a.example/cb", "http://nas.example/cb"}}
	loopback := Client{ID: "app", Auth: SecretPost, RedirectURIs: []string{"http://127.0.0.1/cb", "http://app.localhost/cb", "com.example.app:/cb"}}
	const mustUse, required, neither, useless = "must use PKCE", "--pkce required", "neither a code_challenge nor a nonce", "scope openid is not granted"
	for _, c := range []struct {
		what    string
		client  Client
		nonce   string
		idToken bool
		lacks   string
	}{
		{"required, with a nonce", with(confidential, PKCERequired), "n", true, required},
		{"required, with nothing", with(confidential, PKCERequired), "", true, required},
		{"no rule that is known", with(confidential, "x"), "n", true, required},
		{"no rule", with(confidential, ""), "n", true, required},
		{"nonce, with a nonce", with(confidential, PKCENonce), "n", true, ""},
		{"nonce, with a nonce that nobody sees again", with(confidential, PKCENonce), "n", false, useless},
		{"nonce, with nothing", with(confidential, PKCENonce), "", true, neither},
		{"nonce, with nothing and no ID token", with(confidential, PKCENonce), "", false, neither},
		{"optional, with nothing", with(confidential, PKCEOptional), "", false, ""},
		{"optional, with nothing, and an ID token", with(confidential, PKCEOptional), "", true, ""},
		// PKCE is required here, whatever the row says.
		{"public", with(public, PKCEOptional), "n", true, mustUse},
		{"public, with a nonce", with(public, PKCENonce), "n", true, mustUse},
		{"without TLS", with(clear, PKCEOptional), "n", true, mustUse},
		{"without TLS, with a nonce", with(clear, PKCENonce), "n", true, mustUse},
		{"on this machine", with(loopback, PKCENonce), "n", true, ""},
	} {
		got := c.client.Unprotected("", c.nonce, c.idToken)
		if (got == "") != (c.lacks == "") || !strings.Contains(got, c.lacks) {
			t.Errorf("%s: %q, not %q", c.what, got, c.lacks)
		}
		if c.lacks != "" && c.lacks != mustUse && !strings.Contains(got, "--pkce optional") {
			t.Errorf("%s: %q does not say what to set", c.what, got)
		}
		if got := c.client.Unprotected("challenge", c.nonce, c.idToken); got != "" {
			t.Errorf("%s, with a challenge: %q", c.what, got)
		}
	}
}
