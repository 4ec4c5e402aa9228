package storage_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

var broken = sqlite3.Error{Code: sqlite3.ErrIoErr}

func (g *group) guess(into *throttle.Tally) func() error {
	return func() (err error) {
		*into, err = g.s.CountGuess(g.Context(), "x", noon, noon.Add(-time.Hour))
		return err
	}
}

func TestACommitThatFailsOnceIsTriedOneByOne(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3)
	failures := 1
	var counted throttle.Tally
	errs := g.together(func(statement string) error {
		if statement == "COMMIT" && failures > 0 {
			failures--
			return broken
		}
		return nil
	}, g.rotate("0"), g.guess(&counted), g.redeem("code of 0", "redeemed"), g.rotate("1"), g.rotate("0"), g.redeem("code of 0", "again"))
	g.must(errors.Join(errs[:4]...))
	for _, err := range errs[4:] {
		if !errors.Is(err, grants.ErrNotFound) {
			t.Error(err)
		}
	}
	if counted.N != 1 {
		t.Errorf("the guess is the %dth", counted.N)
	}
	if got := g.generations("0", "1", "2", "redeemed", "again"); !slices.Equal(got, []int64{2, 2, 1, 1, 0}) {
		t.Error(got)
	}
}

// TestEachWriteOfAFailedGroupHasItsOwnOutcome: what fails again is a fault, and nobody is
// told the outcome of the attempt that was undone.
func TestEachWriteOfAFailedGroupHasItsOwnOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails string
		want  []int64
	}{
		"all of them":       {"UPDATE", []int64{1, 1, 0, 1}},
		"one of them":       {"UPDATE codes", []int64{2, 2, 0, 2}},
		"only transactions": {"COMMIT", []int64{2, 2, 0, 2}}, // redeeming a code is one
		"those that rotate": {"UPDATE grants", []int64{1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGroup(t, 3)
			undone := false
			errs := g.together(func(statement string) error {
				if undone && strings.Contains(statement, c.fails) {
					return broken
				}
				if statement == "COMMIT" && !undone {
					undone = true
					return broken
				}
				return nil
			}, g.rotate("0"), g.rotate("1"), g.redeem("code of 0", "redeemed"), g.rotate("2"))
			got := g.generations("0", "1", "redeemed", "2")
			if !slices.Equal(got, c.want) {
				t.Errorf("%d, not %d", got, c.want)
			}
			for i, err := range errs {
				if written := got[i] == []int64{2, 2, 1, 2}[i]; written && err != nil || !written && !isFault(err) {
					t.Errorf("%d is written: %t, and was told %v", i, written, err)
				}
			}
		})
	}
}

// TestACommitWithoutAnAnswerIsNotRepeatedOneByOne: the group may have been written. A second
// attempt would count each guess twice, so that somebody who mistypes is locked out, and
// would tell a client that its refresh token, which it has just rotated, is void.
func TestACommitWithoutAnAnswerIsNotRepeatedOneByOne(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	var counted throttle.Tally
	g.FailWith(func(statement string) error {
		if statement == "COMMIT" {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	errs := g.together(nil, g.rotate("0"), g.guess(&counted), g.redeem("code of 1", "redeemed"))
	g.FailWith(nil)
	for _, err := range errs {
		mustBeFault(t, err)
	}
	if got := g.count("UPDATE grants", "INSERT INTO guesses"); got != "UPDATE grants 1, INSERT INTO guesses 1" {
		t.Error(got)
	}
	g.must(g.guess(&counted)())
	if counted.N != 2 {
		t.Errorf("the second guess is the %dth", counted.N)
	}
	if got := g.generations("0", "redeemed"); !slices.Equal(got, []int64{2, 1}) {
		t.Error(got)
	}
}

// TestAFullDiskIsAFaultOfWhatDoesNotFit: the limit is SQLite's own, and so is the error.
func TestAFullDiskIsAFaultOfWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 4)
	var pages, most int
	pool := storage.Pool(g.s)
	g.must(pool.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
	const room = 12
	g.must(pool.QueryRowContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages+room)).Scan(&most))
	if most != pages+room {
		t.Fatal(most)
	}
	writes := g.rotations("0", "1")
	writes = append(writes, g.save("too great", strings.Repeat("x", 1<<20)))
	for i := range 6 { // of these some fit
		writes = append(writes, g.save(fmt.Sprint("medium ", i), strings.Repeat("x", 4*4096)))
	}
	writes = append(writes, g.rotations("2", "3")...)
	errs := g.together(nil, writes...)
	g.must(errors.Join(errs[0], errs[1], errs[9], errs[10]))
	if mustBeFault(t, errs[2]); storage.WhyUnwritable(errs[2]) != "its disk is full" {
		t.Error(errs[2])
	}
	if got := g.generations(upTo(4)...); !slices.Equal(got, []int64{2, 2, 2, 2}) {
		t.Error(got)
	}
	fit, s := 0, storagetest.Open(t, g.url)
	for i, err := range errs[3:9] {
		_, missing := s.Code(t.Context(), hashOf(fmt.Sprint("medium ", i)))
		if (err == nil) != (missing == nil) || err != nil && !isFault(err) {
			t.Errorf("%d: %v, and then %v", i, err, missing)
		}
		if err == nil {
			fit++
		}
	}
	if fit == 0 || fit == 6 {
		t.Errorf("%d fit: the test does not test what it should", fit)
	}
}

// TestAPanicReachesItsOwnCaller: it ends one request, and neither its neighbours nor the
// process.
func TestAPanicReachesItsOwnCaller(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	panics := func() (err error) {
		defer func() {
			p := fmt.Sprint(recover())
			if !strings.HasPrefix(p, "a mistake\n") || !strings.Contains(p, "groupfaults_test.go") {
				err = fmt.Errorf("it panicked with %s", p)
			}
		}()
		return storage.Write(t.Context(), g.s, func() error { panic("a mistake") })
	}
	g.must(panics()) // alone
	g.must(errors.Join(g.together(nil, g.rotate("0"), panics, g.rotate("1"))...))
	if got := g.generations("0", "1"); !slices.Equal(got, []int64{2, 2}) {
		t.Error(got)
	}
}

// TestAGroupWaitsForAnotherProcess, such as the command line beside the server.
func TestAGroupWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3)
	tries := 0
	var unlock func()
	errs := g.together(func(statement string) error {
		if statement == "BEGIN" {
			switch tries++; tries {
			case 1:
				unlock = storagetest.LockWrites(t, g.url)
			case 3:
				unlock()
			}
		}
		return nil
	}, g.rotations(upTo(3)...)...)
	g.must(errors.Join(errs...))
	if got := g.count("UPDATE grants", "COMMIT"); tries < 3 || got != "UPDATE grants 3, COMMIT 1" {
		t.Error(tries, got)
	}
	if got := g.generations(upTo(3)...); !slices.Equal(got, []int64{2, 2, 2}) {
		t.Error(got)
	}
}
