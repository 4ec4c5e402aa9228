package clients

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"
)

// noteStore is a Store of which only the notes are used.
type noteStore struct {
	Store
	noted map[SecretRef]time.Time
	err   error
}

func (s *noteStore) NoteSecretUses(_ context.Context, at map[SecretRef]time.Time) error {
	s.noted = maps.Clone(at)
	return s.err
}

func TestTheUseOfASecretIsNotedOnceAnHour(t *testing.T) {
	t.Parallel()
	store := &noteStore{}
	a := &Authenticator{registry: &Registry{store: store}}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ref := SecretRef{"app", "s1"}
	want := func(hours int, err error) {
		t.Helper()
		store.noted = nil
		if got := a.WriteUses(t.Context()); !errors.Is(got, err) {
			t.Fatal(got)
		}
		if hours < 0 {
			if store.noted != nil {
				t.Errorf("%v", store.noted)
			}
			return
		}
		if !maps.Equal(store.noted, map[SecretRef]time.Time{ref: noon.Add(time.Duration(hours) * time.Hour)}) {
			t.Errorf("%v", store.noted)
		}
	}
	want(-1, nil)
	a.uses.note(ref, noon.Add(5*time.Minute))
	a.uses.note(ref, noon.Add(10*time.Minute))
	want(0, nil)
	a.uses.note(ref, noon.Add(59*time.Minute))
	want(-1, nil)
	// What could not be stored is stored the next time, unless there is later news.
	a.uses.note(ref, noon.Add(time.Hour))
	store.err = errors.New("no database")
	want(1, store.err)
	store.err = nil
	want(1, nil)
	want(-1, nil)
}
