package changes_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/storage"
)

// follower notes what it was told, and fails when asked to.
type follower struct {
	told   [][]changes.Change
	refuse bool
}

func (f *follower) Follow(_ context.Context, changed []changes.Change) error {
	if f.refuse {
		return errors.New("cannot follow now")
	}
	f.told = append(f.told, changed)
	return nil
}

// subjects returns what was told since the last call; "*" is everything.
func (f *follower) subjects() []string {
	var s []string
	for _, batch := range f.told {
		if batch == nil {
			s = append(s, "*")
		}
		for _, c := range batch {
			s = append(s, c.Subject)
		}
	}
	f.told = nil
	return s
}

func open(t *testing.T) *storage.Store {
	t.Helper()
	store, err := storage.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ingam.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func change(t *testing.T, store *storage.Store, audience string) {
	t.Helper()
	err := store.CreateAPI(t.Context(), apis.API{ID: audience, Audience: audience, Name: audience, Scopes: []string{"read"}, CreatedAt: time.Now()},
		audit.Event{At: time.Now(), Actor: "test", Action: audit.APICreated, Subject: audience})
	if err != nil {
		t.Fatal(err)
	}
}

func poll(t *testing.T, w *changes.Watcher) {
	t.Helper()
	if err := w.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantTold(t *testing.T, f *follower, want ...string) {
	t.Helper()
	if got := f.subjects(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestFollowersAreToldEverythingFirstAndEachChangeOnceAfterwards(t *testing.T) {
	t.Parallel()
	store, f := open(t), &follower{}
	change(t, store, "before")
	w := changes.NewWatcher(store, time.Hour, slog.New(slog.DiscardHandler), f)
	if w.Fresh() {
		t.Error("fresh before the first poll")
	}
	poll(t, w)
	wantTold(t, f, "*")
	if !w.Fresh() {
		t.Error("not fresh after a poll")
	}
	change(t, store, "one")
	change(t, store, "two")
	poll(t, w)
	wantTold(t, f, "one", "two")
	poll(t, w)
	wantTold(t, f)
}

func TestChangesThatWerePurgedUnreadMeanEverything(t *testing.T) {
	t.Parallel()
	store, f := open(t), &follower{}
	w := changes.NewWatcher(store, time.Hour, slog.New(slog.DiscardHandler), f)
	poll(t, w)
	f.subjects()
	change(t, store, "one")
	change(t, store, "two")
	if _, err := store.Purge(t.Context(), time.Now(), 100, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	poll(t, w)
	wantTold(t, f, "*")
	change(t, store, "three")
	poll(t, w)
	wantTold(t, f, "three")
}

func TestACutOfEverythingLeapsAndMeansEverything(t *testing.T) {
	t.Parallel()
	store, f := open(t), &follower{}
	w := changes.NewWatcher(store, time.Hour, slog.New(slog.DiscardHandler), f)
	poll(t, w)
	f.subjects()
	change(t, store, "one")
	if err := store.CutEverything(t.Context(), audit.Event{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	change(t, store, "two")
	poll(t, w)
	wantTold(t, f, "*")
	change(t, store, "three")
	poll(t, w)
	wantTold(t, f, "three")
}

func TestAFollowerThatFailsIsToldAgainAndFreshnessIsNotRenewed(t *testing.T) {
	t.Parallel()
	store, f := open(t), &follower{}
	w := changes.NewWatcher(store, time.Nanosecond, slog.New(slog.DiscardHandler), f)
	poll(t, w)
	f.subjects()
	change(t, store, "one")
	f.refuse = true
	if err := w.Poll(t.Context()); err == nil {
		t.Error("the failure was swallowed")
	}
	if w.Fresh() {
		t.Error("fresh although a follower is behind")
	}
	f.refuse = false
	poll(t, w)
	wantTold(t, f, "one")
}

func TestFreshnessEndsWhenTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	store := open(t)
	w := changes.NewWatcher(store, time.Hour, slog.New(slog.DiscardHandler), &follower{})
	poll(t, w)
	store.Close()
	if err := w.Poll(t.Context()); err == nil {
		t.Fatal("polled a closed database")
	}
	if w.Behind() > -59*time.Minute {
		t.Errorf("a failed poll moved the end of freshness to %s", w.Behind())
	}
}

func TestASequenceThatWentBackwardsMeansEverything(t *testing.T) {
	t.Parallel()
	full, empty := open(t), open(t)
	change(t, full, "one")
	f := &follower{}
	sw := &swapped{full}
	w := changes.NewWatcher(sw, time.Hour, slog.New(slog.DiscardHandler), f)
	poll(t, w)
	f.subjects()
	sw.Store = empty
	poll(t, w)
	wantTold(t, f, "*")
}

// swapped stands for a database that was replaced beneath the server.
type swapped struct{ *storage.Store }
