package changes_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/storage"
)

// follower notes what it is told, and fails when asked to.
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

// subjects returns what was told since the last call; "*" stands for everything.
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
	w := changes.NewWatcher(store, time.Hour, slog.New(slog.DiscardHandler)).Tell(f)
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
	w := changes.NewWatcher(store, time.Hour, slog.New(slog.DiscardHandler)).Tell(f)
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
	w := changes.NewWatcher(store, time.Hour, slog.New(slog.DiscardHandler)).Tell(f)
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
	w := changes.NewWatcher(store, time.Nanosecond, slog.New(slog.DiscardHandler)).Tell(f)
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
	w := changes.NewWatcher(store, time.Hour, slog.New(slog.DiscardHandler)).Tell(&follower{})
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
	w := changes.NewWatcher(sw, time.Hour, slog.New(slog.DiscardHandler)).Tell(f)
	poll(t, w)
	f.subjects()
	sw.Store = empty
	poll(t, w)
	wantTold(t, f, "*")
}

// swapped is a database that was replaced while the server runs.
type swapped struct{ *storage.Store }

// slow follows when the test lets it.
type slow struct{ let chan struct{} }

func (f slow) Follow(ctx context.Context, _ []changes.Change) error {
	select {
	case <-f.let:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lines are the lines of a log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func (l lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l:
		return line
	case <-time.After(time.Minute):
		t.Fatal("nothing is logged")
		return ""
	}
}

func TestCopiesThatFallBehindAreLoggedOnceAndOnceWhenTheyHaveCaughtUp(t *testing.T) {
	t.Parallel()
	store, log := open(t), make(lines, 100)
	logger := slog.New(slog.NewTextHandler(log, nil))
	f := slow{make(chan struct{}, 1)}
	w := changes.NewWatcher(store, 2*time.Second, logger).Tell(f).Patient("the lists")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	defer running.Wait()
	defer stop()

	f.let <- struct{}{}
	for w.Behind() > 0 {
		time.Sleep(time.Millisecond)
	}
	for range 2 {
		change(t, store, rand.Text())
		// Nothing has failed, but the follower needs long to read.
		if line := log.next(t); !strings.Contains(line, "the lists are behind") || !strings.Contains(line, "takes long") {
			t.Error(line)
		}
		if w.Fresh() {
			t.Error("fresh while a follower is behind")
		}
		f.let <- struct{}{}
		if line := log.next(t); !strings.Contains(line, "the lists have caught up") {
			t.Error(line)
		}
	}
	store.Close()
	if line := log.next(t); !strings.Contains(line, "the lists are behind") || strings.Contains(line, "takes long") {
		t.Error(line)
	}
	stop()
	running.Wait()
	close(log)
	for line := range log {
		t.Error("further: ", line)
	}
}

// mute is a database that never answers.
type mute struct{ *storage.Store }

func (mute) History(ctx context.Context, _ changes.Position) (changes.History, error) {
	<-ctx.Done()
	return changes.History{}, ctx.Err()
}

func TestAPollDoesNotWaitLongForAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, staleness := range []time.Duration{100 * time.Millisecond, 2 * time.Second, time.Minute} {
			w := changes.NewWatcher(mute{}, staleness, slog.New(slog.DiscardHandler)).Tell(&follower{}).Patient("the lists")
			began := time.Now()
			if err := w.Poll(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			// After one answer was waited for, the copies stay fresh long
			// enough to wait for another.
			if took := time.Since(began); took > max(staleness*3/4, time.Second) {
				t.Errorf("with a staleness of %s it took %s", staleness, took)
			}
		}
	})
}
