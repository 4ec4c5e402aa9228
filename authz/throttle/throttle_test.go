package throttle

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// tallies is a Store in memory with one window.
type tallies struct {
	of map[string]int64
	// counted is called after each count; its error is returned.
	counted func(subject string) error
}

func (s *tallies) CountGuess(ctx context.Context, subject string, now, _ time.Time) (Tally, error) {
	if err := ctx.Err(); err != nil {
		return Tally{}, err
	}
	if err := s.counted(subject); err != nil {
		return Tally{}, err
	}
	s.of[subject]++
	return Tally{subject, s.of[subject], now}, nil
}

func (s *tallies) UncountGuesses(ctx context.Context, counted []Tally) error {
	for _, t := range counted {
		s.of[t.Subject]--
	}
	return ctx.Err()
}

func TestWhatIsCountedCanBeTakenBack(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken for a test")
	for name, c := range map[string]struct {
		before  int64 // how many are counted for b; the limit is two
		under   int   // how many of them are running in this process
		failing string
		gone    string
		wait    time.Duration
		err     error
	}{
		"heard":                           {before: 1, under: 1},
		"one too many":                    {before: 2, wait: time.Hour + time.Second},
		"one too many beside others":      {before: 3, under: 1, wait: time.Hour + time.Second},
		"too many at once":                {before: 2, under: 1, wait: time.Second},
		"a fault":                         {failing: "b", err: broken},
		"a fault at once":                 {failing: "a", err: broken},
		"hung up while it was counted":    {gone: "a", err: context.Canceled},
		"hung up while it was counted, b": {gone: "b", err: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			store := &tallies{of: map[string]int64{"b": c.before}, counted: func(subject string) error {
				if subject == c.gone {
					hangUp()
				}
				if subject == c.failing {
					return broken
				}
				return nil
			}}
			s := New(store, 0, 1, time.Hour, func() time.Time { return noon })
			for range c.under + 1 {
				leave, err := s.gates.enter(t.Context(), "b", 5)
				if err != nil {
					t.Fatal(err)
				}
				defer leave()
			}
			counted, err := s.count(ctx, []count{{"a", 9, 0}, {"b", 2, 5}, {"c", 9, 0}})
			var tooMany *TooManyError
			if errors.As(err, &tooMany) != (c.wait > 0) || tooMany != nil && tooMany.RetryAfter != c.wait || c.wait == 0 && !errors.Is(err, c.err) {
				t.Errorf("%v", err)
			}
			if err := s.uncount(ctx, counted); err != nil {
				t.Error(err)
			}
			for subject, n := range map[string]int64{"a": 0, "b": c.before, "c": 0} {
				if store.of[subject] != n {
					t.Errorf("%d are counted for %s", store.of[subject], subject)
				}
			}
		})
	}
}

func TestAGateLetsOneThroughAtATimeAndIsGoneAfterwards(t *testing.T) {
	t.Parallel()
	g := newGates()
	through, most := 0, 0
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			leave, err := g.enter(t.Context(), "a", 1)
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			// The race detector reports every other goroutine that is here.
			through++
			most = max(most, through)
			through--
		})
	}
	all.Wait()
	if most != 1 {
		t.Errorf("%d at once", most)
	}
	leave, err := g.enter(t.Context(), "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	// At another gate nobody waits. Here, a caller waits until its context ends.
	other, err := g.enter(t.Context(), "b", 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, "a", 1); !errors.Is(err, ErrUnheard) || !errors.Is(err, context.Canceled) || g.through("a") != 1 {
		t.Errorf("%v", err)
	}
	leave()
	other()
	if len(g.of) != 0 || g.through("a") != 0 {
		t.Errorf("%d gates are left", len(g.of))
	}
}
