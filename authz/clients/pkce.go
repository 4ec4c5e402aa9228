package clients

import (
	"fmt"
	"net/url"
	"slices"
)

// PKCE is what a client must send with an authorization request so that the code
// which comes of it is of no use to anyone else, and nobody else's code to the
// client (RFC 9700 sections 2.1.1 and 4.5).
type PKCE string

// The rules there are.
const (
	// PKCERequired: a code_challenge (RFC 7636).
	PKCERequired PKCE = "required"
	// PKCENonce: a code_challenge or, where an ID token is granted, a nonce, which
	// the client finds in it and compares.
	PKCENonce PKCE = "nonce"
	// PKCEOptional: neither. Whoever can slip somebody else's code to the client is
	// stopped by its secret and its state alone.
	PKCEOptional PKCE = "optional"
)

var pkceRules = []PKCE{PKCERequired, PKCENonce, PKCEOptional}

// mustUsePKCE says why a client has no choice; empty if it has. A code that others
// can read on its way is safe only by a verifier that they cannot.
func (c *Client) mustUsePKCE() string {
	if c.Auth == None {
		return "a client without a secret"
	}
	if slices.ContainsFunc(c.RedirectURIs, inTheClear) {
		return "a client that is answered without TLS"
	}
	return ""
}

func inTheClear(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !loopback(u.Hostname())
}

// Unprotected says what an authorization request lacks by the client's rule, and
// what could be done; empty if nothing. idToken is whether an ID token is granted:
// without one nobody sees the nonce again.
func (c *Client) Unprotected(challenge, nonce string, idToken bool) string {
	if challenge != "" {
		return ""
	}
	if who := c.mustUsePKCE(); who != "" {
		return "The parameter code_challenge is missing: " + who + " must use PKCE (RFC 7636, RFC 9700 section 2.1.1)."
	}
	register := func(rules string) string {
		return fmt.Sprintf("register it with %s (ingam client update %s --pkce %s)", rules, c.ID, PKCEOptional)
	}
	switch c.PKCE {
	case PKCEOptional:
		return ""
	case PKCENonce:
		switch {
		case nonce != "" && idToken:
			return ""
		case nonce != "":
			return "The parameter code_challenge is missing: this client is registered with --pkce nonce, and a nonce protects nothing where the scope openid is not granted. Use PKCE (RFC 7636), ask for openid, or " + register("--pkce optional") + "."
		}
		return "The request has neither a code_challenge nor a nonce, and this client is registered with --pkce nonce. Use PKCE (RFC 7636), send a nonce with the scope openid, or " + register("--pkce optional") + "."
	}
	return "The parameter code_challenge is missing, and this client is registered with --pkce required. Use PKCE (RFC 7636), or " + register("--pkce nonce or --pkce optional") + "."
}
