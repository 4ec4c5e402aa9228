package admin_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/storage/storagetest"
)

// person creates a user from a JSON object and returns the id.
func (h *house) person(body string) string {
	h.Helper()
	made := h.operator("POST", "/users", body, nil)
	h.want(made, http.StatusCreated, "")
	id, _ := made.body["id"].(string)
	return id
}

func TestALinkIsMadeForAUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.person(`{"username": "ann"}`)
	if shown := h.operator("GET", "/users/"+id, "", nil); shown.body["password_state"] != "none" {
		t.Errorf("%v", shown.text)
	}
	var tokens []string
	for range 2 {
		made := h.operator("POST", "/users/"+id+"/links", `{"kind": "invitation"}`, nil)
		h.want(made, http.StatusCreated, "")
		link, _ := made.body["link"].(string)
		token, is := strings.CutPrefix(link, "link of ")
		if !is || made.header.Get("Cache-Control") != "no-store" || made.body["kind"] != "invitation" || made.body["expires_at"] == nil {
			t.Errorf("%v %v", made.header, made.text)
		}
		tokens = append(tokens, token)
	}
	tried := h.operator("POST", "/users/"+id+"/links?dry_run=true", `{"kind": "invitation"}`, nil)
	h.want(tried, http.StatusCreated, "")
	if _, shown := tried.body["link"]; shown {
		t.Error("a link that leads nowhere was shown")
	}
	if _, _, err := h.users.LinkOwner(t.Context(), tokens[0]); err == nil {
		t.Error("the former link stands")
	}
	if u, _, err := h.users.LinkOwner(t.Context(), tokens[1]); err != nil || u.ID != id {
		t.Errorf("a dry run ended the link: %v", err)
	}
	h.want(h.operator("PUT", "/users/"+id+"/password", `{"password": "a password for once", "must_change": true}`, nil), http.StatusNoContent, "")
	if shown := h.operator("GET", "/users/"+id, "", nil); shown.body["password_state"] != "must_change" {
		t.Errorf("%v", shown.text)
	}
	h.want(h.operator("POST", "/users/"+id+"/links", `{"kind": "invitation"}`, nil), http.StatusConflict, "has-password")
	h.want(h.operator("POST", "/users/"+id+"/links", `{"kind": "reset", "expires_in": "2h"}`, nil), http.StatusCreated, "")
	h.want(h.operator("POST", "/users/"+id+"/disable", "", nil), http.StatusOK, "")
	h.want(h.operator("POST", "/users/"+id+"/links", `{"kind": "reset"}`, nil), http.StatusConflict, "disabled")
	h.want(h.operator("POST", "/users/nobody/links", `{"kind": "reset"}`, nil), http.StatusNotFound, "not-found")
	events, err := storagetest.Events(t.Context(), h.store, audit.Query{Action: audit.UserLinkMade})
	if err != nil || len(events) != 3 {
		t.Errorf("%d %v", len(events), err)
	}
}

func TestWhatIsWrongWithALinkIsPointedAt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.person(`{"username": "ann"}`)
	for body, want := range map[string][]string{
		`{"kind": "reset", "expires_in": "25h"}`:       {"/expires_in"},
		`{"kind": "reset", "expires_in": "1s"}`:        {"/expires_in"},
		`{"kind": "reset", "expires_in": "0s"}`:        {"/expires_in"},
		`{"kind": "reset", "expires_in": "-1h"}`:       {"/expires_in"},
		`{"kind": "reset", "expires_in": "a while"}`:   {"/expires_in"},
		`{"kind": "forever"}`:                          {"/kind"},
		`{"kind": "reset", "token": "x", "link": "y"}`: {"/link", "/token"},
	} {
		a := h.operator("POST", "/users/"+id+"/links", body, nil)
		if got := a.pointers(); a.status != http.StatusUnprocessableEntity || !slices.Equal(got, want) {
			t.Errorf("%s: %d %q %s", body, a.status, got, a.text)
		}
	}
	none := h.operator("POST", "/users", `{"username": "bob", "must_change": true}`, nil)
	if got := none.pointers(); none.status != http.StatusUnprocessableEntity || !slices.Equal(got, []string{"/must_change"}) {
		t.Errorf("%d %s", none.status, none.text)
	}
	h.want(h.operator("POST", "/users", `{"username": "bob", "password": ""}`, nil), http.StatusUnprocessableEntity, "invalid")
}

// TestOnlyWhoMayDoEverythingMakesLinksForAdministrators: whoever has the link becomes them.
func TestOnlyWhoMayDoEverythingMakesLinksForAdministrators(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, boss := h.person(`{"username": "ann"}`), h.person(`{"username": "boss", "roles": ["ingam:clients:read"]}`)
	writer, reader := administration.NewCaller("user:w", administration.UsersWrite), administration.NewCaller("user:r", administration.UsersRead)
	all := administration.NewCaller("user:a", administration.All)
	body := `{"kind": "reset"}`
	h.want(h.as(nil, "POST", "/users/"+one+"/links", body, nil), http.StatusUnauthorized, "unauthorized")
	h.want(h.as(&reader, "POST", "/users/"+one+"/links", body, nil), http.StatusForbidden, "forbidden")
	h.want(h.as(&writer, "POST", "/users/"+one+"/links", body, nil), http.StatusCreated, "")
	h.want(h.as(&writer, "POST", "/users/"+boss+"/links", body, nil), http.StatusForbidden, "forbidden")
	h.want(h.as(&all, "POST", "/users/"+boss+"/links", body, nil), http.StatusCreated, "")
	h.want(h.as(&writer, "PUT", "/users/"+boss+"/password", `{"password": "a password for once", "must_change": true}`, nil), http.StatusForbidden, "forbidden")
}

// TestNoLinkOutlivesAnAppointment: whoever may write users could otherwise make a link for
// somebody who is about to become an administrator, and use it afterwards.
func TestNoLinkOutlivesAnAppointment(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.user("juno", "")
	made := h.as(caller(administration.UsersWrite), "POST", "/users/"+id+"/links", `{"kind": "reset"}`, nil)
	h.want(made, http.StatusCreated, "")
	h.want(h.operator("PATCH", "/users/"+id, `{"roles": ["ingam:admin"]}`, with{"If-Match": "*"}), http.StatusOK, "")
	token := strings.TrimPrefix(made.body["link"].(string), "link of ")
	if _, err := h.users.UseLink(t.Context(), token, "one that only they know"); !errors.Is(err, accounts.ErrNoLink) {
		t.Errorf("the link sets the password of an administrator: %v", err)
	}
}
