package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/clients"
)

// TestAListFromMemoryHasTheHeadersOfTheFirst: the way past the middleware must not be one
// past what protects browsers.
func TestAListFromMemoryHasTheHeadersOfTheFirst(t *testing.T) {
	t.Parallel()
	for issuer, base := range map[string]string{"https://auth.acme.test": "", "https://acme.test/auth": "/auth", "http://127.0.0.1": ""} {
		s := newServer(t, issuer)
		secret := s.client(clients.Client{ID: "job", Grants: []string{clients.ClientCredentials}})
		if a := s.ask(http.MethodPost, base+PathToken, "grant_type=client_credentials", "Authorization", basic("job", secret)); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		var all struct {
			Lists []string `json:"status_lists"`
		}
		if err := json.Unmarshal([]byte(s.ask(http.MethodGet, base+PathStatusLists, "").body), &all); err != nil || len(all.Lists) == 0 {
			t.Fatal(err, all)
		}
		path := base + strings.TrimPrefix(all.Lists[0], issuer)
		first, again := s.ask(http.MethodGet, path, ""), s.ask(http.MethodGet, path, "")
		for range 100 { // on a slow machine it may be signed anew meanwhile
			if again.header.Get(headerRequestID) == "" {
				break
			}
			first, again = again, s.ask(http.MethodGet, path, "")
		}
		if first.status != http.StatusOK || first.header.Get(headerRequestID) == "" || again.status != http.StatusOK || again.header.Get(headerRequestID) != "" {
			t.Fatalf("%d %v, then %d %v", first.status, first.header, again.status, again.header)
		}
		// It has no record in the log, so it has no id.
		first.header.Del(headerRequestID)
		if diff := cmp.Diff(first.header, again.header); diff != "" {
			t.Errorf("of %s, from memory: %s", issuer, diff)
		}
		if (again.header.Get("Strict-Transport-Security") != "") != strings.HasPrefix(issuer, "https:") {
			t.Errorf("of %s: %v", issuer, again.header)
		}
	}
}
