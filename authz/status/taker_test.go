package status_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
)

// newLists returns the lists in a database of their own.
func newLists(t *testing.T) (*storage.Store, *status.Lists) {
	t.Helper()
	store, err := storage.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ingam.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	none := func() time.Duration { return 0 }
	lists := status.NewLists(store, status.Settings{
		Issuer: "https://id.example.com", MaxAge: 5 * time.Second, Now: time.Now, Behind: none, Age: none,
		Sign: func([]byte) (string, error) { return "", nil }, Listed: func(time.Duration) {},
	})
	if err := lists.Follow(context.Background(), []changes.Change(nil)); err != nil {
		t.Fatal(err)
	}
	return store, lists
}

// 4620 is 2 * 2 * 3 * 5 * 7 * 11: of the odd factors, more than half repeat
// indices in a block of it, which is the first that a list of it is for after
// some 8,000 tokens.
func TestNoTwoTokensShareAnIndexWhereListsAreNoPowerOfTwo(t *testing.T) {
	t.Parallel()
	store, lists := newLists(t)
	taker := status.NewTaker(store, lists, 15*time.Minute, 4620, time.Now)
	tokens := map[status.Ref]int{}
	for i := range 40_000 {
		ref, err := taker.ForGrant(t.Context(), 15*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if before, taken := tokens[ref]; taken {
			t.Fatalf("tokens %d and %d have %+v: to revoke one would end the other", before, i, ref)
		}
		tokens[ref] = i
	}
}
