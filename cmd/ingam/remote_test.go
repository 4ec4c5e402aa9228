package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// elsewhere returns a server whose metadata a test can change, and a command's side of it.
func elsewhere(t *testing.T, change func(of string, ends *remoteEndpoints)) *remote {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ends := remoteEndpoints{s.URL, s.URL + "/oauth2/authorize", s.URL + "/oauth2/token", s.URL + "/oauth2/revoke"}
		change(s.URL, &ends)
		if err := json.NewEncoder(w).Encode(ends); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return &remote{server: s.URL, http: s.Client(), file: filepath.Join(t.TempDir(), "ingam", "login.json")}
}

// TestAServerNamesNoAddressElsewhere: tokens are sent to the addresses in the metadata, and
// one of them is opened on the person's machine.
func TestAServerNamesNoAddressElsewhere(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		change func(of string, ends *remoteEndpoints)
		good   bool
	}{
		"its own":                   {func(string, *remoteEndpoints) {}, true},
		"a file to open":            {func(_ string, e *remoteEndpoints) { e.Authorization = "file:///tmp/program" }, false},
		"an option of a command":    {func(_ string, e *remoteEndpoints) { e.Authorization = "--version" }, false},
		"another host for tokens":   {func(_ string, e *remoteEndpoints) { e.Token = "https://elsewhere.test/token" }, false},
		"a host that begins alike":  {func(of string, e *remoteEndpoints) { e.Token = of + ".elsewhere.test/token" }, false},
		"its address as a password": {func(of string, e *remoteEndpoints) { e.Revocation = of + "@elsewhere.test/revoke" }, false},
		"none":                      {func(_ string, e *remoteEndpoints) { e.Revocation = "" }, false},
		"another issuer":            {func(_ string, e *remoteEndpoints) { e.Issuer = "https://elsewhere.test" }, false},
	} {
		if err := elsewhere(t, c.change).discover(t.Context()); (err == nil) != c.good {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestADamagedFileOfTokensIsSaidToBe(t *testing.T) {
	t.Parallel()
	r := elsewhere(t, func(string, *remoteEndpoints) {})
	if err := r.keep(&oauth2.Token{AccessToken: "a"}); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		`null`: "damaged", `[]`: "damaged", `{`: "damaged", `{"` + r.server + `": null}`: "not signed in",
	} {
		if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.kept(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
		if err := r.keep(&oauth2.Token{}); (err == nil) != (says != "damaged") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAProblemFromElsewhereIsOneLineOfText(t *testing.T) {
	t.Parallel()
	p := &problemError{}
	p.Detail = "no\x1b[2J\nsuch"
	if got := p.Error(); strings.ContainsAny(got, "\x1b\n") {
		t.Errorf("%q", got)
	}
}
