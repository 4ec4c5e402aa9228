package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/storage/storagetest"
)

func (h *house) sessions(query string) (ids []string, next string) {
	h.Helper()
	a := h.operator("GET", "/sessions"+query, "", nil)
	h.want(a, http.StatusOK, "")
	for _, item := range a.body["items"].([]any) {
		ids = append(ids, item.(map[string]any)["id"].(string))
	}
	next, _ = a.body["next_cursor"].(string)
	return ids, next
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	minji, junho := h.user("minji", ""), h.user("junho", "")
	for i := range 6 {
		h.signIn([]string{minji, junho}[i%2], fmt.Sprint("s", i))
		storagetest.Exec(t, h.url, fmt.Sprintf("UPDATE login_sessions SET created_ms = %d WHERE id = 's%d'", 1000+i/3, i))
	}
	for query, want := range map[string]string{"": "s3 s4 s5 s0 s1 s2", "&user_id=" + minji: "s4 s0 s2"} {
		var seen []string
		for cursor := ""; ; {
			ids, next := h.sessions("?limit=2" + query + "&cursor=" + queryOf(cursor))
			seen = append(seen, ids...)
			if cursor = next; cursor == "" {
				break
			}
		}
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
	one := h.operator("GET", "/sessions?limit=1&user_id="+minji, "", nil)
	shown := one.body["items"].([]any)[0].(map[string]any)
	if shown["user"] != "minji" || shown["user_id"] != minji || shown["user_agent"] != "a browser" || strings.Contains(one.text, "hash") {
		t.Errorf("%s", one.text)
	}

	h.want(h.operator("DELETE", "/sessions/s0?user_id="+junho, "", nil), http.StatusNotFound, "no-such-session")
	h.want(h.operator("DELETE", "/sessions/s0?user_id="+minji+"&reason=lost", "", nil), http.StatusNoContent, "")
	h.want(h.operator("DELETE", "/sessions/s0", "", nil), http.StatusNotFound, "no-such-session")
	h.want(h.operator("DELETE", "/sessions/s1", "", nil), http.StatusNoContent, "")
	h.want(h.operator("DELETE", "/sessions/nothing", "", nil), http.StatusNotFound, "no-such-session")
	for _, path := range []string{"/sessions", "/sessions?user_id="} {
		h.want(h.operator("DELETE", path, "", nil), http.StatusUnprocessableEntity, "malformed")
	}
	h.want(h.operator("DELETE", "/sessions?user_id=nobody", "", nil), http.StatusNotFound, "not-found")
	h.want(h.operator("GET", "/sessions?user_id=nobody", "", nil), http.StatusNotFound, "not-found")
	all := h.operator("DELETE", "/sessions?user_id="+minji+"&reason=lost", "", nil)
	h.want(all, http.StatusOK, "")
	left, _ := h.sessions("")
	if all.body["ended"] != 2.0 || !slices.Equal(left, []string{"s3", "s5"}) {
		t.Errorf("%s %q", all.text, left)
	}
	events, err := storagetest.Events(t.Context(), h.store, audit.Query{Action: audit.SessionEnded})
	if err != nil || len(events) != 4 || events[0].Reason != "lost" {
		t.Errorf("%v, %v", events, err)
	}
}

func TestWhoMayEndSessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.user("minji", "")
	h.signIn(id, "s")
	reader, ender := caller(administration.SessionsRead), caller(administration.SessionsEnd)
	h.want(h.as(reader, "GET", "/sessions", "", nil), http.StatusOK, "")
	h.want(h.as(reader, "DELETE", "/sessions/s", "", nil), http.StatusForbidden, "forbidden")
	h.want(h.as(reader, "DELETE", "/sessions?user_id="+id, "", nil), http.StatusForbidden, "forbidden")
	h.want(h.as(ender, "GET", "/sessions", "", nil), http.StatusForbidden, "forbidden")
	h.want(h.as(ender, "DELETE", "/sessions/s", "", nil), http.StatusNoContent, "")
}
