package admin_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/storage/storagetest"
)

const goodPassword = "correct horse battery staple"

// user creates a user with a good password, and returns their id. more are further members.
func (h *house) user(name, more string) string {
	h.Helper()
	a := h.operator("POST", "/users", newUser(name, more), nil)
	h.want(a, http.StatusCreated, "")
	id, _ := a.body["id"].(string)
	return id
}

func newUser(name, more string) string {
	return fmt.Sprintf(`{"username": %q, "password": %q%s}`, name, goodPassword, more)
}

// signIn begins a login session of a user.
func (h *house) signIn(user, session string) {
	h.Helper()
	u, err := h.store.User(h.Context(), user)
	if err != nil {
		h.Fatal(err)
	}
	now := time.Now()
	err = h.store.BeginSession(h.Context(), sessions.Session{
		ID: session, UserID: user, UserEpoch: u.Epoch, CreatedAt: now, SeenAt: now, IdleAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour), UserAgent: "a browser",
	}, sha256.Sum256([]byte(session)), sha256.Sum256([]byte("device")), audit.Event{At: now})
	if err != nil {
		h.Fatal(err)
	}
}

// grant stores a grant to the client app in a session.
func (h *house) grant(session, id string) {
	h.Helper()
	now, hash := time.Now(), sha256.Sum256([]byte(id))
	if err := h.store.SaveCode(h.Context(), hash, grants.Code{ClientID: "app", SessionID: session, ExpiresAt: now.Add(time.Minute)}, now); err != nil {
		h.Fatal(err)
	}
	code, err := h.store.Code(h.Context(), hash)
	if err != nil {
		h.Fatal(err)
	}
	err = h.store.RedeemCode(h.Context(), hash, now, grants.Grant{
		ID: id, ClientID: "app", UserID: code.UserID, SessionID: session, UserEpoch: code.UserEpoch, ClientEpoch: code.ClientEpoch, ServerEpoch: code.ServerEpoch,
		CreatedAt: now, ExpiresAt: now.Add(time.Hour), Refresh: grants.Refresh{Generation: 1, ExpiresAt: now.Add(time.Hour)},
	})
	if err != nil {
		h.Fatal(err)
	}
}

// caller returns a caller with scopes.
func caller(scopes ...string) *administration.Caller {
	c := administration.NewCaller(audit.User("somebody"), scopes...)
	return &c
}

func TestAUserIsCreatedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	made := h.operator("POST", "/users", newUser("Minji", `, "email": "minji@test.example", "roles": ["ops"], "claims": {"name": "Kim <b>", "n": 9007199254740993}`), nil)
	h.want(made, http.StatusCreated, "")
	id, _ := made.body["id"].(string)
	if made.body["username"] != "minji" || made.header.Get("Location") != issuer+"/admin/v1/users/"+id || strings.Contains(made.text, "argon2") || strings.Contains(made.text, goodPassword) {
		t.Fatalf("%v %v", made.header, made.text)
	}
	if !strings.Contains(made.text, `"claims":{"n":9007199254740993,"name":"Kim <b>"}`) || !strings.Contains(made.text, `"email_verified":null`) {
		t.Errorf("%s", made.text)
	}
	again := h.operator("POST", "/users", newUser("MINJI", ""), nil)
	h.want(again, http.StatusConflict, "exists")
	taken := h.operator("POST", "/users", newUser("junho", `, "email": "Minji@Test.example"`), nil)
	h.want(taken, http.StatusConflict, "taken")
	named := h.operator("POST", "/users", newUser("minji@test.example", ""), nil)
	h.want(named, http.StatusConflict, "taken")
	if got := slices.Concat(again.pointers(), taken.pointers(), named.pointers()); !slices.Equal(got, []string{"/username", "/email", "/username"}) {
		t.Errorf("%q", got)
	}

	path := "/users/" + id
	shown := h.operator("GET", path, "", nil)
	h.want(shown, http.StatusOK, "")
	tag := shown.header.Get("ETag")
	if tag == "" || tag != made.header.Get("ETag") {
		t.Errorf("%s instead of %s", tag, made.header.Get("ETag"))
	}
	if want := []string{"claims", "created_at", "disabled", "email", "email_shared", "email_verified", "id", "roles", "username"}; !slices.Equal(shown.members(), want) {
		t.Errorf("%q", shown.members())
	}
	h.want(h.operator("PATCH", path, `{"email": ""}`, nil), http.StatusPreconditionRequired, "no-version")
	changed := h.operator("PATCH", path, `{"email_verified": true, "claims": {"name": "Kim <b>"}}`, with{"If-Match": tag})
	h.want(changed, http.StatusOK, "")
	if changed.body["email_verified"] != true || changed.body["username"] != "minji" || changed.header.Get("ETag") == tag {
		t.Errorf("%v", changed.text)
	}
	h.want(h.operator("PATCH", path, `{"roles": []}`, with{"If-Match": tag}), http.StatusPreconditionFailed, "stale")
	h.want(h.operator("DELETE", path, "", with{"If-Match": tag}), http.StatusPreconditionFailed, "stale")
	same := h.operator("PATCH", path, `{"claims": { "name" :"Kim <b>" }}`, with{"If-Match": changed.header.Get("ETag")})
	if same.header.Get("ETag") != changed.header.Get("ETag") {
		t.Errorf("the same is another: %s", same.text)
	}
	if moved := h.operator("PATCH", path, `{"email": "kim@test.example"}`, with{"If-Match": "*"}); moved.body["email_verified"] != false {
		t.Errorf("a new address is verified: %s", moved.text)
	}
	if unknown := h.operator("PATCH", path, `{"email_verified": null}`, with{"If-Match": "*"}); unknown.status != http.StatusOK || unknown.body["email_verified"] != nil {
		t.Errorf("%s", unknown.text)
	}
	if off := h.operator("POST", path+"/disable", "", nil); off.body["disabled"] != true {
		t.Errorf("%s", off.text)
	}
	if on := h.operator("POST", path+"/enable", "", nil); on.body["disabled"] != false {
		t.Errorf("%s", on.text)
	}
	h.want(h.operator("DELETE", path, "", with{"If-Match": "*"}), http.StatusNoContent, "")
	for _, method := range []string{"GET", "DELETE"} {
		h.want(h.operator(method, path, "", with{"If-Match": "*"}), http.StatusNotFound, "not-found")
	}
	h.want(h.operator("POST", path+"/disable", "", nil), http.StatusNotFound, "not-found")
	h.want(h.operator("PUT", path+"/password", `{"password": "`+goodPassword+`"}`, nil), http.StatusNotFound, "not-found")
}

func TestADryRunChangesNoUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/users?dry_run=true", newUser("minji", ""), nil), http.StatusCreated, "")
	if list := h.operator("GET", "/users", "", nil); len(list.body["items"].([]any)) != 0 {
		t.Errorf("%s", list.text)
	}
	id := h.user("minji", "")
	h.signIn(id, "s")
	before := h.operator("GET", "/users/"+id, "", nil)
	h.want(h.operator("POST", "/users?dry_run=true", newUser("minji", ""), nil), http.StatusConflict, "exists")
	if tried := h.operator("PATCH", "/users/"+id+"?dry_run=true", `{"username": "kim"}`, with{"If-Match": "*"}); tried.body["username"] != "kim" {
		t.Errorf("%s", tried.text)
	}
	if tried := h.operator("POST", "/users/"+id+"/disable?dry_run=true", "", nil); tried.body["disabled"] != true {
		t.Errorf("%s", tried.text)
	}
	h.want(h.operator("PUT", "/users/"+id+"/password?dry_run=true", `{"password": "another one, with a battery"}`, nil), http.StatusNoContent, "")
	h.want(h.operator("DELETE", "/users/"+id+"?dry_run=true", "", with{"If-Match": "*"}), http.StatusNoContent, "")
	if tried := h.operator("DELETE", "/sessions?dry_run=true&user_id="+id, "", nil); tried.body["ended"] != 1.0 {
		t.Errorf("%s", tried.text)
	}
	// Not a dry run, but a mistake.
	h.want(h.operator("DELETE", "/users/"+id+"?dry_run=", "", with{"If-Match": "*"}), http.StatusUnprocessableEntity, "malformed")
	if after := h.operator("GET", "/users/"+id, "", nil); after.text != before.text || after.header.Get("ETag") != before.header.Get("ETag") {
		t.Errorf("%s", after.text)
	}
	if list := h.operator("GET", "/sessions", "", nil); len(list.body["items"].([]any)) != 1 {
		t.Errorf("%s", list.text)
	}
}

func TestWhatIsWrongWithAUserIsPointedAt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.user("minji", "")
	before := h.operator("GET", "/users/"+id, "", nil)
	for body, want := range map[string][]string{
		`{"username": "a b"}`:                                    {"/username"},
		`{"username": ""}`:                                       {"/username"},
		`{"username": "<b>x</b>\u0000"}`:                         {"/username"},
		`{"username": "a\u202eb"}`:                               {"/username"},
		`{"username": "a\nb"}`:                                   {"/username"},
		`{"email": "nobody"}`:                                    {"/email"},
		`{"email": "a\u0000@test.example"}`:                      {"/email"},
		`{"email_verified": true}`:                               {"/email_verified"},
		`{"email_verified": "yes"}`:                              {"/email_verified"},
		`{"roles": ["good", "a b"]}`:                             {"/roles/1"},
		`{"roles": ["good", "ingam:user:write"]}`:                {"/roles/1"},
		`{"roles": "good"}`:                                      {"/roles"},
		`{"claims": {"name": "x", "sub": "y"}}`:                  {"/claims/sub"},
		`{"claims": {"a/b": 1, "roles": ["admin"]}}`:             {"/claims/roles"},
		`{"claims": ["name"]}`:                                   {"/claims"},
		`{"claims": {"x": "` + strings.Repeat("x", 9000) + `"}}`: {"/claims"},
		`{"id": "another"}`:                                      {"/id"},
		`{"Username": "x"}`:                                      {"/Username"},
		`{"password": "` + goodPassword + `"}`:                   {"/password"},
		`{"disabled": true, "created_at": "x", "epoch": 1, "email_shared": false, "warnings": []}`: {"/created_at", "/disabled", "/email_shared", "/epoch", "/warnings"},
	} {
		a := h.operator("PATCH", "/users/"+id, body, with{"If-Match": "*"})
		if got := a.pointers(); a.status != http.StatusUnprocessableEntity || !slices.Equal(got, want) {
			t.Errorf("%.80s: %d %q %s", body, a.status, got, a.text)
		}
	}
	for _, password := range []string{"", "short", "password1", "new-user-of-test", "typed \u0000 nowhere", "sent \ufffd as bytes", strings.Repeat("x", 300)} {
		for _, a := range []answer{
			h.operator("PUT", "/users/"+id+"/password?dry_run=true", `{"password": `+quoted(password)+`}`, nil),
			h.operator("POST", "/users", `{"username": "new-user-of-test", "password": `+quoted(password)+`}`, nil),
		} {
			if password == "new-user-of-test" && a.status == http.StatusNoContent {
				continue // it is only the name of somebody else
			}
			if a.status != http.StatusUnprocessableEntity || !slices.Equal(a.pointers(), []string{"/password"}) || password != "" && strings.Contains(a.text, password) {
				t.Errorf("%q: %d %s", password, a.status, a.text)
			}
		}
	}
	h.want(h.operator("POST", "/users?dry_run=true", `{"username": "new"}`, nil), http.StatusCreated, "") // to be invited
	h.want(h.operator("POST", "/users", `{"password": "`+goodPassword+`"}`, nil), http.StatusUnprocessableEntity, "invalid")
	large := h.operator("PATCH", "/users/"+id, `{"username": "`+strings.Repeat("x", 2<<20)+`"}`, with{"If-Match": "*"})
	h.want(large, http.StatusRequestEntityTooLarge, "malformed")
	if after := h.operator("GET", "/users/"+id, "", nil); after.text != before.text {
		t.Errorf("%v", after.text)
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestUsersComeInPagesByName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i, name := range []string{"e", "b", "d", "a", "c"} {
		h.user(name, fmt.Sprintf(`, "roles": ["all", "role%d"]`, i%2))
	}
	walk := func(query string, each int) (seen []string) {
		t.Helper()
		for cursor := ""; ; {
			a := h.operator("GET", fmt.Sprintf("/users?limit=%d&cursor=%s%s", each, cursor, query), "", nil)
			h.want(a, http.StatusOK, "")
			for _, item := range a.body["items"].([]any) {
				seen = append(seen, item.(map[string]any)["username"].(string))
			}
			next, _ := a.body["next_cursor"].(string)
			if next == "" {
				return seen
			}
			cursor = queryOf(next)
		}
	}
	for query, want := range map[string]string{"": "a b c d e", "&role=all": "a b c d e", "&role=role1": "a b", "&role=role": "", "&username=C": "c", "&username=f": "", "&username=a%20b": ""} {
		for each := 1; each < 7; each++ {
			if got := strings.Join(walk(query, each), " "); got != want {
				t.Errorf("%s, %d each: %q", query, each, got)
			}
		}
	}
	next := h.operator("GET", "/users?limit=2", "", nil).body["next_cursor"].(string)
	for _, path := range []string{"/users?cursor=made-up", "/users?role=all&cursor=" + queryOf(next), "/sessions?cursor=" + queryOf(next)} {
		h.want(h.operator("GET", path, "", nil), http.StatusUnprocessableEntity, "cursor")
	}
	h.want(h.as(caller(administration.UsersRead), "GET", "/users?cursor="+queryOf(next), "", nil), http.StatusUnprocessableEntity, "cursor")
	// A filter without a value is a mistake, and not everybody.
	for _, path := range []string{"/users?username=", "/users?role=", "/sessions?user_id="} {
		h.want(h.operator("GET", path, "", nil), http.StatusUnprocessableEntity, "malformed")
	}
}

func TestASharedAddressIsTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.user("minji", `, "email": "team@test.example"`)
	// Users from before addresses had to be unique.
	storagetest.Exec(t, h.url, "INSERT INTO users (id, username, email, email_form, roles, claims, password, disabled, epoch, created_ms) VALUES ('old', 'old', 'Team@test.example', 'team@test.example', '[]', '{}', '', FALSE, 1, 0)")
	shown := h.operator("GET", "/users/"+id, "", nil)
	if shown.body["email_shared"] != true || fmt.Sprint(shown.body["email_shared_with"]) != "[old]" {
		t.Errorf("%s", shown.text)
	}
	list := h.operator("GET", "/users", "", nil)
	if strings.Count(list.text, `"email_shared":true`) != 2 {
		t.Errorf("%s", list.text)
	}
}

func TestAPasswordEndsWhatWasIssued(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/clients", newApp, nil), http.StatusCreated, "")
	id := h.user("minji", "")
	h.signIn(id, "s")
	h.grant("s", "g")
	h.want(h.operator("PUT", "/users/"+id+"/password?reason=forgotten", `{"password": "another one, with a battery"}`, nil), http.StatusNoContent, "")
	if list := h.operator("GET", "/sessions?user_id="+id, "", nil); len(list.body["items"].([]any)) != 0 {
		t.Errorf("%s", list.text)
	}
	if g, err := h.store.Grant(t.Context(), "g"); err != nil || g.Stands {
		t.Errorf("the grant stands, %v", err)
	}
	events, err := storagetest.Events(t.Context(), h.store, audit.Query{Action: audit.UserPasswordSet})
	if err != nil || len(events) != 1 || events[0].Reason != "forgotten" || strings.Contains(fmt.Sprint(events), "battery") {
		t.Errorf("%v, %v", events, err)
	}
}

func TestAUserWithLiveGrantsIsDeletedByForce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/clients", newApp, nil), http.StatusCreated, "")
	id := h.user("minji", "")
	h.signIn(id, "s")
	h.grant("s", "g1")
	h.grant("s", "g2")
	refused := h.operator("DELETE", "/users/"+id, "", with{"If-Match": "*"})
	h.want(refused, http.StatusConflict, "in-use")
	if !strings.Contains(refused.text, "2 grants") {
		t.Errorf("%s", refused.text)
	}
	h.want(h.operator("DELETE", "/users/"+id+"?force=true", "", with{"If-Match": "*"}), http.StatusNoContent, "")
	if g, err := h.store.Grant(t.Context(), "g1"); err != nil || g.Stands {
		t.Errorf("the grant stands, %v", err)
	}
}

// TestOnlyWhoMayDoEverythingReachesAdministrators: whoever may write users would otherwise
// make themselves an administrator, or sign in as one.
func TestOnlyWhoMayDoEverythingReachesAdministrators(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	chief, reader, plain := h.user("chief", `, "roles": ["ingam:admin"]`), h.user("reader", `, "roles": ["x", "ingam:clients:read"]`), h.user("plain", "")
	writer := caller(administration.UsersRead, administration.UsersWrite, administration.ClientsWrite)
	for _, id := range []string{chief, reader} {
		before := h.operator("GET", "/users/"+id, "", nil)
		path := "/users/" + id
		for _, a := range []answer{
			h.as(writer, "PATCH", path, `{"email": "mine@test.example"}`, with{"If-Match": "*"}),
			h.as(writer, "PATCH", path, `{"roles": []}`, with{"If-Match": "*"}),
			h.as(writer, "PATCH", path, `{"username": "x"}`, with{"If-Match": "*"}),
			h.as(writer, "DELETE", path, "", with{"If-Match": "*"}),
			h.as(writer, "DELETE", path+"?force=true", "", with{"If-Match": "*"}),
			h.as(writer, "POST", path+"/disable", "", nil),
			h.as(writer, "POST", path+"/enable", "", nil),
			h.as(writer, "PUT", path+"/password", `{"password": "another one, with a battery"}`, nil),
			h.as(writer, "PUT", path+"/password", `{"password": "x"}`, nil),
		} {
			h.want(a, http.StatusForbidden, "forbidden")
		}
		if after := h.operator("GET", path, "", nil); after.text != before.text {
			t.Errorf("%s", after.text)
		}
	}
	for _, role := range []string{"ingam:admin", "ingam:users:write", "ingam:clients:read"} {
		h.want(h.as(writer, "PATCH", "/users/"+plain, `{"roles": ["`+role+`"]}`, with{"If-Match": "*"}), http.StatusForbidden, "forbidden")
		h.want(h.as(writer, "POST", "/users", newUser("new", `, "roles": ["`+role+`"]`), nil), http.StatusForbidden, "forbidden")
	}
	h.want(h.as(writer, "PATCH", "/users/"+plain, `{"roles": ["x"]}`, with{"If-Match": "*"}), http.StatusOK, "")
	h.want(h.as(caller(administration.UsersRead), "PATCH", "/users/"+plain, `{}`, with{"If-Match": "*"}), http.StatusForbidden, "forbidden")
	h.want(h.as(caller(administration.ClientsRead), "GET", "/users", "", nil), http.StatusForbidden, "forbidden")
	h.want(h.as(nil, "GET", "/users", "", nil), http.StatusUnauthorized, "unauthorized")

	all := caller(administration.All)
	h.want(h.as(all, "PATCH", "/users/"+plain, `{"roles": ["ingam:users:write"]}`, with{"If-Match": "*"}), http.StatusOK, "")
	h.want(h.as(all, "PUT", "/users/"+reader+"/password", `{"password": "another one, with a battery"}`, nil), http.StatusNoContent, "")
	h.want(h.as(all, "DELETE", "/users/"+reader, "", with{"If-Match": "*"}), http.StatusNoContent, "")
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	all := caller(administration.All)
	id := h.user("chief", `, "roles": ["x", "ingam:admin"]`)
	path := "/users/" + id
	h.user("reader", `, "roles": ["ingam:users:read"]`)
	off := h.user("off", `, "roles": ["ingam:admin"]`)
	h.want(h.operator("POST", "/users/"+off+"/disable", "", nil), http.StatusOK, "")
	// Who has no password cannot sign in.
	if err := h.store.CreateUser(t.Context(), accounts.User{ID: "invited", Username: "invited", Roles: []string{administration.All}}, audit.Event{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	lose := func(by *administration.Caller) []answer {
		return []answer{
			h.as(by, "PATCH", path, `{"roles": ["x", "ingam:users:write"]}`, with{"If-Match": "*"}),
			h.as(by, "POST", path+"/disable", "", nil),
			h.as(by, "DELETE", path+"?force=true", "", with{"If-Match": "*"}),
		}
	}
	for _, a := range lose(all) {
		h.want(a, http.StatusConflict, "last-administrator")
	}
	h.want(h.as(all, "PATCH", path, `{"roles": ["ingam:admin"]}`, with{"If-Match": "*"}), http.StatusOK, "")
	h.want(h.as(all, "DELETE", "/users/"+off, "", with{"If-Match": "*"}), http.StatusNoContent, "")
	h.want(h.as(all, "DELETE", "/users/invited", "", with{"If-Match": "*"}), http.StatusNoContent, "")
	// With another one it may go; and on the server's own machine in any case.
	other := h.user("other", `, "roles": ["ingam:admin"]`)
	for _, a := range lose(all)[:2] {
		h.want(a, http.StatusOK, "")
	}
	h.want(h.as(all, "DELETE", "/users/"+other, "", with{"If-Match": "*"}), http.StatusConflict, "last-administrator")
	h.want(h.operator("DELETE", "/users/"+other, "", with{"If-Match": "*"}), http.StatusNoContent, "")
}

func TestWarningsAboutAUserAreTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.operator("POST", "/users", newUser("minji", `, "claims": {"name": "`+strings.Repeat("x", 5000)+`"}`), nil)
	h.want(a, http.StatusCreated, "")
	if warnings := fmt.Sprint(a.body["warnings"]); !strings.Contains(warnings, "only at userinfo") {
		t.Errorf("%s", warnings)
	}
}
