package clients

import (
	"strings"
	"testing"
)

func TestAddressesThatAreRefusedAtRegistration(t *testing.T) {
	t.Parallel()
	for name, uri := range map[string]string{
		"http off this machine":    "http://app.example/cb",
		"fragment":                 "https://app.example/cb#f",
		"empty fragment":           "https://app.example/cb#",
		"user information":         "https://app.example@evil.example/cb",
		"relative":                 "/cb",
		"scheme relative":          "//evil.example/cb",
		"no host":                  "https:///cb",
		"no host, http":            "http:///cb",
		"no authority":             "https:app.example/cb",
		"wildcard":                 "https://*.example/cb",
		"dot segments":             "https://app.example/a/../cb",
		"encoded dot segments":     "https://app.example/a/%2e%2e/cb",
		"backslash":                `https://app.example\@evil.example/cb`,
		"space":                    "https://app.example/c b",
		"control character":        "https://app.example/cb\n",
		"not ASCII":                "https://app.exämple/cb",
		"loopback look-alike":      "http://127.0.0.1.evil.example/cb",
		"localhost look-alike":     "http://localhost.evil.example/cb",
		"localhost as an end":      "http://evillocalhost/cb",
		"a name that is none":      "http://.localhost/cb",
		"a port beyond the last":   "http://127.0.0.1:65536/cb",
		"that of a TLS address":    "https://app.example:99999/cb",
		"port 0":                   "http://localhost:0/cb",
		"a port in another way":    "http://localhost:08080/cb",
		"a colon without a port":   "http://localhost:/cb",
		"a port that is no number": "http://localhost:http/cb",
		"a host and a port":        "localhost:5000/cb",
		"a name and a port":        "app.example:8443",
		"empty":                    "",
		"too long":                 "https://app.example/" + strings.Repeat("a", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := (Client{Auth: None}).validAddress(uri); err == nil {
				t.Errorf("%q was accepted", uri)
			}
		})
	}
	// These are refused even for a client that may use insecure redirects.
	for _, uri := range []string{
		"javascript:alert(1)", "JavaScript:alert(1)", "javascript://app.example/%0aalert(1)", "vbscript:x", "data:text/html,hello", "file:///etc/passwd",
		"about:blank", "blob:https://app.example/1", "filesystem:https://app.example/temporary/1", "view-source:https://app.example", "intent://app#Intent;end",
		"intent:x", "jar:https://app.example/a.jar!/b", "ws://app.example/", "wss://app.example/", "ftp://app.example/", "mailto:a@app.example", "tel:1", "sms:1",
		"chrome://settings", "chrome-extension://abc/cb", "Chrome-Search://x", "moz-extension://abc/cb", "safari-web-extension://abc/cb", "MS-settings:privacy", "ms-word:ofe",
		"search-ms:query=x", "urn:ietf:wg:oauth:2.0:oob", "shell:startup", "content://x/y", "resource://x",
	} {
		if err := (Client{Auth: None, InsecureRedirects: true}).validAddress(uri); err == nil {
			t.Errorf("%q was accepted", uri)
		}
	}
}

func TestAddressesThatAreAcceptedAtRegistration(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"https://app.example/cb", "https://app.example:8443/cb?tenant=1", "https://app.example", "https://my_app.example/cb", "https://[2001:db8::1]/cb",
		"http://127.0.0.1/cb", "http://127.0.0.1:7000/cb", "http://[::1]:7000/cb", "http://localhost:7000/cb", "http://LOCALHOST/cb",
		"http://app.localhost/cb", "http://a.b.localhost:65535/cb", "com.example.app:/cb", "com.example.app://host/cb", "com.example.my-extension:/cb",
	} {
		if err := (Client{Auth: SecretBasic}).validAddress(uri); err != nil {
			t.Errorf("%q was refused: %v", uri, err)
		}
		if got := (Client{RedirectURIs: []string{uri}}).Warnings(); len(got) > 0 || MustAsk(uri) {
			t.Errorf("%q is warned of: %q", uri, got)
		}
	}
}

func TestASchemeThatAnyoneCanClaimIsForClientsWithoutASecret(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"cursor://anysphere.cursor-retrieval/oauth/callback", "vscode://vendor.tool/did-authenticate", "myapp:/cb", "myapp:cb", "MyApp://call_back", "httpx://app.example/cb", "mycart:/cb"} {
		if err := (Client{Auth: None}).validAddress(uri); err != nil {
			t.Errorf("%q was refused: %v", uri, err)
		}
		for _, auth := range []AuthMethod{SecretBasic, SecretPost} {
			if err := (Client{Auth: auth}).validAddress(uri); err == nil || !strings.Contains(err.Error(), "without a secret") {
				t.Errorf("%q beside a secret: %v", uri, err)
			}
		}
		warnings := Client{Auth: None, RedirectURIs: []string{uri, uri + "2"}, PostLogoutRedirectURIs: []string{uri}}.Warnings()
		if len(warnings) != 1 || !strings.Contains(warnings[0], "any program on a device can claim the scheme") || !MustAsk(uri) {
			t.Errorf("%q: %q", uri, warnings)
		}
	}
}

func TestHTTPOffThisMachineIsForWhoeverAcceptsWhatItRisks(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"http://nas.home.arpa:8123/auth/callback", "http://192.168.1.7/cb", "http://jellyfin/cb", "http://[2001:db8::1]:8123/cb"} {
		if err := (Client{}).validAddress(uri); err == nil || !strings.Contains(err.Error(), "--insecure-redirects") {
			t.Errorf("%q: %v", uri, err)
		}
		for _, auth := range []AuthMethod{SecretBasic, None} {
			if err := (Client{InsecureRedirects: true, Auth: auth}).validAddress(uri); err != nil {
				t.Errorf("%q was refused: %v", uri, err)
			}
		}
		if w := (Client{RedirectURIs: []string{uri}}).Warnings(); len(w) != 1 || !strings.Contains(w[0], "not encrypted") {
			t.Errorf("%q: %q", uri, w)
		}
	}
}

func TestRedirectURIsAreComparedExactlyButForALoopbackPort(t *testing.T) {
	t.Parallel()
	c := Client{RedirectURIs: []string{
		"https://app.example/cb", "https://app.example:8443", "http://127.0.0.1/cb", "http://localhost:8080/cb?x=1", "http://[::1]:1/", "http://dev.localhost:3000/cb",
		"http://nas.home.arpa:8123/cb", "https://localhost:8443/cb", "myapp:/cb", "http://127.0.0.2",
	}}
	for _, uri := range append([]string{
		"http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://localhost/cb?x=1", "http://localhost:9/cb?x=1", "http://[::1]/", "http://[::1]:65535/",
		"http://dev.localhost/cb", "http://dev.localhost:9/cb", "http://127.0.0.2:5000",
	}, c.RedirectURIs...) {
		if !c.Redirects(uri) {
			t.Errorf("%q was refused", uri)
		}
	}
	for _, uri := range []string{
		"", "https://app.example/cb/", "https://app.example:443/cb", "https://app.example:8443/", "https://app.example/CB", "https://APP.example/cb",
		"http://127.0.0.1:65536/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:80:81/cb", "http://127.0.0.1:x/cb",
		"http://127.0.0.1:-1/cb", "http://127.0.0.1:+1/cb", "http://127.0.0.1:1/cb/", "http://127.0.0.1:1/cb?x=1", "http://127.0.0.1:1/cb#x", "https://127.0.0.1:1/cb",
		"http://u@127.0.0.1:1/cb", "http://127.0.0.1:1@evil.example/cb", "http://127.0.0.1:1\\@evil.example/cb", "http://evil.example:1/cb", "http://127.0.0.3:5000",
		"http://localhost:9/cb", "http://localhost:9/cb?x=2", "http://127.0.0.1:9/cb?x=1", "http://[::1]:9", "http://::1:9/", "http://other.localhost/cb", "http://localhost/cb",
		"http://nas.home.arpa:8124/cb", "http://nas.home.arpa/cb", "https://localhost:8444/cb", "http://localhost:8443/cb", "myapp:/cb2", "http://127.0.0.2:5000/",
		"HTTP://127.0.0.1:1/cb", "http://127.0.0.1:1/cb\n", " http://127.0.0.1:1/cb",
	} {
		if c.Redirects(uri) {
			t.Errorf("%q was accepted", uri)
		}
	}
}

func TestPeopleReturnAfterLogoutToWhatIsRegistered(t *testing.T) {
	t.Parallel()
	redirects := []string{"https://app.example/cb", "https://root.example/", "http://127.0.0.1/cb"}
	own := []string{"https://app.example", "https://app.example/bye?x=1", "http://localhost:3000/", "http://[::1]:3000", "http://nas.home.arpa:8123", "myapp:/bye"}
	for _, c := range []struct {
		registered  []string
		asked, want string
	}{
		{own, "https://app.example", "https://app.example"},
		{own, "https://app.example/", "https://app.example"},
		{own, "https://app.example/bye?x=1", "https://app.example/bye?x=1"},
		{own, "http://localhost:3000", "http://localhost:3000/"},
		{own, "http://localhost:4000/", "http://localhost:4000/"},
		{own, "http://localhost:4000", "http://localhost:4000/"},
		{own, "http://localhost", "http://localhost/"},
		{own, "http://[::1]:4000/", "http://[::1]:4000"},
		{own, "http://nas.home.arpa:8123/", "http://nas.home.arpa:8123"},
		{own, "myapp:/bye", "myapp:/bye"},
		{own, "https://app.example//", ""}, {own, "https://app.example?x=1", ""}, {own, "https://app.example/bye", ""}, {own, "https://app.example/bye/?x=1", ""},
		{own, "http://localhost:65536/", ""}, {own, "http://127.0.0.1:3000/", ""}, {own, "http://nas.home.arpa:1", ""}, {own, "https://localhost:3000/", ""},
		{own, "https://app.example/cb", ""}, {own, "https://root.example/", ""}, {own, "", ""},
		{nil, "https://app.example/cb", "https://app.example/cb"},
		{nil, "https://root.example", "https://root.example/"},
		{nil, "http://127.0.0.1:4000/cb", "http://127.0.0.1:4000/cb"},
		{nil, "https://app.example/cb/", ""}, {nil, "https://app.example/", ""}, {nil, "https://evil.example/cb", ""}, {nil, "http://127.0.0.1:4000/", ""},
	} {
		to, ok := (&Client{RedirectURIs: redirects, PostLogoutRedirectURIs: c.registered}).AfterLogout(c.asked)
		if to != c.want || ok != (c.want != "") {
			t.Errorf("%q leads to %q, not %q", c.asked, to, c.want)
		}
	}
}
