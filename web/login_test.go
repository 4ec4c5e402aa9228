package web

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestWhoeverSignsInInsteadEndedTheSession: the audit log must not say that a user ended
// a session when somebody else signed in in their browser.
func TestWhoeverSignsInInsteadEndedTheSession(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://id.test")
	s.user("ann")
	s.user("bob")
	ann := s.signIn("", "ann")
	a := s.ask(http.MethodPost, pathLogin, url.Values{"username": {"bob"}, "password": {goodPassword}}.Encode(), "Cookie", ann)
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	ended, err := storagetest.Events(t.Context(), s.store, audit.Query{Action: audit.SessionEnded})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, name := range []string{"ann", "bob"} {
		u, err := s.users.BySignInName(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = u.ID
	}
	if len(ended) != 1 || ended[0].Details["user"] != ids["ann"] || ended[0].Actor != audit.User(ids["bob"]) {
		t.Errorf("%+v", ended)
	}
}
