package lists_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/storage"
)

// newLists returns the lists of a new database.
func newLists(t *testing.T) (*storage.Store, *lists.Lists) {
	t.Helper()
	none := func() time.Duration { return 0 }
	built := make(chan struct{})
	close(built)
	store, l := listsBehind(t, time.Now, none, none, built)
	if err := l.Follow(context.Background(), []changes.Change(nil)); err != nil {
		t.Fatal(err)
	}
	return store, l
}

// listsBehind returns lists that have not been read yet, with clocks that the test sets.
// Their tokens have no signature.
func listsBehind(t *testing.T, now func() time.Time, behind, age func() time.Duration, built chan struct{}) (*storage.Store, *lists.Lists) {
	t.Helper()
	store, err := storage.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ingam.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store, lists.New(store, lists.Settings{
		Issuer: "https://id.example.com", Base: "https://id.example.com/lists/", Stream: listeners.NewStream(), MaxAge: 5 * time.Second, Now: now, Behind: behind, Age: age, Built: func() <-chan struct{} { return built },
		Sign: func(claims []byte) (string, error) { return string(claims), nil }, Listed: func(time.Duration) {},
	})
}

func TestAListSaysOfWhenItIs(t *testing.T) {
	t.Parallel()
	now, built := time.Now(), make(chan struct{})
	var behind, age time.Duration
	store, l := listsBehind(t, func() time.Time { return now }, func() time.Duration { return behind }, func() time.Duration { return age }, built)
	if err := store.OpenStatusList(t.Context(), status.List{Purpose: status.ForClients, Life: time.Minute, Size: 4096}, 64, time.Now()); err != nil {
		t.Fatal(err)
	}
	records, err := store.StatusLists(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	number := records[0].Number
	// A process that has read nothing does not know which tokens were cut.
	brief, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if token, err := l.Token(brief, number); err == nil {
		t.Fatalf("a list that was never read: %s", token.Body)
	}
	if err := l.Follow(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	close(built)
	for _, c := range []struct {
		behind, age time.Duration
		// kept is how many seconds HTTP caches may keep the list; empty if it is
		// not served.
		kept string
	}{
		{0, 0, "5"},
		{0, time.Second, "5"},
		{time.Second, 3 * time.Second, "2"},    // a very large cut is being read
		{3 * time.Second, 6 * time.Second, ""}, // longer than a cache may keep it
		{0, 0, "5"},
	} {
		now, behind, age = now.Add(10*time.Second), c.behind, c.age
		token, err := l.Token(t.Context(), number)
		if c.kept == "" {
			if err == nil {
				t.Errorf("%s behind and %s old: %s", c.behind, c.age, token.Body)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s behind and %s old: %v", c.behind, c.age, err)
			continue
		}
		var claims struct{ Iat, Exp int64 }
		if err := json.Unmarshal(token.Body, &claims); err != nil {
			t.Fatal(err)
		}
		if want := now.Add(-c.age).Unix(); claims.Iat != want || claims.Exp != want+60 {
			t.Errorf("%s behind and %s old, it says that it is of %d until %d, not of %d", c.behind, c.age, claims.Iat, claims.Exp, want)
		}
		if want := "public, max-age=" + c.kept; token.CacheControl[0] != want {
			t.Errorf("%s behind and %s old: %s, not %s", c.behind, c.age, token.CacheControl[0], want)
		}
		// A list that was signed when all was up to date must not be kept that long
		// now.
		behind, age = time.Second, 3*time.Second
		if soon, err := l.Token(t.Context(), number); err != nil || soon.CacheControl[0] != "public, max-age=2" {
			t.Errorf("behind by now: %v", err)
		}
	}
}

// TestAnotherListOfTheSameChangeHasAnotherTag: a failover lost changes, and the same number
// of other changes were made since.
func TestAnotherListOfTheSameChangeHasAnotherTag(t *testing.T) {
	t.Parallel()
	// listWith returns a list that has an index set, in a new database.
	listWith := func(index int64) *lists.Token {
		t.Helper()
		store, l := newLists(t)
		err := store.OpenStatusList(t.Context(), status.List{Purpose: status.ForGrants, Life: time.Minute, Size: 4096}, 64, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		records, err := store.StatusLists(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ref := status.Ref{List: records[0].Number, Index: index}
		if err := store.CutToken(t.Context(), "a", time.Now().Add(time.Hour), ref, audit.Event{At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := l.Follow(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		token, err := l.Token(t.Context(), ref.List)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	one, same, other := listWith(1), listWith(1), listWith(2)
	if !same.Is(one.ETag[0]) {
		t.Errorf("the same list: %s and %s", one.ETag, same.ETag)
	}
	if other.Is(one.ETag[0]) {
		t.Errorf("another list: %s and %s", one.ETag, other.ETag)
	}
}
