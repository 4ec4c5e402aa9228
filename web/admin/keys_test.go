package admin_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage/storagetest"
)

// items returns the members with a name of the records on a page.
func (a answer) items(name string) (values []string) {
	list, _ := a.body["items"].([]any)
	for _, item := range list {
		value, _ := item.(map[string]any)[name].(string)
		values = append(values, value)
	}
	return values
}

func TestKeysAreListedRotatedAndWithdrawn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if a := h.operator("GET", "/keys", "", nil); a.status != http.StatusOK || len(a.items("kid")) != 0 {
		t.Errorf("%s", a.text)
	}
	if err := h.rings.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := h.operator("GET", "/keys", "", nil)
	if got := list.items("ring"); !slices.Equal(got, []string{"refresh", "refresh", "tokens", "tokens"}) {
		t.Fatalf("%s", list.text)
	}
	first, second := list.items("kid")[2], list.items("kid")[3]

	h.want(h.operator("POST", "/keys/rotate?ring=tokens&now=true", "", nil), http.StatusConflict, "too-fresh")
	h.want(h.operator("POST", "/keys/rotate?ring=tokens/ES256", "", nil), http.StatusConflict, "no-ring")
	tried := h.operator("POST", "/keys/rotate?ring=tokens&now=true&force=true&dry_run=true", "", nil)
	h.want(tried, http.StatusOK, "")
	if tried.body["kid"] != second || tried.body["state"] != "active" {
		t.Errorf("%s", tried.text)
	}
	h.want(h.operator("POST", "/keys/"+first+"/withdraw?force=true&dry_run=true", "", nil), http.StatusOK, "")
	if again := h.operator("GET", "/keys", "", nil); again.text != list.text {
		t.Errorf("a dry run changed %s to %s", list.text, again.text)
	}

	rotated := h.operator("POST", "/keys/rotate?ring=tokens&now=true&force=true&reason=hurry", "", nil)
	h.want(rotated, http.StatusOK, "")
	if rotated.body["kid"] != second || rotated.body["state"] != "active" {
		t.Errorf("%s", rotated.text)
	}
	withdrawn := h.operator("POST", "/keys/"+first+"/withdraw?reason=leaked", "", nil)
	h.want(withdrawn, http.StatusOK, "")
	if withdrawn.body["state"] != "withdrawn" || withdrawn.body["withdrawn_at"] == nil || withdrawn.body["cached_for"] != "5m0s" {
		t.Errorf("%s", withdrawn.text)
	}
	h.want(h.operator("POST", "/keys/"+first+"/withdraw", "", nil), http.StatusConflict, "ended")
	h.want(h.operator("POST", "/keys/ghost/withdraw", "", nil), http.StatusNotFound, "not-found")
	events, err := storagetest.Events(t.Context(), h.store, audit.Query{Subjects: []string{first, second}})
	if err != nil {
		t.Fatal(err)
	}
	if last := events[len(events)-1]; last.Actor != audit.Operator("test") || last.Reason != "leaked" || last.Subject != first {
		t.Errorf("%+v", last)
	}
}

func TestWhatIsWrongWithARotationIsPointedAt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for query, want := range map[string]string{
		"?ring=nowhere": "ring", "": "ring", "?ring=tokens&now=maybe": "now", "?ring=tokens&force=true": "", "?ring=tokens&ring=refresh": "ring",
		"?ring=tokens&kid=x": "kid",
	} {
		a := h.operator("POST", "/keys/rotate"+query, "", nil)
		if a.status != http.StatusUnprocessableEntity || want != "" && !slices.Equal(a.pointers(), []string{want}) {
			t.Errorf("%s: %d %s", query, a.status, a.text)
		}
	}
	if a := h.operator("GET", "/keys", "", nil); len(a.items("kid")) != 0 {
		t.Errorf("%s", a.text)
	}
}

func TestKeysComeInPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if _, err := h.rings.Ensure(t.Context(), keys.TokensBy(keys.EdDSA), "test"); err != nil {
		t.Fatal(err)
	}
	if err := h.rings.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole := h.operator("GET", "/keys", "", nil).items("kid")
	var seen []string
	for cursor := ""; ; {
		a := h.operator("GET", "/keys?limit=1&cursor="+queryOf(cursor), "", nil)
		h.want(a, http.StatusOK, "")
		seen = append(seen, a.items("kid")...)
		if cursor, _ = a.body["next_cursor"].(string); cursor == "" {
			break
		}
	}
	if len(whole) != 6 || !slices.Equal(seen, whole) {
		t.Errorf("%q instead of %q", seen, whole)
	}
}

func TestWhoOnlyReadsKeysChangesNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	reader := administration.NewCaller("user:u", administration.KeysRead)
	h.want(h.as(&reader, "GET", "/keys", "", nil), http.StatusOK, "")
	h.want(h.as(&reader, "POST", "/keys/rotate?ring=tokens", "", nil), http.StatusForbidden, "forbidden")
	h.want(h.as(&reader, "POST", "/keys/k/withdraw", "", nil), http.StatusForbidden, "forbidden")
	h.want(h.as(&reader, "GET", "/clients", "", nil), http.StatusForbidden, "forbidden")
}
