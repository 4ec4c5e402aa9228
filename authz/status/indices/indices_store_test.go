package indices_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/storage"
)

// newTaker returns a Taker of indices in lists of a size, in a database of its own.
func newTaker(t *testing.T, size int64) (*indices.Taker, *storage.Store) {
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
	known := lists.New(store, lists.Settings{Stream: listeners.NewStream(), Now: time.Now, Behind: none, Age: none})
	if err := known.Follow(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return indices.New(store, known, 15*time.Minute, size, time.Now), store
}

// TestNoTwoTokensShareAnIndexWhereListsAreNoPowerOfTwo: 4620 is 2 * 2 * 3 * 5 * 7 * 11. In
// a block of this size, more than half of the odd factors would repeat indices. Some 8,000
// tokens are needed before a list has its first such block.
func TestNoTwoTokensShareAnIndexWhereListsAreNoPowerOfTwo(t *testing.T) {
	t.Parallel()
	taker, _ := newTaker(t, 4620)
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
