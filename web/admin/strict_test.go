package admin_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ingam/ingam/authz/administration"
)

// TestAMemberThatIsThereTwiceIsRefusedAtAnyDepth: of two, whoever looks at the request in
// between may read the other one.
func TestAMemberThatIsThereTwiceIsRefusedAtAnyDepth(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, c := range []struct{ path, body, at string }{
		{"/clients", `{"client_id": "a", "client_id": "b", "name": "A", "token_endpoint_auth_method": "none"}`, "/client_id"},
		{"/clients", `{"client_id": "a", "client\u005fid": "b", "name": "A", "token_endpoint_auth_method": "none"}`, "/client_id"},
		{"/users", newUser("eve", `, "claims": {"a": 1, "b": 2, "a": 3}`), "/claims/a"},
		{"/users", newUser("eve", `, "claims": {"a b/c": [{}, {"d~": 1, "d~": 1}]}`), "/claims/a b~1c/1/d~0"},
		{"/apis", `{"audience": "https://a.test", "name": "A", "scopes": ["r"], "scope_texts": {"r": {"en": "read", "en": "do nothing"}}}`, "/scope_texts/r/en"},
		{"/apis", `{"audience": "https://a.test", "name": "A", "scopes": ["r"], "encryption_key": {"kty": "EC", "kty": "oct"}}`, "/encryption_key/kty"},
		{"/apply", `{"clients": [{"client_id": "a", "client_id": "b", "name": "A", "token_endpoint_auth_method": "none"}]}`, "/clients/0/client_id"},
	} {
		a := h.operator("POST", c.path, c.body, nil)
		h.want(a, http.StatusUnprocessableEntity, "malformed")
		if got := a.pointers(); !slices.Equal(got, []string{c.at}) {
			t.Errorf("%s: %q", c.body, got)
		}
	}
}

// TestOnlyAStarMeansAnyVersion: an ETag that is called so is that of no record.
func TestOnlyAStarMeansAnyVersion(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	made := h.operator("POST", "/clients", `{"client_id": "a", "name": "A", "token_endpoint_auth_method": "none"}`, nil)
	h.want(made, http.StatusCreated, "")
	tag := made.header.Get("ETag")
	for _, stale := range []string{`"*"`, `*"`, `W/"*"`, "W/" + tag, `"", *`, tag + ", *"} {
		h.want(h.as(caller(administration.ClientsWrite), "PATCH", "/clients/a", `{"name": "B"}`, with{"If-Match": stale}), http.StatusPreconditionFailed, "stale")
	}
	for _, good := range []string{tag, " * "} {
		h.want(h.operator("PATCH", "/clients/a", `{"name": "B"}`, with{"If-Match": good}), http.StatusOK, "")
	}
}
