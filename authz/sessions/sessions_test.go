package sessions_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// browsers is a database in which the users u and v are signed in. Sessions last one hour
// without use, and three hours at most.
type browsers struct {
	*testing.T
	store    *storage.Store
	sessions *sessions.Sessions
	now      time.Time
}

func newBrowsers(t *testing.T) *browsers {
	t.Helper()
	b := &browsers{T: t, store: storagetest.New(t, storagetest.Engines()[0]), now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
	b.sessions = sessions.New(b.store, time.Hour, 3*time.Hour, func() time.Time { return b.now })
	for _, id := range []string{"u", "v"} {
		if err := b.store.CreateUser(t.Context(), accounts.User{ID: id, Username: id}, audit.Event{At: b.now}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// begin begins a session of a user. It is a session of an app unless app is empty. Its
// cookie is its id.
func (b *browsers) begin(user, app string) sessions.Session {
	b.Helper()
	u, err := b.store.User(b.Context(), user)
	if err != nil {
		b.Fatal(err)
	}
	s := b.sessions.Fresh(u, []string{"pwd"}, sessions.OneFactor)
	s.ClientID = app
	if err := b.store.BeginSession(b.Context(), s, sha256.Sum256([]byte(s.ID)), sha256.Sum256([]byte("device")), audit.Event{At: b.now, Actor: audit.User(user), Action: audit.SessionBegun}); err != nil {
		b.Fatal(err)
	}
	return s
}

func (b *browsers) stands(what string, want bool, s sessions.Session) {
	b.Helper()
	found, user, err := b.sessions.Find(b.Context(), s.ID)
	switch {
	case want && (err != nil || found.ID != s.ID || user.ID != s.UserID):
		b.Errorf("%s: %+v, %v", what, found, err)
	case !want && !errors.Is(err, sessions.ErrNotFound):
		b.Errorf("%s stands: %v", what, err)
	}
}

func TestASessionStandsForAsLongAsItIsSeenAndNotForEver(t *testing.T) {
	t.Parallel()
	b := newBrowsers(t)
	seen, unseen := b.begin("u", ""), b.begin("u", "")
	if !seen.IdleAt.Equal(b.now.Add(time.Hour)) || !seen.ExpiresAt.Equal(b.now.Add(3*time.Hour)) || !seen.AuthenticatedAt.Equal(b.now) {
		t.Errorf("begun is %+v", seen)
	}
	if _, _, err := b.sessions.Find(t.Context(), ""); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("without a cookie: %v", err)
	}
	for range 5 {
		b.now = b.now.Add(35 * time.Minute)
		b.stands("what is seen", true, seen)
	}
	b.stands("what is not seen", false, unseen)
	found, _, err := b.sessions.Find(t.Context(), seen.ID)
	if err != nil || !found.IdleAt.Equal(seen.ExpiresAt) || !found.ExpiresAt.Equal(seen.ExpiresAt) || !found.AuthenticatedAt.Equal(seen.AuthenticatedAt) ||
		!slices.Equal(found.Methods, []string{"pwd"}) || found.ContextClass != sessions.OneFactor {
		t.Errorf("in the end it is %+v, %v", found, err)
	}
	b.now = seen.ExpiresAt
	b.stands("what is seen, in the end,", false, seen)
}

// TestSeeingASessionIsSeldomWritten: the last use of a session is written only now and
// then, so that most pages need no write.
func TestSeeingASessionIsSeldomWritten(t *testing.T) {
	t.Parallel()
	b := newBrowsers(t)
	s := b.begin("u", "")
	for _, c := range []struct {
		later time.Duration
		noted bool
	}{{6 * time.Minute, false}, {time.Second, true}, {6 * time.Minute, false}} {
		before, _, err := b.sessions.Find(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(c.later)
		b.stands("it", true, s)
		after, _, err := b.sessions.Find(t.Context(), s.ID)
		if err != nil || after.SeenAt.Equal(before.SeenAt) == c.noted || c.noted && !after.SeenAt.Equal(b.now) {
			t.Errorf("it was seen at %v, and after %s at %v: %v", before.SeenAt, c.later, after.SeenAt, err)
		}
	}
}

func TestWhoEndsWhichSessions(t *testing.T) {
	t.Parallel()
	b := newBrowsers(t)
	one, two, three, others := b.begin("u", ""), b.begin("u", ""), b.begin("u", "app"), b.begin("v", "")
	if err := b.sessions.End(t.Context(), "v", one.ID, "", audit.User("v")); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("somebody else's was ended: %v", err)
	}
	b.stands("what another user meant", true, one)
	for _, keep := range []string{"", others.ID, "nothing"} {
		if n, err := b.sessions.EndOthers(t.Context(), "u", keep, "", audit.User("u")); !errors.Is(err, sessions.ErrNotFound) || n != 0 {
			t.Errorf("all but %q were ended: %d, %v", keep, n, err)
		}
	}
	if n, err := b.sessions.EndOthers(t.Context(), "u", two.ID, "because", audit.User("u")); err != nil || n != 2 {
		t.Errorf("%d ended: %v", n, err)
	}
	b.stands("one of the others", false, one)
	b.stands("what was kept", true, two)
	b.stands("another of the others", false, three)
	if n, err := b.sessions.EndAll(t.Context(), "u", "all", "test"); err != nil || n != 1 {
		t.Errorf("%d ended: %v", n, err)
	}
	b.stands("the last", false, two)
	b.stands("another user's", true, others)
	if err := b.sessions.End(t.Context(), "u", two.ID, "", "test"); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("it was ended twice: %v", err)
	}
	events, err := storagetest.Events(t.Context(), b.store, audit.Query{Action: audit.SessionEnded})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, ev := range events {
		got[ev.Subject] = ev.Reason + " by " + string(ev.Actor) + " of " + ev.Details["user"]
	}
	if d := cmp.Diff(map[string]string{one.ID: "because by user:u of u", three.ID: "because by user:u of u", two.ID: "all by test of u"}, got); d != "" || len(events) != 3 {
		t.Error(d)
	}
}

func TestAnAppEndsWhatItBegan(t *testing.T) {
	t.Parallel()
	b := newBrowsers(t)
	page, app, other := b.begin("u", ""), b.begin("u", "app"), b.begin("u", "other")
	for _, id := range []string{page.ID, other.ID, app.ID, app.ID, "nothing"} {
		if err := b.sessions.EndApp(t.Context(), "app", id, "signed out", audit.Client("app")); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	b.stands("the sign-in page's", true, page)
	b.stands("the app's", false, app)
	b.stands("another app's", true, other)
	// Some of the former sessions may already have ended by themselves.
	if err := b.sessions.EndFormer(t.Context(), []sessions.Session{app, other}); err != nil {
		t.Error(err)
	}
	b.stands("another app's, which signed in again,", false, other)
}

func TestSessionsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBrowsers(t)
	var ids []string
	for range 4 {
		ids = append(ids, b.begin("u", "").ID)
		b.now = b.now.Add(time.Second)
	}
	b.begin("v", "")
	list, total, err := b.sessions.Of(t.Context(), "u", ids[0], 3)
	var got []string
	for _, s := range list {
		got = append(got, s.ID)
	}
	if d := cmp.Diff([]string{ids[0], ids[3], ids[2]}, got); err != nil || d != "" || total != 4 {
		t.Errorf("%d: %v %s", total, err, d)
	}
	all, err := storagetest.All(b.sessions.List(t.Context(), sessions.Query{}))
	if err != nil || len(all) != 5 || all[0].Username != "v" || all[4].ID != ids[0] {
		t.Errorf("%+v, %v", all, err)
	}
}
