package storage_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// upTo returns "0", "1", … as many as n.
func upTo(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint(i))
	}
	return ids
}

func (g *group) rotations(ids ...string) (all []func() error) {
	for _, id := range ids {
		all = append(all, g.rotate(id))
	}
	return all
}

func TestWritesThatWaitTogetherShareATransaction(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 20)
	g.must(errors.Join(g.together(nil, g.rotations(upTo(20)...)...)...))
	if got := g.count("UPDATE login_sessions", "BEGIN", "UPDATE grants", "COMMIT"); got != "UPDATE login_sessions 1, BEGIN 1, UPDATE grants 20, COMMIT 1" {
		t.Error(got)
	}
	if got, want := g.generations(upTo(20)...), slices.Repeat([]int64{2}, 20); !slices.Equal(got, want) {
		t.Error(got)
	}
}

// TestAGroupIsNotTooLong: the first of it waits for the last.
func TestAGroupIsNotTooLong(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 100)
	g.must(errors.Join(g.together(nil, g.rotations(upTo(100)...)...)...))
	if got := g.count("BEGIN", "UPDATE grants", "COMMIT"); got != "BEGIN 2, UPDATE grants 100, COMMIT 2" {
		t.Error(got)
	}
}

// TestOfOneGenerationOneRotationWinsInAGroup: a refresh token that was copied is used by two
// at the same moment.
func TestOfOneGenerationOneRotationWinsInAGroup(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	errs := g.together(nil, g.rotations(append(slices.Repeat([]string{"0"}, 20), "1")...)...)
	g.must(errs[0])
	g.must(errs[20])
	for i, err := range errs[1:20] {
		if !errors.Is(err, grants.ErrNotFound) || isFault(err) {
			t.Errorf("%d: %v", i+1, err)
		}
	}
	if got := g.count("BEGIN", "UPDATE grants", "COMMIT"); got != "BEGIN 1, UPDATE grants 21, COMMIT 1" {
		t.Error(got)
	}
	if got := g.generations("0", "1"); !slices.Equal(got, []int64{2, 2}) {
		t.Error(got)
	}
}

func TestAWriteThatFailsLeavesItsNeighboursInPlace(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 4)
	errs := g.together(nil,
		g.rotate("0"),
		func() error { return g.s.BeginGrant(t.Context(), g.grant("1"), noon) }, // this id is taken
		g.rotate("1"),
		g.redeem("code of 2", "redeemed"),
		g.redeem("code of 2", "again"),
		g.redeem("code of 3", "1"), // its second statement fails
		g.redeem("code of 1", "and this"),
		g.rotate("2"),
	)
	g.must(errors.Join(errs[0], errs[2], errs[3], errs[6], errs[7]))
	mustBeFault(t, errs[1])
	mustBeFault(t, errs[5])
	if !errors.Is(errs[4], grants.ErrNotFound) {
		t.Error(errs[4])
	}
	if got := g.count("BEGIN", "ROLLBACK TO", "COMMIT"); got != "BEGIN 1, ROLLBACK TO 3, COMMIT 1" {
		t.Error(got)
	}
	code, err := g.s.Code(t.Context(), hashOf("code of 3"))
	if err != nil || !code.UsedAt.IsZero() {
		t.Errorf("its first statement was not undone: %+v %v", code, err)
	}
	if got := g.generations("0", "1", "redeemed", "again", "and this", "2"); !slices.Equal(got, []int64{2, 2, 1, 0, 1, 2}) {
		t.Error(got)
	}
}

// TestHalfAWriteIsNeverCommitted: a code whose use is committed without its grant is lost to
// its user.
func TestHalfAWriteIsNeverCommitted(t *testing.T) {
	t.Parallel()
	for _, fails := range []string{"SAVEPOINT one_write", "ROLLBACK TO", "RELEASE"} {
		t.Run(fails, func(t *testing.T) {
			t.Parallel()
			g := newGroup(t, 3)
			errs := g.together(func(statement string) error {
				if strings.HasPrefix(statement, fails) {
					return errors.New("a fault in between")
				}
				return nil
			}, g.rotate("0"), g.redeem("code of 1", "2"), g.rotate("1"))
			g.must(errors.Join(errs[0], errs[2]))
			mustBeFault(t, errs[1])
			code, err := g.s.Code(t.Context(), hashOf("code of 1"))
			if err != nil || !code.UsedAt.IsZero() {
				t.Errorf("%+v %v", code, err)
			}
			if got := g.generations("0", "1"); !slices.Equal(got, []int64{2, 2}) {
				t.Error(got)
			}
		})
	}
}

// TestAClientThatHangsUpWhileItWaitsIsForgotten: clients that ask and hang up, again and
// again while the disk is slow, would fill the memory, and what nobody waits for would be
// written.
func TestAClientThatHangsUpWhileItWaitsIsForgotten(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3)
	release := g.held()
	first := g.queue(g.rotate("0"))
	for range 500 {
		ctx, hangUp := context.WithCancel(t.Context())
		gone := g.queue(g.rotateFor(ctx, "1", 1))
		hangUp()
		// The connection is still held, so this answer waits for nobody.
		if err := <-gone; !isFault(err) || !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if n := storage.Waiting(g.s); n != 1 {
			t.Fatalf("%d wait", n)
		}
	}
	last := g.queue(g.rotate("2"))
	release()
	g.must(errors.Join(<-first, <-last))
	if got := g.count("UPDATE grants"); got != "UPDATE grants 2" {
		t.Error(got)
	}
	if got := g.generations("0", "1", "2"); !slices.Equal(got, []int64{2, 1, 2}) {
		t.Error(got)
	}
}

// TestAClientThatHangsUpInAGroupLeavesItsNeighbours: SQLite undoes the whole transaction if
// a statement is interrupted, so a request must not end one.
func TestAClientThatHangsUpInAGroupLeavesItsNeighbours(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"BEGIN", "UPDATE grants", "COMMIT"} {
		t.Run(during, func(t *testing.T) {
			t.Parallel()
			g := newGroup(t, 4)
			ctx, hangUp := context.WithCancel(t.Context())
			var gone sync.WaitGroup
			gone.Add(2)
			leaves := func(id string) func() error {
				return func() error {
					defer gone.Done()
					return g.rotateFor(ctx, id, 1)()
				}
			}
			rotations := 0
			errs := g.together(func(statement string) error {
				if strings.Contains(statement, "UPDATE grants") {
					rotations++
				}
				if strings.Contains(statement, during) && rotations != 1 {
					hangUp()
					gone.Wait() // both are answered while the group is at work
				}
				return nil
			}, g.rotate("0"), leaves("1"), leaves("2"), g.rotate("3"))
			g.must(errors.Join(errs[0], errs[3]))
			for _, err := range errs[1:3] {
				if !isFault(err) || !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
			// What had begun is written with its neighbours, and what had not is not.
			want := map[string][]int64{"BEGIN": {2, 1, 1, 2}, "UPDATE grants": {2, 2, 1, 2}, "COMMIT": {2, 2, 2, 2}}[during]
			if got := g.count("BEGIN", "COMMIT"); got != "BEGIN 1, COMMIT 1" {
				t.Error(got)
			}
			if got := g.generations(upTo(4)...); !slices.Equal(got, want) {
				t.Errorf("%d, not %d", got, want)
			}
		})
	}
}

// TestCloseWaitsForWritesThatWereTaken: a restore may begin as soon as the Store is closed.
func TestCloseWaitsForWritesThatWereTaken(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3)
	release := g.held()
	var outcomes []chan error
	for _, id := range upTo(3) {
		outcomes = append(outcomes, g.queue(g.rotate(id)))
	}
	closed := make(chan error, 1)
	go func() { closed <- g.s.Close() }()
	for !storage.Closing(g.s) {
		runtime.Gosched() // the writes wait: the connection is held
	}
	mustBeFault(t, g.rotate("0")())
	release()
	g.must(<-closed)
	for _, outcome := range outcomes {
		g.must(<-outcome)
	}
	if got := g.generations(upTo(3)...); !slices.Equal(got, []int64{2, 2, 2}) {
		t.Error(got)
	}
}

// TestPurgingIsInNoGroup: it reads much while it writes, and its neighbours would wait.
func TestPurgingIsInNoGroup(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3)
	release, before := g.held(), g.s.Pools()["write"].WaitCount
	purged := make(chan error, 1)
	go func() {
		n, err := g.s.Purge(t.Context(), noon.Add(2*time.Hour), 100, time.Time{})
		if err == nil && n != 3 {
			err = fmt.Errorf("%d rows were purged", n)
		}
		purged <- err
	}()
	for g.s.Pools()["write"].WaitCount == before {
		if storage.Waiting(g.s) > 0 {
			t.Error("it is in a group")
			break
		}
		runtime.Gosched()
	}
	release()
	g.must(<-purged)
}

// TestManyAtOnceLoseNothing: 64 clients write, and some of them hang up.
func TestManyAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	const many, times = 64, 6
	g := newGroup(t, many)
	var all sync.WaitGroup
	var counted atomic.Int64
	reached := make([]int64, many)
	for i, id := range upTo(many) {
		all.Go(func() {
			for from := int64(1); from <= times; from++ {
				if err := g.rotateFor(t.Context(), id, from)(); err != nil {
					t.Error(err)
					return
				}
				reached[i] = from + 1
				ctx, hangUp := context.WithCancel(t.Context())
				if i%4 == 0 {
					go hangUp()
				}
				if _, err := g.s.CountGuess(ctx, "x", noon, noon.Add(-time.Hour)); err == nil {
					counted.Add(1)
				} else if !isFault(err) || i%4 != 0 {
					t.Error(err)
				}
				hangUp()
			}
		})
	}
	all.Wait()
	if got := g.generations(upTo(many)...); !slices.Equal(got, reached) {
		t.Errorf("%d, not %d", got, reached)
	}
	// A guess of which nobody knows whether it was counted may have been.
	if n, least := storagetest.Count(t, g.url, "SELECT n FROM guesses WHERE subject = 'x'"), int(counted.Load()); n < least || n > many*times {
		t.Errorf("%d are counted, and %d were acknowledged", n, least)
	}
}
