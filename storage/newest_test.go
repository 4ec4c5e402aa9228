package storage_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestListingsAreWholeAndInOrderThoughTheyAreReadInParts(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := storagetest.Migrated(t, e)
		r := &storagetest.Recorder{}
		// With one connection, a statement that stays open while the list is read
		// would block the next one.
		s := open(t, url, storage.Options{MaxOpen: 1, Wrap: r.Wrap})
		ctx, now := t.Context(), time.Now()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		storage.SortInGoesOf(s, 10)
		must(s.CreateClient(ctx, clients.Client{ID: "c", Name: "Client"}, audit.Event{At: now}))
		must(s.CreateUser(ctx, accounts.User{ID: "u", Username: "minji"}, audit.Event{At: now}))
		u, err := s.User(ctx, "u")
		must(err)
		var logins []string
		for i := range 35 {
			id := fmt.Sprintf("s%02d", i)
			must(s.BeginSession(ctx, sessions.Session{
				ID: id, UserID: "u", UserEpoch: u.Epoch, ClientID: []string{"", "c", "gone"}[i%3],
				CreatedAt: now.Add(time.Duration(i/3) * time.Second), IdleAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
			}, sha256.Sum256([]byte(id)), sha256.Sum256([]byte(id)), audit.Event{At: now}))
			logins = append(logins, id)
		}
		slices.SortStableFunc(logins, func(a, b string) int { // sessions that began at the same moment are ordered by id
			var i, j int
			fmt.Sscanf(a, "s%d", &i)
			fmt.Sscanf(b, "s%d", &j)
			return j/3 - i/3
		})
		must(s.AddConsent(ctx, consents.Consent{UserID: "u", ClientID: "c"}, audit.Event{At: now}))

		for i := range 25 {
			name := fmt.Sprintf("n%02d", i)
			must(s.CreateUser(ctx, accounts.User{ID: "id of " + name, Username: name, Disabled: i == 3}, audit.Event{At: now}))
			if i%5 < 4 {
				must(s.AddConsent(ctx, consents.Consent{UserID: "id of " + name, ClientID: []string{"c", "d"}[i%2]}, audit.Event{At: now}))
			}
		}
		holders := func(client string) (names []string) {
			t.Helper()
			all, err := storagetest.All(s.Holders(ctx, client, ""))
			must(err)
			for _, h := range all {
				names = append(names, h.Username)
				if h.Username != "minji" && (h.UserID != "id of "+h.Username || h.Disabled != (h.Username == "n03")) {
					t.Errorf("%+v", h)
				}
			}
			return names
		}
		if got, want := holders("c"), "[minji n00 n02 n06 n08 n10 n12 n16 n18 n20 n22]"; fmt.Sprint(got) != want {
			t.Errorf("%q have something at c, not %s", got, want)
		}
		if got, want := holders("d"), "[n01 n03 n05 n07 n11 n13 n15 n17 n21 n23]"; fmt.Sprint(got) != want {
			t.Errorf("%q have something at d, not %s", got, want)
		}

		for _, limit := range []int{0, 1, 10, 34, 35, 36} {
			all, err := storagetest.All(s.ListSessions(ctx, sessions.Query{UserID: "u", Limit: limit}, now))
			must(err)
			var ids []string
			for _, l := range all {
				if want := map[string]string{"": "", "c": "Client", "gone": ""}[l.ClientID]; l.Username != "minji" || l.ClientName != want {
					t.Errorf("%+v", l)
				}
				ids = append(ids, l.ID)
			}
			want := logins
			if limit > 0 {
				want = logins[:min(limit, len(logins))]
			}
			if !slices.Equal(ids, want) {
				t.Errorf("the newest %d sessions are %q", limit, ids)
			}
		}

		// If the caller stops, nothing more is read. In the meantime it can make
		// other calls.
		r.Take()
		for l, err := range s.ListSessions(ctx, sessions.Query{}, now) {
			must(err)
			_, err = s.SessionUser(ctx, l.ID)
			must(err)
			break
		}
		if asked := r.Take(); len(asked) != 3 {
			t.Errorf("one of many was read by %q", asked)
		}
		canceled, cancel := context.WithCancel(ctx)
		defer cancel()
		n := 0
		for _, err := range s.ListSessions(canceled, sessions.Query{}, now) {
			if n++; err != nil {
				break
			}
			cancel()
		}
		if n != 11 { // those that were read, and the fault
			t.Errorf("after %d", n)
		}
		must(s.CutUser(ctx, "u", audit.Event{At: now}))
		if all, err := storagetest.All(s.ListSessions(ctx, sessions.Query{}, now)); err != nil || len(all) != 0 {
			t.Errorf("sessions that were ended: %d, %v", len(all), err)
		}
	})
}

// TestAPartOfTheAuditComesFromABoundedNumberOfEvents: whoever looks for what is rare goes on
// from where the part ended.
func TestAPartOfTheAuditComesFromABoundedNumberOfEvents(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := storagetest.Migrated(t, e)
		s := open(t, url, storage.Options{})
		ctx := t.Context()
		rare := audit.Event{At: time.Now(), Actor: "cli:rare", Action: "a", Subject: "s"}
		if err := s.Record(ctx, []audit.Event{rare}); err != nil {
			t.Fatal(err)
		}
		common := make([]audit.Event, 5999)
		for i := range common {
			common[i] = audit.Event{At: time.Now(), Actor: "cli:common", Action: "a", Subject: "s"}
		}
		if err := s.Record(ctx, common); err != nil {
			t.Fatal(err)
		}
		if err := s.Record(ctx, []audit.Event{rare}); err != nil {
			t.Fatal(err)
		}
		for _, q := range []audit.Query{{}, {NewestFirst: true}, {Action: "a"}, {Subjects: []string{"s"}, Action: "a"}} {
			q.Actors = []audit.Actor{"cli:rare"}
			first, err := s.AuditPart(ctx, q, 10)
			if err != nil || len(first.Events) != 1 || !first.More {
				t.Fatalf("%+v: %+v, %v", q, first, err)
			}
			rest, err := s.AuditPart(ctx, q.Goes(first.Last), 10)
			if err != nil || len(rest.Events) != 1 || rest.More || rest.Events[0].ID == first.Events[0].ID {
				t.Errorf("%+v: %+v, %v", q, rest, err)
			}
		}
	})
}

func TestTheAuditIsReadInParts(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url := storagetest.Migrated(t, e)
		s := open(t, url, storage.Options{MaxOpen: 1})
		ctx := t.Context()
		if err := s.CreateUser(ctx, accounts.User{ID: "u", Username: "minji"}, audit.Event{At: time.Now(), Action: "a", Subject: "s"}); err != nil {
			t.Fatal(err)
		}
		for range 11 {
			storagetest.Exec(t, url, "INSERT INTO audit_events (at_ms, actor, action, subject, reason, details) SELECT at_ms, actor, action, subject, reason, details FROM audit_events")
		}
		const many = 2048 // more than one statement returns
		whole, err := storagetest.Events(ctx, s, audit.Query{})
		if err != nil || len(whole) != many || !slices.IsSortedFunc(whole, func(a, b audit.Event) int { return int(a.ID - b.ID) }) {
			t.Fatalf("%d events of %d, %v", len(whole), many, err)
		}
		for _, most := range []int{1, 500, 1000, 2047, 2048, 2049} {
			part, err := s.AuditPart(ctx, audit.Query{Action: "a", Subjects: []string{"s"}, NewestFirst: true}, most)
			if err != nil || part.More != (most < many) || len(part.Events) != min(most, many) || part.Events[0].ID != whole[many-1].ID {
				t.Errorf("%d: %d events, more: %t, %v", most, len(part.Events), part.More, err)
			}
		}
	})
}
