package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/administration"
)

// apply sends an application of somebody who may do everything from elsewhere.
func (h *house) apply(body string) answer {
	h.Helper()
	return h.as(caller(administration.All), "POST", "/apply", body, nil)
}

// roles expects that a user has exactly these.
func (h *house) roles(id string, want ...string) {
	h.Helper()
	u, err := h.users.ByID(h.Context(), id)
	if err != nil || !slices.Equal(u.Roles, want) {
		h.Errorf("%s has the roles %q, %v, and not %q", u.Username, u.Roles, err, want)
	}
}

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

func TestTheLastAdministratorIsHandedOverByAFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old, next := h.user("minji", `, "roles": ["ops", "ingam:admin"]`), h.user("juno", "")
	h.want(h.apply(`{"administrators": [{"username": "minji", "roles": []}, {"username": "juno", "roles": ["ingam:keys:read"]}]}`), http.StatusConflict, "last-administrator")
	h.roles(next)
	h.want(h.apply(`{"administrators": [{"username": "minji", "roles": []}, {"username": "juno", "roles": ["ingam:admin"]}]}`), http.StatusOK, "")
	h.roles(old, "ops")
	h.roles(next, "ingam:admin")
}

func TestAUserIsTheSameInAnySpellingOfAFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.user("juno", "")
	for range 2 {
		h.want(h.apply(`{"prune": true, "administrators": [{"username": "JUNO", "roles": ["ingam:admin"]}]}`), http.StatusOK, "")
		h.roles(id, "ingam:admin")
	}
	h.want(h.apply(`{"prune": true}`), http.StatusConflict, "last-administrator")
	for body, at := range map[string]string{
		`{"administrators": [{"username": "juno", "roles": ["ingam:admin"]}, {"username": "Juno", "roles": []}]}`:                                 "/administrators/1",
		`{"apis": [{"audience": "https://a.test", "name": "A", "scopes": ["r"]}, {"audience": "https://a.test/", "name": "B", "scopes": ["r"]}]}`: "/apis/1",
	} {
		twice := h.apply(body)
		h.want(twice, http.StatusUnprocessableEntity, "invalid")
		if got := twice.pointers(); !slices.Equal(got, []string{at}) {
			t.Errorf("%q", got)
		}
	}
	h.roles(id, "ingam:admin")
}

func TestAFileGivesRolesOfTheAdministrationAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.user("juno", `, "roles": ["ops"]`)
	for _, roles := range []string{`"ingam:keys:read", "ops"`, `"ingam:keys:read", "ingam:keys:read"`, `"ingam:keys:read", "ingam:none"`, `"ingam:keys:read", "Ingam:admin"`} {
		wrong := h.apply(`{"administrators": [{"username": "juno", "roles": [` + roles + `]}]}`)
		h.want(wrong, http.StatusUnprocessableEntity, "invalid")
		if got := wrong.pointers(); !slices.Equal(got, []string{"/administrators/0/roles/1"}) {
			t.Errorf("%s: %q", roles, got)
		}
	}
	h.roles(id, "ops")
}

// TestAFileAppointsNobodyElseByTheSameName: whoever may write users may give somebody the
// name of an administrator who is gone, and would be one by the next application of a file
// that still names them.
func TestAFileAppointsNobodyElseByTheSameName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const file = `{"administrators": [{"username": "juno", "roles": ["ingam:admin"]}]}`
	h.user("minji", `, "roles": ["ingam:admin"]`)
	gone := h.user("juno", "")
	h.want(h.apply(file), http.StatusOK, "")
	h.want(h.operator("DELETE", "/users/"+gone, "", with{"If-Match": "*"}), http.StatusNoContent, "")
	other := h.user("other", "")
	renamed := h.as(caller(administration.UsersWrite), "PATCH", "/users/"+other, `{"username": "juno"}`, with{"If-Match": "*"})
	h.want(renamed, http.StatusOK, "")
	h.want(h.apply(file), http.StatusConflict, "another-user")
	h.roles(other)
	// By hand it is meant.
	h.want(h.operator("PATCH", "/users/"+other, `{"roles": ["ingam:keys:read"]}`, with{"If-Match": "*"}), http.StatusOK, "")
	h.want(h.apply(file), http.StatusOK, "")
	h.roles(other, "ingam:admin")
}

// TestAFileDoesNotTellWhetherASecretIsRight: at the token endpoint guesses are throttled.
func TestAFileDoesNotTellWhetherASecretIsRight(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const right, wrong = "the-right-secret-of-32-characters", "the-wrong-secret-of-32-characters"
	client := func(secret string) string {
		return `{"client_id": "ingam-cli", "name": "C", "token_endpoint_auth_method": "client_secret_basic", "client_secret": "` + secret + `"}`
	}
	h.want(h.operator("POST", "/clients", client(right), nil), http.StatusCreated, "")
	told := func(by *administration.Caller, secret string) string {
		return h.as(by, "POST", "/apply?dry_run=true", `{"clients": [`+client(secret)+`]}`, nil).text
	}
	writer := caller(administration.ClientsWrite)
	if is, not := told(writer, right), told(writer, wrong); is != not || !strings.Contains(is, "forbidden") {
		t.Errorf("%s\n%s", is, not)
	}
	if is, not := told(caller(administration.All), right), told(caller(administration.All), wrong); is == not {
		t.Errorf("%s", is)
	}
}

// TestAnExportThatIsAppliedChangesNothing, even where a client has none of what it would have
// otherwise.
func TestAnExportThatIsAppliedChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/apis", newOrders, nil), http.StatusCreated, "")
	h.want(h.operator("POST", "/clients", `{"client_id": "orders", "name": "Orders", "token_endpoint_auth_method": "client_secret_basic", "audiences": ["https://orders.example/v1"]}`, nil), http.StatusCreated, "")
	h.want(h.operator("PATCH", "/clients/orders", `{"introspects": []}`, with{"If-Match": "*"}), http.StatusOK, "")
	all := h.operator("GET", "/export", "", nil)
	h.want(all, http.StatusOK, "")
	if !strings.Contains(all.text, `"introspects":[]`) || strings.Contains(all.text, "null") {
		t.Errorf("%s", all.text)
	}
	again := h.apply(all.text)
	h.want(again, http.StatusOK, "")
	if steps, _ := again.body["steps"].([]any); len(steps) != 0 {
		t.Errorf("%s", again.text)
	}
	// The same in an installation that has no clients yet.
	h.want(h.operator("DELETE", "/clients/orders", "", with{"If-Match": "*"}), http.StatusNoContent, "")
	h.want(h.apply(all.text), http.StatusOK, "")
	if as := h.operator("GET", "/export", "", nil); as.text != all.text {
		t.Errorf("%s instead of %s", as.text, all.text)
	}
}
