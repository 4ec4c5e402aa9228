package clients

import (
	"errors"
	"strings"
	"testing"
)

func TestRedirectURIsThatAreRefusedAtRegistration(t *testing.T) {
	t.Parallel()
	for name, uri := range map[string]string{
		"script":                    "javascript:alert(1)",
		"data":                      "data:text/html,hello",
		"http off this machine":     "http://app.example/cb",
		"fragment":                  "https://app.example/cb#f",
		"empty fragment":            "https://app.example/cb#",
		"user information":          "https://app.example@evil.example/cb",
		"relative":                  "/cb",
		"scheme relative":           "//evil.example/cb",
		"no host":                   "https:///cb",
		"wildcard":                  "https://*.example/cb",
		"dot segments":              "https://app.example/a/../cb",
		"encoded dot segments":      "https://app.example/a/%2e%2e/cb",
		"backslash":                 `https://app.example\@evil.example/cb`,
		"space":                     "https://app.example/c b",
		"control character":         "https://app.example/cb\n",
		"not ASCII":                 "https://app.exämple/cb",
		"app scheme without domain": "myapp:/cb",
		"loopback look-alike":       "http://127.0.0.1.evil.example/cb",
		"localhost look-alike":      "http://localhost.evil.example/cb",
		"empty":                     "",
		"too long":                  "https://app.example/" + strings.Repeat("a", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := validRedirectURI(uri); err == nil {
				t.Errorf("%q was accepted", uri)
			}
		})
	}
}

func TestRedirectURIsThatAreAcceptedAtRegistration(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"https://app.example/cb",
		"https://app.example:8443/cb?tenant=1",
		"https://app.example",
		"http://127.0.0.1/cb",
		"http://127.0.0.1:7000/cb",
		"http://[::1]:7000/cb",
		"http://localhost:7000/cb",
		"com.example.app:/cb",
	} {
		if err := validRedirectURI(uri); err != nil {
			t.Errorf("%q was refused: %v", uri, err)
		}
	}
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	t.Parallel()
	good := Client{ID: "app", Name: "App", Grants: []string{ClientCredentials}, Auth: SecretBasic}
	if err := good.validate(); err != nil {
		t.Fatal(err)
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
		"unknown authentication":         func(c *Client) { c.Auth = "tls" },
		"public with client_credentials": func(c *Client) { c.Auth = None },
		"code without redirect URI":      func(c *Client) { c.Grants = []string{AuthorizationCode} },
		"refresh without code":           func(c *Client) { c.Grants = []string{RefreshToken} },
		"redirect URI without code":      func(c *Client) { c.RedirectURIs = []string{"https://a.example/"} },
		"redirect URI twice": func(c *Client) {
			c.Grants, c.RedirectURIs = []string{AuthorizationCode}, []string{"https://a.example/", "https://a.example/"}
		},
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
