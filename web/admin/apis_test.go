package admin_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
)

const (
	newOrders = `{"audience": "https://orders.example/v1", "name": "Orders", "scopes": ["read", "write"], "scope_texts": {"read": {"en": "read your orders"}}}`
	orders    = "/apis/https:%2F%2Forders.example%2Fv1"
	publicKey = `{"kty":"EC","crv":"P-256","kid":"bob","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}`
)

// ringed is a house whose APIs can have other algorithms and secrets.
func ringed(t testing.TB) *house {
	t.Helper()
	h := newHouse(t)
	h.catalog.Rings = h.rings
	return h
}

func TestAnAPIIsCreatedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	made := h.operator("POST", "/apis", newOrders, nil)
	h.want(made, http.StatusCreated, "")
	byID := "/apis/" + made.body["id"].(string)
	if at := made.header.Get("Location"); at != issuer+"/admin/v1"+byID || made.body["default_access_ttl"] != "15m0s" {
		t.Errorf("%s %s", at, made.text)
	}
	again := h.operator("POST", "/apis", newOrders, nil)
	h.want(again, http.StatusConflict, "exists")
	if got := again.pointers(); !slices.Equal(got, []string{"/audience"}) {
		t.Errorf("%q %s", got, again.text)
	}
	for _, path := range []string{orders, byID} {
		shown := h.operator("GET", path, "", nil)
		h.want(shown, http.StatusOK, "")
		if shown.text != made.text || shown.header.Get("ETag") != made.header.Get("ETag") {
			t.Errorf("%s instead of %s", shown.text, made.text)
		}
	}
	tag := made.header.Get("ETag")
	h.want(h.operator("PATCH", orders, `{"name": "Other"}`, nil), http.StatusPreconditionRequired, "no-version")
	changed := h.operator("PATCH", orders, `{"name": "Other", "access_ttl": "5m", "roles": true, "scopes": ["read"], "scope_texts": {"read": {"ko": "보기"}}}`, with{"If-Match": tag})
	h.want(changed, http.StatusOK, "")
	for _, part := range []string{`"name":"Other"`, `"access_ttl":"5m0s"`, `"roles":true`, `"scopes":["read"]`, `"scope_texts":{"read":{"ko":"보기"}}`} {
		if !strings.Contains(changed.text, part) {
			t.Errorf("%s is not in %s", part, changed.text)
		}
	}
	if _, has := changed.body["default_access_ttl"]; has || changed.header.Get("ETag") == tag {
		t.Errorf("%s %s", changed.header, changed.text)
	}
	h.want(h.operator("PATCH", orders, `{"name": "Third"}`, with{"If-Match": tag}), http.StatusPreconditionFailed, "stale")
	h.want(h.operator("DELETE", orders, "", with{"If-Match": tag}), http.StatusPreconditionFailed, "stale")
	reset := h.operator("PATCH", byID, `{"access_ttl": null, "id": "`+made.body["id"].(string)+`", "audience": "https://orders.example/v1"}`, with{"If-Match": "*"})
	h.want(reset, http.StatusOK, "")
	if _, has := reset.body["access_ttl"]; has || reset.body["name"] != "Other" {
		t.Errorf("%s", reset.text)
	}
	h.want(h.operator("DELETE", orders+"?dry_run=true", "", with{"If-Match": "*"}), http.StatusNoContent, "")
	h.want(h.operator("GET", orders, "", nil), http.StatusOK, "")
	h.want(h.operator("DELETE", orders, "", with{"If-Match": reset.header.Get("ETag")}), http.StatusNoContent, "")
	for _, path := range []string{orders, byID} {
		h.want(h.operator("GET", path, "", nil), http.StatusNotFound, "not-found")
		h.want(h.operator("PATCH", path, `{}`, with{"If-Match": "*"}), http.StatusNotFound, "not-found")
		h.want(h.operator("DELETE", path, "", with{"If-Match": "*"}), http.StatusNotFound, "not-found")
	}
}

// TestAnIDNamesItsAPI: otherwise whoever may write APIs could put another one in its place.
func TestAnIDNamesItsAPI(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.operator("POST", "/apis", newOrders, nil).body["id"].(string)
	h.want(h.operator("POST", "/apis", `{"audience": "`+id+`", "name": "Decoy", "scopes": ["read"]}`, nil), http.StatusCreated, "")
	if a := h.operator("GET", "/apis/"+id, "", nil); a.body["name"] != "Orders" {
		t.Errorf("%s", a.text)
	}
}

func TestADryRunOfAnAPIChangesNothing(t *testing.T) {
	t.Parallel()
	h := ringed(t)
	tried := h.operator("POST", "/apis?dry_run=true", `{"audience": "a", "name": "A", "scopes": ["read"], "signing_alg": "HS256"}`, nil)
	h.want(tried, http.StatusCreated, "")
	if _, shown := tried.body["api_secret"]; shown {
		t.Error("a secret that nobody has was shown")
	}
	h.want(h.operator("GET", "/apis/a", "", nil), http.StatusNotFound, "not-found")
	h.want(h.operator("POST", "/apis", `{"audience": "a", "name": "A", "scopes": ["read"]}`, nil), http.StatusCreated, "")
	before := h.operator("GET", "/apis/a", "", nil)
	for _, body := range []string{`{"signing_alg": "HS256"}`, `{"signing_alg": "ES256"}`, `{"encryption_key": ` + publicKey + `}`, `{"scopes": ["other"]}`} {
		tried := h.operator("PATCH", "/apis/a?dry_run=true", body, with{"If-Match": before.header.Get("ETag")})
		h.want(tried, http.StatusOK, "")
		if _, shown := tried.body["api_secret"]; shown || tried.text == before.text {
			t.Errorf("%s", tried.text)
		}
	}
	secret := h.operator("POST", "/apis/a/secrets?dry_run=true", "", nil)
	h.want(secret, http.StatusCreated, "")
	if _, shown := secret.body["api_secret"]; shown {
		t.Error("a secret that nobody has was shown")
	}
	if after := h.operator("GET", "/apis/a", "", nil); after.text != before.text {
		t.Errorf("%s became %s", before.text, after.text)
	}
	if rings := h.operator("GET", "/keys", "", nil); strings.Contains(rings.text, "ES256") || strings.Contains(rings.text, "seal") {
		t.Errorf("keys were made: %s", rings.text)
	}
}

func TestWhatIsWrongWithAnAPIIsPointedAt(t *testing.T) {
	t.Parallel()
	h := ringed(t)
	h.want(h.operator("POST", "/apis", newOrders, nil), http.StatusCreated, "")
	before := h.operator("GET", orders, "", nil)
	refused := func(a answer, body string, want ...string) {
		t.Helper()
		if got := a.pointers(); a.status != http.StatusUnprocessableEntity || !slices.Equal(got, want) {
			t.Errorf("%.200s: %d %q %.300s", body, a.status, got, a.text)
		}
	}
	for body, want := range map[string][]string{
		`{"name": ""}`:                                             {"/name"},
		`{"name": "a\u0000b"}`:                                     {"/name"},
		`{"name": "a\u202eb"}`:                                     {"/name"},
		`{"name": "a\u0007b"}`:                                     {"/name"},
		`{"name": "` + strings.Repeat("a", 201) + `"}`:             {"/name"},
		`{"scopes": []}`:                                           {"/scopes"},
		`{"scopes": ["read", "a b"]}`:                              {"/scopes/1"},
		`{"scopes": ["read", ""]}`:                                 {"/scopes/1"},
		`{"scopes": ["read", "a\"b"]}`:                             {"/scopes/1"},
		`{"scopes": ["read", "read"]}`:                             {"/scopes/1"},
		`{"scopes": ["read", "openid"]}`:                           {"/scopes/1"},
		`{"scopes": ["read", "ingam:clients:write"]}`:              {"/scopes/1"},
		`{"scope_texts": {"other": {"en": "x"}}}`:                  {"/scope_texts/other"},
		`{"scope_texts": {"read": {"en": "a\u202eb"}}}`:            {"/scope_texts/read/en"},
		`{"scope_texts": {"read": {"en": ""}}}`:                    {"/scope_texts/read/en"},
		`{"scope_texts": {"read": {"<b>\u0000": "x"}}}`:            {"/scope_texts/read/<b>\x00"},
		`{"access_ttl": "1s"}`:                                     {"/access_ttl"},
		`{"access_ttl": "0s"}`:                                     {"/access_ttl"},
		`{"access_ttl": "25h"}`:                                    {"/access_ttl"},
		`{"access_ttl": "90.5s"}`:                                  {"/access_ttl"},
		`{"access_ttl": "soon"}`:                                   {"/access_ttl"},
		`{"token_typ": "jwt"}`:                                     {"/token_typ"},
		`{"signing_alg": "none"}`:                                  {"/signing_alg"},
		`{"encryption_key": {}}`:                                   {"/encryption_key"},
		`{"encryption_key": "x"}`:                                  {"/encryption_key"},
		`{"encryption_key": {"kty": "EC", "d": "hush"}}`:           {"/encryption_key"},
		`{"id": "other"}`:                                          {"/id"},
		`{"audience": "https://other.example"}`:                    {"/audience"},
		`{"roles": "yes"}`:                                         {"/roles"},
		`{"Name": "x"}`:                                            {"/Name"},
		`{"created_at": "x", "secrets": [], "epoch": 1}`:           {"/created_at", "/epoch", "/secrets"},
		`{"api_secret": "x", "encryption": {}, "kept_scopes": []}`: {"/api_secret", "/encryption", "/kept_scopes"},
	} {
		a := h.operator("PATCH", orders, body, with{"If-Match": "*"})
		if refused(a, body, want...); strings.Contains(a.text, "hush") {
			t.Errorf("a private key is repeated: %s", a.text)
		}
	}
	for audience, body := range map[string]string{"": newOrders, `a b`: newOrders, `a#b`: newOrders, `a\u0000`: newOrders, `a\u202e`: newOrders, strings.Repeat("a", 256): newOrders} {
		body := strings.Replace(body, "https://orders.example/v1", audience, 1)
		refused(h.operator("POST", "/apis", body, nil), body, "/audience")
	}
	if after := h.operator("GET", orders, "", nil); after.text != before.text {
		t.Errorf("%s became %s", before.text, after.text)
	}
	// A name with HTML is a name.
	if a := h.operator("PATCH", orders, `{"name": "<b>Orders</b> & more"}`, with{"If-Match": "*"}); a.body["name"] != "<b>Orders</b> & more" {
		t.Errorf("%s", a.text)
	}
	h.want(h.operator("POST", "/apis", `{"audience": "x", "name": "`+strings.Repeat("a", 1<<20)+`", "scopes": ["read"]}`, nil), http.StatusRequestEntityTooLarge, "malformed")
}

func TestWhatIsTakenIsPointedAt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/clients", newApp, nil), http.StatusCreated, "")
	a := h.operator("POST", "/apis", `{"audience": "app", "name": "App", "scopes": ["read"], "token_typ": "JWT"}`, nil)
	h.want(a, http.StatusConflict, "is-client")
	if got := a.pointers(); !slices.Equal(got, []string{"/token_typ"}) {
		t.Errorf("%q %s", got, a.text)
	}
}

func TestAPIsComeInPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := []string{"a", "b", "c", "https://d.example", "https://e.example/"}
	for _, audience := range want {
		h.want(h.operator("POST", "/apis", `{"audience": "`+audience+`", "name": "N", "scopes": ["read"]}`, nil), http.StatusCreated, "")
	}
	var seen []string
	cursor := ""
	for pages := 1; ; pages++ {
		a := h.operator("GET", "/apis?limit=2&cursor="+cursor, "", nil)
		h.want(a, http.StatusOK, "")
		for _, item := range a.body["items"].([]any) {
			seen = append(seen, item.(map[string]any)["audience"].(string))
		}
		next, _ := a.body["next_cursor"].(string)
		if next == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		cursor = queryOf(next)
	}
	if !slices.Equal(seen, want) {
		t.Errorf("%q", seen)
	}
	for audience, found := range map[string]int{"https://d.example/": 1, "https://e.example": 1, "b": 1, "B": 0, "x": 0} {
		if a := h.operator("GET", "/apis?audience="+queryOf(audience), "", nil); len(a.body["items"].([]any)) != found {
			t.Errorf("%s: %s", audience, a.text)
		}
	}
	h.want(h.operator("GET", "/apis?audience=b&cursor="+cursor, "", nil), http.StatusUnprocessableEntity, "cursor")
	h.want(h.operator("GET", "/apis?cursor=made-up", "", nil), http.StatusUnprocessableEntity, "cursor")
	h.want(h.operator("GET", "/apis?name=b", "", nil), http.StatusUnprocessableEntity, "malformed")
}

func TestTheSecretsOfAnAPIAreShownOnce(t *testing.T) {
	t.Parallel()
	h := ringed(t)
	made := h.operator("POST", "/apis", `{"audience": "a", "name": "A", "scopes": ["read"], "signing_alg": "HS256"}`, nil)
	h.want(made, http.StatusCreated, "")
	first := made.body["secrets"].([]any)[0].(map[string]any)["id"].(string)
	added := h.operator("POST", "/apis/a/secrets?reason=rotation", "", nil)
	h.want(added, http.StatusCreated, "")
	second, secret := added.body["id"].(string), added.body["api_secret"].(string)
	if len(made.body["api_secret"].(string)) != 43 || len(secret) != 43 || added.body["signs"] != false {
		t.Fatalf("%s %s", made.text, added.text)
	}
	shown := h.operator("GET", "/apis/a", "", nil)
	for _, hidden := range []string{made.body["api_secret"].(string), secret} {
		if strings.Contains(shown.text, hidden) {
			t.Errorf("%s", shown.text)
		}
	}
	if shown.header.Get("ETag") == made.header.Get("ETag") {
		t.Error("the version stayed")
	}
	h.want(h.operator("POST", "/apis/a/secrets", "", nil), http.StatusConflict, "too-many-secrets")
	h.want(h.operator("DELETE", "/apis/a/secrets/"+first, "", nil), http.StatusConflict, "secret-signs")
	h.want(h.operator("POST", "/apis/a/secrets/none/use", "", nil), http.StatusNotFound, "no-such-secret")
	h.want(h.operator("DELETE", "/apis/a/secrets/none", "", nil), http.StatusNotFound, "no-such-secret")
	h.want(h.operator("POST", "/apis/b/secrets", "", nil), http.StatusNotFound, "not-found")
	h.want(h.operator("POST", "/apis/a/secrets/"+second+"/use?dry_run=true", "", nil), http.StatusOK, "")
	for _, want := range []bool{true, false} {
		used := h.operator("POST", "/apis/a/secrets/"+second+"/use", "", nil)
		h.want(used, http.StatusOK, "")
		if used.body["changed"] != want || used.body["signs"] != true || used.body["id"] != second {
			t.Errorf("%s", used.text)
		}
	}
	removed := h.operator("DELETE", "/apis/a/secrets/"+first, "", nil)
	h.want(removed, http.StatusOK, "")
	if removed.body["id"] != first {
		t.Errorf("%s", removed.text)
	}
	if a := h.operator("GET", "/apis/a", "", nil); len(a.body["secrets"].([]any)) != 1 {
		t.Errorf("%s", a.text)
	}
	if log := h.operator("GET", "/audit", "", nil); !strings.Contains(log.text, `"rotation"`) || strings.Contains(log.text, secret) {
		t.Errorf("%s", log.text)
	}
}

func TestAnAPIEncryptsToAPublicKey(t *testing.T) {
	t.Parallel()
	h := ringed(t)
	h.want(h.operator("POST", "/apis", newOrders, nil), http.StatusCreated, "")
	set := h.operator("PATCH", orders, `{"encryption_key": `+publicKey+`}`, with{"If-Match": "*"})
	h.want(set, http.StatusOK, "")
	of, key := set.body["encryption"].(map[string]any), set.body["encryption_key"].(map[string]any)
	if of["alg"] != "ECDH-ES" || of["kid"] != "bob" || key["kid"] != "bob" || key["kty"] != "EC" {
		t.Errorf("%s", set.text)
	}
	again := h.operator("PATCH", orders, `{"encryption_key": `+publicKey+`}`, with{"If-Match": "*"})
	if again.header.Get("ETag") != set.header.Get("ETag") {
		t.Errorf("the same key is another one: %s", again.text)
	}
	removed := h.operator("PATCH", orders, `{"encryption_key": null}`, with{"If-Match": "*"})
	if _, has := removed.body["encryption"]; has || removed.status != http.StatusOK {
		t.Errorf("%s", removed.text)
	}
}

func TestWhoeverTakesAScopeAwayLearnsWhoHadIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/apis", newOrders, nil), http.StatusCreated, "")
	h.want(h.operator("POST", "/clients", `{"client_id": "job", "name": "Job", "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"],
		"audiences": ["https://orders.example/v1"], "scopes": ["write"]}`, nil), http.StatusCreated, "")
	for _, path := range []string{orders + "?dry_run=true", orders} {
		a := h.operator("PATCH", path, `{"scopes": ["read"]}`, with{"If-Match": "*"})
		h.want(a, http.StatusOK, "")
		if warnings, _ := a.body["warnings"].([]any); len(warnings) != 1 || !strings.Contains(warnings[0].(string), "client job still names the scope write") {
			t.Errorf("%s", a.text)
		}
	}
}

func TestAnAPIInUseIsNotDeletedByAccident(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/apis", newOrders, nil), http.StatusCreated, "")
	h.want(h.operator("POST", "/clients", newApp, nil), http.StatusCreated, "")
	give := func(body string) {
		t.Helper()
		h.want(h.operator("PATCH", "/clients/app", body, with{"If-Match": "*"}), http.StatusOK, "")
	}
	give(`{"audiences": ["https://orders.example/v1"], "scopes": ["read"]}`)
	h.granted("app", "https://orders.example/v1")
	for _, force := range []string{"", "?force=true"} {
		a := h.operator("DELETE", orders+force, "", with{"If-Match": "*"})
		h.want(a, http.StatusConflict, "in-use")
		if !strings.HasSuffix(a.body["detail"].(string), ": app") {
			t.Errorf("%s", a.text)
		}
	}
	give(`{"audiences": [], "introspects": [], "scopes": []}`)
	a := h.operator("DELETE", orders, "", with{"If-Match": "*"})
	h.want(a, http.StatusConflict, "in-use")
	if !strings.Contains(a.text, "1 live grants") {
		t.Errorf("%s", a.text)
	}
	h.want(h.operator("DELETE", orders+"?force=true", "", with{"If-Match": "*"}), http.StatusNoContent, "")
	h.want(h.operator("GET", orders, "", nil), http.StatusNotFound, "not-found")
}

// granted stores a live grant of a client for an API.
func (h *house) granted(client, audience string) {
	h.Helper()
	now, ctx := time.Now(), h.Context()
	must := func(err error) {
		h.Helper()
		if err != nil {
			h.Fatal(err)
		}
	}
	event := func(action audit.Action) audit.Event {
		return audit.Event{At: now, Actor: "test", Action: action, Subject: "x"}
	}
	must(h.store.CreateUser(ctx, accounts.User{ID: "u", Username: "minji", Password: "x", CreatedAt: now}, event(audit.UserCreated)))
	u, err := h.store.User(ctx, "u")
	must(err)
	must(h.store.BeginSession(ctx, sessions.Session{ID: "s", UserID: "u", UserEpoch: u.Epoch, AuthenticatedAt: now, Methods: []string{"pwd"}, CreatedAt: now, SeenAt: now, IdleAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}, [32]byte{1}, [32]byte{2}, event(audit.SessionBegun)))
	must(h.store.SaveCode(ctx, [32]byte{3}, grants.Code{ClientID: client, SessionID: "s", Scopes: []string{"read"}, Audiences: []string{audience}, AuthenticatedAt: now, Methods: []string{"pwd"}, ExpiresAt: now.Add(time.Minute)}, now))
	c, err := h.store.Code(ctx, [32]byte{3})
	must(err)
	must(h.store.RedeemCode(ctx, [32]byte{3}, now, grants.Grant{
		ID: "g", ClientID: client, UserID: "u", SessionID: "s", Scopes: c.Scopes, Audiences: c.Audiences, AuthenticatedAt: now, Methods: c.Methods,
		UserEpoch: c.UserEpoch, ClientEpoch: c.ClientEpoch, ServerEpoch: c.ServerEpoch, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		Refresh: grants.Refresh{Generation: 1, IssuedAt: now, ExpiresAt: now.Add(time.Hour), KeyID: "k", Version: 1},
	}))
}

func TestTheAPIOfTheAdministrationIsGuarded(t *testing.T) {
	t.Parallel()
	h := ringed(t)
	own, err := h.catalog.CreateAdministration(t.Context(), apis.API{Audience: issuer + "/admin/v1", Name: "Ingam", Scopes: []string{administration.All, administration.APIsRead}}, "", "", "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.catalog.CreateAdministration(t.Context(), apis.API{Audience: "another", Name: "Ingam", Scopes: []string{administration.All}}, "", "", "test"); err == nil {
		t.Error("there are two")
	}
	path := "/apis/" + url.PathEscape(own.Audience)
	before := h.operator("GET", path, "", nil)
	writer := administration.NewCaller("writer", administration.APIsRead, administration.APIsWrite)
	for _, a := range []answer{
		h.as(&writer, "PATCH", path, `{"name": "x"}`, with{"If-Match": "*"}),
		h.as(&writer, "PATCH", path, `{"scopes": ["ingam:admin"]}`, with{"If-Match": "*"}),
		h.as(&writer, "DELETE", path+"?force=true", "", with{"If-Match": "*"}),
		h.as(&writer, "POST", path+"/secrets", "", nil),
		h.as(&writer, "POST", path+"/secrets/x/use", "", nil),
		h.as(&writer, "DELETE", path+"/secrets/x", "", nil),
	} {
		h.want(a, http.StatusForbidden, "forbidden")
	}
	// Nobody changes what is fixed, or makes another API into such a one.
	h.want(h.operator("POST", "/apis", newOrders, nil), http.StatusCreated, "")
	for body, at := range map[string]string{
		`{"signing_alg": "HS256"}`: "/signing_alg", `{"signing_alg": "ES256"}`: "/signing_alg", `{"token_typ": "JWT"}`: "/token_typ",
		`{"encryption_key": ` + publicKey + `}`: "/encryption_key", `{"scopes": ["read"]}`: "/scopes", `{"scopes": ["ingam:apis:read"]}`: "/scopes",
	} {
		a := h.operator("PATCH", path, body, with{"If-Match": "*"})
		h.want(a, http.StatusUnprocessableEntity, "invalid")
		if got := a.pointers(); !slices.Equal(got, []string{at}) {
			t.Errorf("%s: %q %s", body, got, a.text)
		}
	}
	h.want(h.operator("POST", path+"/secrets", "", nil), http.StatusUnprocessableEntity, "invalid")
	h.want(h.operator("PATCH", orders, `{"scopes": ["ingam:admin"]}`, with{"If-Match": "*"}), http.StatusUnprocessableEntity, "invalid")
	h.want(h.operator("POST", "/apis", `{"audience": "x", "name": "X", "scopes": ["ingam:new"]}`, nil), http.StatusUnprocessableEntity, "invalid")
	if after := h.operator("GET", path, "", nil); after.text != before.text {
		t.Errorf("%s became %s", before.text, after.text)
	}
	if rings := h.operator("GET", "/keys", "", nil); strings.Contains(rings.text, "ES256") {
		t.Errorf("keys were made: %s", rings.text)
	}
	// A new version brings new scopes.
	h.want(h.operator("PATCH", path, `{"scopes": ["ingam:admin", "ingam:apis:read", "ingam:apis:write"]}`, with{"If-Match": "*"}), http.StatusOK, "")
	h.want(h.as(&writer, "PATCH", orders, `{"name": "x"}`, with{"If-Match": "*"}), http.StatusOK, "")
}

func TestWhoOnlyReadsAPIsChangesNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/apis", newOrders, nil), http.StatusCreated, "")
	reader, other := administration.NewCaller("reader", administration.APIsRead), administration.NewCaller("other", administration.ClientsRead, administration.ClientsWrite)
	h.want(h.as(&reader, "GET", orders, "", nil), http.StatusOK, "")
	h.want(h.as(&reader, "GET", "/apis", "", nil), http.StatusOK, "")
	for _, c := range [][2]string{{"POST", "/apis"}, {"PATCH", orders}, {"DELETE", orders}, {"POST", orders + "/secrets"}, {"POST", orders + "/secrets/x/use"}, {"DELETE", orders + "/secrets/x"}} {
		a := h.as(&reader, c[0], c[1], "", nil)
		h.want(a, http.StatusForbidden, "forbidden")
		if challenge := a.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `scope="ingam:apis:write"`) {
			t.Errorf("%s", challenge)
		}
		h.want(h.as(&other, c[0], c[1], "", nil), http.StatusForbidden, "forbidden")
		h.want(h.as(nil, c[0], c[1], "", nil), http.StatusUnauthorized, "unauthorized")
	}
	h.want(h.as(&other, "GET", orders, "", nil), http.StatusForbidden, "forbidden")
}
