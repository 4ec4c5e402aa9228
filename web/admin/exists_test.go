package admin_test

import (
	"net/http"
	"testing"
)

// TestARepeatedCreationNamesWhatIsThere: whoever does not know whether a creation was heard
// repeats it, and learns which record it made.
func TestARepeatedCreationNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for path, bodies := range map[string][]string{
		"/clients": {`{"client_id": "@me/app", "name": "A", "token_endpoint_auth_method": "none"}`},
		"/users":   {newUser("juno", ""), newUser("JUNO", "")},
		"/apis":    {`{"audience": "https://a.test", "name": "A", "scopes": ["read"]}`, `{"audience": "https://a.test/", "name": "A", "scopes": ["read"]}`},
	} {
		made := h.operator("POST", path, bodies[0], nil)
		h.want(made, http.StatusCreated, "")
		for _, body := range bodies {
			for _, dry := range []string{"", "?dry_run=true"} {
				again := h.operator("POST", path+dry, body, nil)
				h.want(again, http.StatusConflict, "exists")
				if at := made.header.Get("Location"); at == "" || again.body["existing"] != at {
					t.Errorf("%s: %v and not %s", body, again.text, at)
				}
			}
		}
	}
}
