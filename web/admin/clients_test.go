package admin_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/web/admin"
)

const newApp = `{"client_id": "app", "name": "App", "token_endpoint_auth_method": "client_secret_basic",
	"grant_types": ["authorization_code", "refresh_token"], "redirect_uris": ["https://app.example.com/cb"]}`

func TestAClientIsCreatedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	made := h.operator("POST", "/clients", newApp, nil)
	h.want(made, http.StatusCreated, "")
	if secret, _ := made.body["client_secret"].(string); len(secret) < 32 || made.header.Get("Location") != issuer+"/admin/v1/clients/app" {
		t.Fatalf("%v %v", made.header, made.text)
	}
	again := h.operator("POST", "/clients", newApp, nil)
	h.want(again, http.StatusConflict, "exists")

	shown := h.operator("GET", "/clients/app", "", nil)
	h.want(shown, http.StatusOK, "")
	tag := shown.header.Get("ETag")
	if _, again := shown.body["client_secret"]; again || tag == "" || tag != made.header.Get("ETag") {
		t.Errorf("%s instead of %s, %v", tag, made.header.Get("ETag"), shown.text)
	}
	h.want(h.operator("PATCH", "/clients/app", `{"name": "Other"}`, nil), http.StatusPreconditionRequired, "no-version")
	changed := h.operator("PATCH", "/clients/app", `{"name": "Other", "refresh_grace": "5s"}`, with{"If-Match": tag})
	h.want(changed, http.StatusOK, "")
	if changed.body["name"] != "Other" || changed.body["refresh_grace"] != "5s" || changed.header.Get("ETag") == tag {
		t.Errorf("%v", changed.text)
	}
	h.want(h.operator("PATCH", "/clients/app", `{"name": "Third"}`, with{"If-Match": tag}), http.StatusPreconditionFailed, "stale")
	h.want(h.operator("DELETE", "/clients/app", "", with{"If-Match": tag}), http.StatusPreconditionFailed, "stale")
	if reset := h.operator("PATCH", "/clients/app", `{"refresh_grace": null}`, with{"If-Match": "*"}); reset.body["refresh_grace"] != nil || reset.body["name"] != "Other" {
		t.Errorf("%v", reset.text)
	}

	tried := h.operator("DELETE", "/clients/app?dry_run=true", "", with{"If-Match": "*"})
	h.want(tried, http.StatusNoContent, "")
	h.want(h.operator("GET", "/clients/app", "", nil), http.StatusOK, "")
	h.want(h.operator("DELETE", "/clients/app", "", with{"If-Match": "*"}), http.StatusNoContent, "")
	h.want(h.operator("GET", "/clients/app", "", nil), http.StatusNotFound, "not-found")
}

func TestADryRunCreatesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tried := h.operator("POST", "/clients?dry_run=true", newApp, nil)
	h.want(tried, http.StatusCreated, "")
	if _, shown := tried.body["client_secret"]; shown {
		t.Error("a secret that nobody has was shown")
	}
	h.want(h.operator("GET", "/clients/app", "", nil), http.StatusNotFound, "not-found")
}

func TestWhatIsWrongWithAClientIsPointedAt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/clients", newApp, nil), http.StatusCreated, "")
	for body, want := range map[string][]string{
		`{"redirect_uris": ["https://app.example.com/cb", "http://app.example.com/cb"]}`: {"/redirect_uris/1"},
		`{"grant_types": ["password"]}`:              {"/grant_types/0"},
		`{"scopes": ["unheard:of"]}`:                 {"/scopes"},
		`{"audiences": ["https://api.example.com"]}`: {"/audiences/0"},
		`{"id_token_signed_response_alg": "none"}`:   {"/id_token_signed_response_alg"},
		`{"origins": ["https://elsewhere.example"]}`: {"/origins"},
		`{"name": "a\u202eb"}`:                       {"/name"},
		`{"pkce": "never"}`:                          {"/pkce"},
		`{"refresh_grace": "a while"}`:               {"/refresh_grace"},
		`{"client_id": "other"}`:                     {"/client_id"},
		`{"name": 1}`:                                {"/name"},
		`{"Name": "x"}`:                              {"/Name"},
		`{"name": null}`:                             {"/name"},
		`{"name": "a", "name": "b"}`:                 {"/name"},
		`{"refresh_grace": null, "origins": null}`:   {"/origins"},
		`{"disabled": true, "created_at": "x", "secrets": [], "epoch": 1}`: {"/created_at", "/disabled", "/epoch", "/secrets"},
	} {
		a := h.operator("PATCH", "/clients/app", body, with{"If-Match": "*"})
		if got := a.pointers(); a.status != http.StatusUnprocessableEntity || !slices.Equal(got, want) {
			t.Errorf("%s: %d %q %s", body, a.status, got, a.text)
		}
	}
	if a := h.operator("GET", "/clients/app", "", nil); a.body["name"] != "App" {
		t.Errorf("%v", a.text)
	}
}

func TestASecretIsAddedWithAndWithoutABody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/clients", newApp, nil), http.StatusCreated, "")
	for body, at := range map[string][]string{
		`{"client_secret": null}`: {"/client_secret"}, `{"client_secret": "a", "client_secret": "b"}`: {"/client_secret"}, `{"id": "x"}`: {"/id"},
		`{"client_secret": "short"}`: {"/client_secret"}, `[]`: nil,
	} {
		a := h.operator("POST", "/clients/app/secrets", body, nil)
		h.want(a, http.StatusUnprocessableEntity, a.kind())
		if got := a.pointers(); !slices.Equal(got, at) {
			t.Errorf("%s: %q %s", body, got, a.text)
		}
	}
	made := h.operator("POST", "/clients/app/secrets", "", nil)
	h.want(made, http.StatusCreated, "")
	if secret, _ := made.body["client_secret"].(string); len(secret) < 32 {
		t.Errorf("%s", made.text)
	}
}

func TestClientsComeInPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		h.want(h.operator("POST", "/clients", `{"client_id": "`+id+`", "name": "N", "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}`, nil), http.StatusCreated, "")
	}
	var seen []string
	for cursor, pages := "", 0; ; pages++ {
		a := h.operator("GET", "/clients?limit=2&cursor="+cursor, "", nil)
		h.want(a, http.StatusOK, "")
		for _, item := range a.body["items"].([]any) {
			seen = append(seen, item.(map[string]any)["client_id"].(string))
		}
		next, _ := a.body["next_cursor"].(string)
		if next == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
		cursor = queryOf(next)
	}
	if !slices.Equal(seen, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("%q", seen)
	}
	h.want(h.operator("GET", "/clients?cursor=made-up", "", nil), http.StatusUnprocessableEntity, "cursor")
	h.want(h.operator("GET", "/clients?limit=0", "", nil), http.StatusUnprocessableEntity, "malformed")
	h.want(h.operator("GET", "/clients?limit=2&limit=3", "", nil), http.StatusUnprocessableEntity, "malformed")
	h.want(h.operator("GET", "/clients?size=2", "", nil), http.StatusUnprocessableEntity, "malformed")
}

// TestClientsOfTheAdministrationAreGuarded: whoever may write clients must not become
// whoever may do everything by one of them.
func TestClientsOfTheAdministrationAreGuarded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const audience = issuer + admin.Path
	writer, boss := caller(administration.ClientsWrite, administration.APIsWrite), caller(administration.All)
	client := func(id, more string) string {
		return `{"client_id": "` + id + `", "name": "C", "token_endpoint_auth_method": "client_secret_basic"` + more + `}`
	}
	// Before there is an API of the administration.
	h.want(h.as(writer, "POST", "/clients", client("ingam-cli", ""), nil), http.StatusForbidden, "forbidden")
	h.user("minji", "")
	begin := administration.NewBeginning(h.store, h.catalog, h.registry, h.users, audience)
	if _, _, err := begin.Begin(t.Context(), administration.Operator(audit.Operator("test")), accounts.User{Username: "minji"}, "", ""); err != nil {
		t.Fatal(err)
	}
	for id, more := range map[string]string{
		"asks":       `, "grant_types": ["client_credentials"], "audiences": ["` + audience + `"], "scopes": ["ingam:keys:read"]`,
		"names":      `, "grant_types": ["client_credentials"], "audiences": ["` + audience + `"]`,
		"introspect": `, "introspects": ["` + audience + `"]`,
	} {
		h.want(h.as(writer, "POST", "/clients", client(id, more), nil), http.StatusForbidden, "forbidden")
		h.want(h.as(boss, "POST", "/clients", client(id, more), nil), http.StatusCreated, "")
	}
	h.want(h.as(writer, "POST", "/clients", client("own", `, "grant_types": ["client_credentials"]`), nil), http.StatusCreated, "")
	for _, change := range []string{`{"audiences": ["` + audience + `"]}`, `{"introspects": ["` + audience + `"]}`, `{"audiences": ["` + audience + `"], "scopes": ["ingam:admin"]}`} {
		h.want(h.as(writer, "PATCH", "/clients/own", change, with{"If-Match": "*"}), http.StatusForbidden, "forbidden")
	}
	for _, id := range []string{"asks", "names", "introspect", "ingam-cli"} {
		one := "/clients/" + id
		for _, act := range [][3]string{
			{"PATCH", one, `{"name": "Mine"}`},
			{"PATCH", one, `{"audiences": [], "introspects": [], "scopes": []}`},
			{"POST", one + "/disable", ""},
			{"POST", one + "/enable", ""},
			{"POST", one + "/secrets", `{}`},
			{"DELETE", one + "/secrets/oldest", ""},
			{"DELETE", one, ""},
			{"POST", "/apply", `{"clients": [` + client(id, "") + `]}`},
		} {
			for _, dry := range []string{"", "?dry_run=true"} {
				a := h.as(writer, act[0], act[1]+dry, act[2], with{"If-Match": "*"})
				// How a client authenticates cannot be changed at all.
				if a.status != http.StatusForbidden && !(act[1] == "/apply" && a.status == http.StatusUnprocessableEntity) {
					t.Errorf("%s %s %s: %d %s", act[0], act[1]+dry, act[2], a.status, a.text)
				}
			}
		}
	}
}
