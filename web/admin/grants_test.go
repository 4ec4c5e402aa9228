package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/storage/storagetest"
)

// granted returns a house in which the users minji and jun are signed in and have allowed
// something to the clients web and app: the grants g1 to g4, one made after the other.
func granted(t testing.TB) *house {
	t.Helper()
	h := newHouse(t)
	ev := audit.Event{At: time.Now(), Actor: "test", Action: "test"}
	for _, client := range []string{"web", "app"} {
		h.must(h.store.CreateClient(h.Context(), clients.Client{ID: client, Name: "The " + client, Auth: clients.None, Scopes: []string{"openid", "offline_access"}, Grants: []string{clients.AuthorizationCode}}, ev))
	}
	for _, user := range []string{"minji", "jun"} {
		h.must(h.store.CreateUser(h.Context(), accounts.User{ID: "id-" + user, Username: user}, ev))
		h.signIn("id-"+user, "s-"+user)
	}
	for i, of := range [][2]string{{"minji", "web"}, {"minji", "app"}, {"jun", "web"}, {"jun", "app"}} {
		h.allow(fmt.Sprint("g", i+1), of[0], of[1], time.Now().Add(time.Duration(i-10)*time.Minute))
	}
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// allow stores a grant of a user who is signed in.
func (h *house) allow(id, user, client string, made time.Time) {
	h.Helper()
	epochs, err := h.store.Epochs(h.Context(), "s-"+user, client, time.Now())
	h.must(err)
	h.must(h.store.BeginGrant(h.Context(), grants.Grant{
		ID: id, ClientID: client, UserID: "id-" + user, SessionID: "s-" + user, Scopes: []string{"openid", "of:" + id}, Permissions: []permission.Permission{{Scope: "openid"}},
		UserEpoch: epochs.User, ClientEpoch: epochs.Client, ServerEpoch: epochs.Server, CreatedAt: made, ExpiresAt: made.Add(time.Hour), Offline: client == "app",
		Refresh: grants.Refresh{Generation: 1, IssuedAt: made, ExpiresAt: made.Add(time.Hour)}, Methods: []string{"pwd"}, ContextClass: "1",
	}, time.Now()))
}

// listed returns the ids of all grants that a query finds, page by page.
func (h *house) listed(query string) (ids []string) {
	h.Helper()
	if query != "" {
		query = "&" + query
	}
	for cursor := ""; ; {
		a := h.operator("GET", "/grants?limit=2&cursor="+cursor+query, "", nil)
		h.want(a, http.StatusOK, "")
		ids = append(ids, a.items("id")...)
		next, _ := a.body["next_cursor"].(string)
		if next == "" {
			return ids
		}
		cursor = queryOf(next)
	}
}

func TestGrantsAreFound(t *testing.T) {
	t.Parallel()
	h := granted(t)
	h.want(h.operator("POST", "/grants/g3/revoke", "", nil), http.StatusOK, "")
	at := func(minutes float64) string {
		return queryOf(time.Now().Add(time.Duration(minutes * float64(time.Minute))).Format(time.RFC3339))
	}
	for query, want := range map[string]string{
		"":                           "g4 g3 g2 g1",
		"user=minji":                 "g2 g1",
		"user=id-jun":                "g4 g3",
		"client=web":                 "g3 g1",
		"session=s-jun&client=web":   "g3",
		"user=jun&session=s-minji":   "",
		"scope=of:g2":                "g2",
		"scope=of":                   "",
		"state=live":                 "g4 g2 g1",
		"state=ended":                "g3",
		"state=unexpired&user=jun":   "g4 g3",
		"created_since=" + at(-9.5):  "g4 g3 g2",
		"created_before=" + at(-8.5): "g2 g1",
	} {
		if got := strings.Join(h.listed(query), " "); got != want {
			t.Errorf("%s: %s, not %s", query, got, want)
		}
	}
	for query, parameter := range map[string]string{"user=ghost": "user", "client=ghost": "client", "session=ghost": "session"} {
		a := h.operator("GET", "/grants?"+query, "", nil)
		h.want(a, http.StatusNotFound, map[bool]string{true: "no-such-session", false: "not-found"}[parameter == "session"])
		if got := a.pointers(); !slices.Equal(got, []string{parameter}) || strings.Contains(a.text, `"pointer"`) {
			t.Errorf("%s: %s", query, a.text)
		}
	}
	for _, query := range []string{"state=dead", "created_since=yesterday", "limit=1001", "user=", "user=a&user=b", "expired=true", "cursor=made-up"} {
		if a := h.operator("GET", "/grants?"+query, "", nil); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", query, a.status, a.text)
		}
	}
	for _, name := range []string{"%00", "%1b%5b31m", "%e2%80%ae", "<b>", strings.Repeat("x", 201)} {
		for _, parameter := range []string{"user", "client", "session"} {
			if a := h.operator("GET", "/grants?"+parameter+"="+name, "", nil); a.status != http.StatusNotFound && a.status != http.StatusUnprocessableEntity {
				t.Errorf("%s=%s: %d %s", parameter, name, a.status, a.text)
			}
		}
	}
}

func TestACursorOfGrantsIsForOneCallerAndOneQuery(t *testing.T) {
	t.Parallel()
	h := granted(t)
	next, _ := h.operator("GET", "/grants?limit=1&user=minji", "", nil).body["next_cursor"].(string)
	h.want(h.operator("GET", "/grants?limit=1&user=minji&cursor="+queryOf(next), "", nil), http.StatusOK, "")
	h.want(h.operator("GET", "/grants?limit=1&user=jun&cursor="+queryOf(next), "", nil), http.StatusUnprocessableEntity, "cursor")
	h.want(h.operator("GET", "/grants?limit=1&user=minji&state=live&cursor="+queryOf(next), "", nil), http.StatusUnprocessableEntity, "cursor")
	other := administration.NewCaller(audit.User("id-jun"), administration.All)
	h.want(h.as(&other, "GET", "/grants?limit=1&user=minji&cursor="+queryOf(next), "", nil), http.StatusUnprocessableEntity, "cursor")
}

func TestAGrantIsShownAndRevoked(t *testing.T) {
	t.Parallel()
	h := granted(t)
	shown := h.operator("GET", "/grants/g2", "", nil)
	h.want(shown, http.StatusOK, "")
	if shown.body["username"] != "minji" || shown.body["client_name"] != "The app" || shown.body["revoked"] != false || shown.body["revoked_at"] != nil || shown.body["offline_access"] != true || fmt.Sprint(shown.body["permissions"]) != "[map[audience: scope:openid]]" {
		t.Errorf("%s", shown.text)
	}
	tried := h.operator("POST", "/grants/g2/revoke?dry_run=true", "", nil)
	h.want(tried, http.StatusOK, "")
	if tried.body["revoked"] != true || tried.body["revoked_at"] == nil {
		t.Errorf("%s", tried.text)
	}
	if again := h.operator("GET", "/grants/g2", "", nil); again.text != shown.text {
		t.Errorf("a dry run made %s of %s", again.text, shown.text)
	}
	revoked := h.operator("POST", "/grants/g2/revoke?reason=lost", "", nil)
	if revoked.body["revoked"] != true || revoked.body["revoked_at"] == nil {
		t.Errorf("%s", revoked.text)
	}
	if again := h.operator("POST", "/grants/g2/revoke?reason=again", "", nil); again.text != revoked.text {
		t.Errorf("revoked again: %s", again.text)
	}
	if events := h.operator("GET", "/audit?action=cut.grant", "", nil); len(events.items("subject")) != 1 || !strings.Contains(events.text, `"lost"`) {
		t.Errorf("%s", events.text)
	}
	for _, id := range []string{"ghost", "%00", "%e2%80%ae"} {
		h.want(h.operator("GET", "/grants/"+id, "", nil), http.StatusNotFound, "not-found")
		h.want(h.operator("POST", "/grants/"+id+"/revoke", "", nil), http.StatusNotFound, "not-found")
	}
}

func TestWhoMaySeeAndRevokeGrants(t *testing.T) {
	t.Parallel()
	h := granted(t)
	const read, revoke, cut = administration.GrantsRead, administration.GrantsRevoke, administration.CutsMake
	for _, c := range []struct{ method, path, body, scope string }{
		{"GET", "/grants", "", read},
		{"GET", "/grants/g1", "", read},
		{"GET", "/access?user=minji", "", read},
		{"POST", "/grants/g1/revoke?dry_run=true", "", revoke},
		{"POST", "/cuts?dry_run=true", `{"grant": "g1"}`, cut},
		{"GET", "/cuts/applied", "", cut},
	} {
		for _, scope := range []string{read, revoke, cut, administration.ClientsWrite} {
			by := administration.NewCaller(audit.User("id-jun"), scope)
			a := h.as(&by, c.method, c.path, c.body, nil)
			if want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[scope == c.scope]; a.status != want {
				t.Errorf("%s %s with %s: %d %s", c.method, c.path, scope, a.status, a.text)
			}
		}
		if a := h.as(nil, c.method, c.path, c.body, nil); a.status != http.StatusUnauthorized {
			t.Errorf("%s %s: %d", c.method, c.path, a.status)
		}
	}
}

func TestAccessIsListedInPages(t *testing.T) {
	t.Parallel()
	h := granted(t)
	pages := func(query string) (all []string) {
		for cursor := ""; ; {
			a := h.operator("GET", "/access?limit=1&"+query+"&cursor="+cursor, "", nil)
			h.want(a, http.StatusOK, "")
			for i, user := range a.items("username") {
				all = append(all, user+" "+a.items("client_id")[i])
			}
			next, _ := a.body["next_cursor"].(string)
			if next == "" {
				return all
			}
			cursor = queryOf(next)
		}
	}
	for query, want := range map[string]string{
		"user=minji":            "[minji app minji web]",
		"client=web":            "[jun web minji web]",
		"user=jun&client=web":   "[jun web]",
		"user=id-jun":           "[jun app jun web]",
		"client=app&user=minji": "[minji app]",
	} {
		if got := fmt.Sprint(pages(query)); got != want {
			t.Errorf("%s: %s, not %s", query, got, want)
		}
	}
	h.must(h.store.CreateClient(t.Context(), clients.Client{ID: "job", Name: "Job", Grants: []string{clients.ClientCredentials}, Scopes: []string{"read", "write"}}, audit.Event{At: time.Now()}))
	if a := h.operator("GET", "/access?client=job", "", nil); fmt.Sprint(a.body["notes"]) != "[Client job also gets client credentials tokens, for: read write. It is not recorded when.]" {
		t.Errorf("%s", a.text)
	}
	h.want(h.operator("GET", "/access", "", nil), http.StatusUnprocessableEntity, "invalid")
	h.want(h.operator("GET", "/access?user=ghost", "", nil), http.StatusNotFound, "not-found")
	h.want(h.operator("GET", "/access?client=ghost", "", nil), http.StatusNotFound, "not-found")
}

// TestAPageOfAccessEndsHoweverFewItHasFound: the users to whose data a client had access may
// be any number.
func TestAPageOfAccessEndsHoweverFewItHasFound(t *testing.T) {
	t.Parallel()
	h := granted(t)
	for i := range 201 {
		name := fmt.Sprintf("k%03d", i)
		h.must(h.store.CreateUser(t.Context(), accounts.User{ID: name, Username: name}, audit.Event{At: time.Now()}))
	}
	storagetest.Exec(t, h.url, `
		INSERT INTO grants (id, client_id, user_id, session_id, scopes, audiences, auth_ms, amr, offline, user_epoch, client_epoch, server_epoch,
		                    created_ms, expires_ms, generation, rotated_ms, refresh_iat_ms, refresh_exp_ms, refresh_kid, refresh_version, revoked_ms, revoked_why)
		SELECT 'of ' || id, 'web', id, '', '[]', '[]', 0, '[]', 1, 1000, 1000, 1000, 1, 4102444800000, 1, 0, 0, 4102444800000, '', 1, 1, '' FROM users WHERE id LIKE 'k%'`)
	first := h.operator("GET", "/access?client=web", "", nil)
	next, _ := first.body["next_cursor"].(string)
	if got := first.items("username"); !slices.Equal(got, []string{"jun"}) || next == "" {
		t.Errorf("%s", first.text)
	}
	second := h.operator("GET", "/access?client=web&cursor="+queryOf(next), "", nil)
	if got := second.items("username"); !slices.Equal(got, []string{"minji"}) || second.body["next_cursor"] != nil {
		t.Errorf("%s", second.text)
	}
}
