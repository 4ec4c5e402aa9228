package storagetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/storage"
)

var guessTests = []test{
	{"guesses are counted within their window, whoever counts", func(d *databaseTest) {
		for _, err := range d.atOnce(20, func(i int, s *storage.Store) error {
			for _, subject := range []string{"a", "b"} {
				if _, err := s.CountGuess(d.ctx, subject, noon, noon.Add(-time.Minute)); err != nil {
					return err
				}
			}
			return nil
		}) {
			d.must(err)
		}
		count := func(now time.Time, n int64, since time.Time) throttle.Tally {
			d.Helper()
			t, err := d.s.CountGuess(d.ctx, "a", now, now.Add(-time.Minute))
			d.must(err)
			d.equal(t, throttle.Tally{Subject: "a", N: n, Since: stored(since)})
			return t
		}
		of := func(subject string, t throttle.Tally) throttle.Tally { t.Subject = subject; return t }
		last := noon.Add(59 * time.Second)
		a := count(last, 21, noon)
		d.must(d.other.UncountGuesses(d.ctx, []throttle.Tally{a, of("b", a), of("c", a)}))
		count(last, 21, noon)
		// A guess is subtracted only from the window in which it was counted, before
		// and after another window begins.
		later := a
		later.Since = last
		d.must(d.other.UncountGuesses(d.ctx, []throttle.Tally{later}))
		count(last, 22, noon)
		next := count(noon.Add(time.Minute), 1, noon.Add(time.Minute))
		d.must(d.other.UncountGuesses(d.ctx, []throttle.Tally{a, of("b", a)}))
		count(noon.Add(61*time.Second), 2, noon.Add(time.Minute))
		// The count never goes below zero.
		for _, err := range d.atOnce(5, func(_ int, s *storage.Store) error {
			return s.UncountGuesses(d.ctx, []throttle.Tally{next})
		}) {
			d.must(err)
		}
		count(noon.Add(61*time.Second), 1, noon.Add(time.Minute))
		d.must(d.s.UncountGuesses(d.ctx, nil))
	}},
	{"what is counted and taken back at once leaves the others", func(d *databaseTest) {
		highest := make([]int64, 16)
		for _, err := range d.atOnce(len(highest), func(i int, s *storage.Store) error {
			for range 10 {
				var counted []throttle.Tally
				for _, subject := range []string{"all", fmt.Sprint("of ", i%4)} {
					t, err := s.CountGuess(d.ctx, subject, noon, noon.Add(-time.Minute))
					if err != nil {
						return err
					}
					counted = append(counted, t)
				}
				highest[i] = max(highest[i], counted[0].N)
				if err := s.UncountGuesses(d.ctx, counted); err != nil {
					return err
				}
			}
			_, err := s.CountGuess(d.ctx, "all", noon, noon.Add(-time.Minute))
			return err
		}) {
			d.must(err)
		}
		if n := slices.Max(highest); n > int64(len(highest)) {
			d.Errorf("%d are counted, and there are %d", n, len(highest))
		}
		for subject, want := range map[string]int64{"all": int64(len(highest)) + 1, "of 0": 1, "of 3": 1} {
			t, err := d.s.CountGuess(d.ctx, subject, noon, noon.Add(-time.Minute))
			d.must(err)
			d.equal(t.N, want)
		}
	}},
}
