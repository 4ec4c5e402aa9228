package admin_test

import (
	"net/http"
	"testing"
)

// TestAPlanPublishesNoKeys: what a dry run makes does not stay, so nobody may see it either,
// such as verifiers that would keep a key which the database does not have.
func TestAPlanPublishesNoKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.catalog.Rings, h.registry.Rings = h.rings, h.rings
	if err := h.rings.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := h.rings.JWKS()
	for _, body := range []string{
		`{"apis": [{"audience": "https://api.test", "name": "API", "scopes": ["read"], "signing_alg": "ES256"}]}`,
		`{"clients": [{"client_id": "web", "name": "Web", "token_endpoint_auth_method": "none", "grant_types": ["authorization_code"], "redirect_uris": ["https://web.test/"], "id_token_signed_response_alg": "EdDSA"}]}`,
	} {
		h.want(h.operator("POST", "/apply?dry_run=true", body, nil), http.StatusOK, "")
		if after, _ := h.rings.JWKS(); string(after) != string(before) {
			t.Errorf("%s: %s", body, after)
		}
	}
}
