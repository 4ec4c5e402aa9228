package consents_test

import (
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// newConsents returns the Consents of a new database with a user u, its Store, and the time
// that they use.
func newConsents(t *testing.T) (*consents.Consents, *storage.Store, *time.Time) {
	t.Helper()
	store, now := storagetest.New(t, storagetest.Engines()[0]), noon
	if err := store.CreateUser(t.Context(), accounts.User{ID: "u", Username: "u"}, audit.Event{At: now}); err != nil {
		t.Fatal(err)
	}
	return consents.New(store, func() time.Time { return now }), store, &now
}

func TestWhatWasAllowedCoversNoMore(t *testing.T) {
	t.Parallel()
	all, _, _ := newConsents(t)
	covers := func(want bool, user, client string, scopes ...string) {
		t.Helper()
		if got, err := all.Covers(t.Context(), user, client, scopes); err != nil || got != want {
			t.Errorf("%s of %s, %q: %t, %v", client, user, scopes, got, err)
		}
	}
	give := func(scopes ...string) {
		t.Helper()
		if err := all.Give(t.Context(), "u", "app", scopes); err != nil {
			t.Fatal(err)
		}
	}
	covers(false, "u", "app", "openid")
	// Nobody was asked for consent, even if there is nothing to ask for.
	covers(false, "u", "app")
	give("openid", "read")
	covers(true, "u", "app", "openid", "read")
	covers(true, "u", "app", "read")
	covers(true, "u", "app")
	covers(false, "u", "app", "openid", "write")
	covers(false, "u", "app", "READ")
	covers(false, "u", "other", "openid")
	covers(false, "v", "app", "openid")
	give("write")
	covers(true, "u", "app", "openid", "read", "write")
	if err := all.TakeBack(t.Context(), "u", "app"); err != nil {
		t.Fatal(err)
	}
	covers(false, "u", "app", "openid")
	covers(false, "u", "app")
}

func TestAConsentIsFromWhenItWasFirstGiven(t *testing.T) {
	t.Parallel()
	all, store, now := newConsents(t)
	give := func(client string, scopes ...string) {
		t.Helper()
		if err := all.Give(t.Context(), "u", client, scopes); err != nil {
			t.Fatal(err)
		}
		*now = now.Add(time.Hour)
	}
	give("b", "openid")
	give("a", "read")
	give("b", "write", "openid")
	list, err := all.Of(t.Context(), "u")
	if err != nil || len(list) != 2 || list[0].ClientID != "a" || list[1].ClientID != "b" ||
		!list[0].GrantedAt.Equal(noon.Add(time.Hour)) || !list[1].GrantedAt.Equal(noon) {
		t.Errorf("%+v, %v", list, err)
	}
	for range 2 { // the second call takes nothing back
		if err := all.TakeBack(t.Context(), "u", "b"); err != nil {
			t.Fatal(err)
		}
	}
	give("b", "openid")
	if list, err = all.Of(t.Context(), "u"); err != nil || len(list) != 2 || !list[1].GrantedAt.Equal(noon.Add(3*time.Hour)) || len(list[1].Scopes) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	for action, want := range map[audit.Action]int{audit.ConsentGiven: 4, audit.ConsentTaken: 1} {
		events, err := storagetest.Events(t.Context(), store, audit.Query{Action: action})
		if err != nil || len(events) != want {
			t.Errorf("%d events of %s: %v", len(events), action, err)
		}
		for _, ev := range events {
			if ev.Actor != audit.User("u") || ev.Details["user"] != "u" {
				t.Errorf("%+v", ev)
			}
		}
	}
}
