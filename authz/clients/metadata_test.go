package clients

import (
	"errors"
	"strings"
	"testing"
)

func TestRegistrationsThatAreRefused(t *testing.T) {
	t.Parallel()
	good := Client{ID: "app", Name: "App", Grants: []string{ClientCredentials}, Auth: SecretBasic, PKCE: PKCENonce}
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	app := Client{ID: "app", Name: "App", Grants: []string{SignIn}, Auth: None, PKCE: PKCERequired, Hold: HoldCookie, Origins: []string{"https://app.example.com"}}
	if err := app.validate(); err != nil {
		t.Fatal(err)
	}
	uris := []string{"https://app.example.com/cb"}
	browser := func(spoil func(*Client)) func(*Client) {
		return func(c *Client) {
			*c = app
			spoil(c)
		}
	}
	for name, spoil := range map[string]func(*Client){
		"no id":                          func(c *Client) { c.ID = "" },
		"id with a colon":                func(c *Client) { c.ID = "a:b" },
		"id with a space":                func(c *Client) { c.ID = "a b" },
		"id with a NUL":                  func(c *Client) { c.ID = "a\x00" },
		"long id":                        func(c *Client) { c.ID = strings.Repeat("a", 129) },
		"no name":                        func(c *Client) { c.Name = " " },
		"name that turns the text round": func(c *Client) { c.Name = "App\u202egnp" },
		"name with a line break":         func(c *Client) { c.Name = "App\nBank" },
		"unknown grant":                  func(c *Client) { c.Grants = []string{"password"} },
		"grant twice":                    func(c *Client) { c.Grants = []string{ClientCredentials, ClientCredentials} },
		"audience twice":                 func(c *Client) { c.Audiences = []string{"a", "a"} },
		"to introspect twice":            func(c *Client) { c.Introspects = []string{"https://a.example/", "https://a.example"} },
		"a public client introspects":    browser(func(c *Client) { c.Introspects = []string{"a"} }),
		"unknown authentication":         func(c *Client) { c.Auth = "tls" },
		"public with client_credentials": func(c *Client) { c.Auth, c.PKCE = None, PKCERequired },
		"no rule for PKCE":               func(c *Client) { c.PKCE = "" },
		"an unknown rule for PKCE":       func(c *Client) { c.PKCE = "plain" },
		"public with a nonce":            browser(func(c *Client) { c.PKCE = PKCENonce }),
		"public without anything":        browser(func(c *Client) { c.PKCE = PKCEOptional }),
		"a nonce without TLS": func(c *Client) {
			c.Grants, c.RedirectURIs, c.InsecureRedirects = []string{AuthorizationCode}, []string{"https://a.example/cb", "http://a.example/cb"}, true
		},
		"code without redirect URI": func(c *Client) { c.Grants = []string{AuthorizationCode} },
		"refresh without code":      func(c *Client) { c.Grants = []string{RefreshToken} },
		"redirect URI without code": func(c *Client) { c.RedirectURIs = []string{"https://a.example/"} },
		"redirect URI twice": func(c *Client) {
			c.Grants, c.RedirectURIs = []string{AuthorizationCode}, []string{"https://a.example/", "https://a.example/"}
		},
		"address to return to twice but for its path": func(c *Client) {
			c.PostLogoutRedirectURIs = []string{"https://a.example", "https://a.example/"}
		},
		"audience twice but for its path": func(c *Client) { c.Audiences = []string{"https://a.example/", "https://a.example"} },
		"a public scheme beside a secret": func(c *Client) { c.Grants, c.RedirectURIs = []string{AuthorizationCode}, []string{"myapp:/cb"} },
		"to return to without TLS":        func(c *Client) { c.PostLogoutRedirectURIs = []string{"http://a.example/"} },
		"to return to script":             func(c *Client) { c.PostLogoutRedirectURIs = []string{"javascript:alert(1)"} },
		"cookie with codes":               browser(func(c *Client) { c.Grants, c.RedirectURIs = append(c.Grants, AuthorizationCode), uris }),
		"cookie with refresh tokens":      browser(func(c *Client) { c.Grants, c.RedirectURIs = append(c.Grants, AuthorizationCode, RefreshToken), uris }),
		"cookie with a secret":            browser(func(c *Client) { c.Auth = SecretBasic }),
		"cookie without an origin":        browser(func(c *Client) { c.Origins = nil }),
		"origin without a cookie":         browser(func(c *Client) { c.Hold = HoldMemory }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := good
			spoil(&c)
			if err := c.validate(); !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
		})
	}
}

func TestOriginsAreThoseThatBrowsersSend(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{
		"https://app.example.com", "https://app.example.com:8443", "https://xn--bcher-kva.example", "https://192.0.2.1", "https://[2001:db8::1]:8443",
		"http://localhost:5173", "http://127.0.0.1:5173", "http://[::1]",
	} {
		if err := validOrigin(origin); err != nil {
			t.Errorf("%q was refused: %v", origin, err)
		}
	}
	for _, origin := range []string{
		"", "null", "*", "app.example.com", "https://", "https://:8443", "//app.example.com", "https:app.example.com",
		"https://*.example.com", "https://*.example.com:443", "https://app.example.com:443", "http://127.0.0.1:80",
		"https://app.example.com:", "https://app.example.com:0", "https://app.example.com:08443", "https://app.example.com:65536",
		"https://app.example.com.", "https://app.example.com/", "https://app.example.com/a", "https://app.example.com?", "https://app.example.com#",
		"https://App.example.com", "HTTPS://app.example.com", "https://u@app.example.com", "https://app..example.com", "https://.example.com",
		"https://bücher.example", "https://app%2eexample.com", "https://app.example.com\n", "https://127.1", "https://app.0x7f", "https://[2001:DB8::1]",
		"https://[2001:db8:0::1]", "https://[fe80::1%25eth0]", "http://app.example.com", "ws://app.example.com", "com.example.app://app",
	} {
		if err := validOrigin(origin); err == nil {
			t.Errorf("%q was accepted", origin)
		}
	}
}

func TestOriginsAreOfTheIssuersSite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		origin, issuer string
		same           bool
	}{
		{"https://app.example.com", "https://id.example.com", true},
		{"https://example.com:8443", "https://id.example.com/tenant", true},
		{"http://127.0.0.1:5173", "http://127.0.0.1:8080", true},
		{"https://app.example.net", "https://id.example.com", false},
		{"https://app.co.uk", "https://id.co.uk", false},
		{"https://a.github.io", "https://b.github.io", false},
		{"http://localhost:5173", "http://127.0.0.1:8080", false},
		{"http://127.0.0.2", "http://127.0.0.1", false},
		{"http://localhost", "https://localhost", false},
		{"https://10.0.0.1", "https://192.0.0.1", false},
	} {
		err := Client{Origins: []string{c.origin}}.OnSite(c.issuer)
		if (err == nil) != c.same || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s for %s: %v", c.origin, c.issuer, err)
		}
	}
}
