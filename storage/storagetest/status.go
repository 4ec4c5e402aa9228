package storagetest

import (
	"errors"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/storage"
)

const (
	life = 15 * time.Minute
	size = 4096
)

// list opens a list and returns it.
func (d *databaseTest) list(p status.Purpose) status.List {
	d.Helper()
	d.must(d.s.OpenStatusList(d.ctx, status.List{Purpose: p, Life: life, Size: size}, 64, noon))
	lists, err := d.other.StatusLists(d.ctx)
	d.must(err)
	for _, l := range slices.Backward(lists) {
		if l.Purpose == p && l.ClosesAt.IsZero() {
			return l
		}
	}
	d.Fatal("no list was opened")
	return status.List{}
}

var listTests = []test{
	{"one list is opened by many at once, and each index is taken once", func(d *databaseTest) {
		d.client("c")
		_, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, "c")
		if !errors.Is(err, indices.ErrNoRoom) {
			d.Fatal(err)
		}
		for _, err := range d.atOnce(8, func(_ int, s *storage.Store) error {
			return s.OpenStatusList(d.ctx, status.List{Purpose: status.ForClients, Life: life, Size: size}, 64, noon)
		}) {
			d.must(err)
		}
		lists, err := d.s.StatusLists(d.ctx)
		d.must(err)
		d.equal(len(lists), 1)
		if age := time.Since(lists[0].OpenedAt).Abs(); age > time.Minute {
			d.Errorf("it was opened %s ago", age)
		}
		d.equal(lists[0], status.List{Number: lists[0].Number, Purpose: status.ForClients, Life: life, Size: size, OpenedAt: lists[0].OpenedAt})
		blocks := make([]indices.Block, 16)
		for _, err := range d.atOnce(16, func(i int, s *storage.Store) (err error) {
			blocks[i], err = s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, "c")
			return err
		}) {
			d.must(err)
		}
		seen := map[int64]bool{}
		for _, b := range blocks {
			d.equal([]any{b.List, b.Size, b.ClientID, b.Epoch}, []any{lists[0].Number, int64(64), "c", changes.Number(1)})
			if seen[b.First] || b.First%64 != 0 || b.First >= 16*64 {
				d.Errorf("a block begins at %d", b.First)
			}
			seen[b.First] = true
		}
		// Tokens that live longer, or that belong to grants, need another list; so does
		// a block for which there is no room.
		for _, take := range []func() (indices.Block, error){
			func() (indices.Block, error) { return d.s.TakeStatusBlock(d.ctx, status.ForClients, 2*life, 64, "c") },
			func() (indices.Block, error) { return d.s.TakeStatusBlock(d.ctx, status.ForGrants, life, 64, "") },
			func() (indices.Block, error) { return d.s.TakeStatusBlock(d.ctx, status.ForClients, life, size, "c") },
		} {
			if _, err := take(); !errors.Is(err, indices.ErrNoRoom) {
				d.Errorf("%v", err)
			}
		}
		for _, client := range append(slices.Clone(notText), "nobody") {
			d.refuses(indices.ErrNoOwner, func() error {
				_, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, client)
				return err
			})
		}
		d.must(d.s.SetClientDisabled(d.ctx, "c", true, event(audit.ClientDisabled, "c")))
		d.refuses(indices.ErrNoOwner, func() error {
			_, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, "c")
			return err
		})
	}},
	{"a restore gives out no number and no index again, and ends nothing", func(d *databaseTest) {
		g := d.placed("g", status.Ref{List: d.list(status.ForGrants).Number, Index: 7})
		open := d.list(status.ForClients)
		block, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, g.ClientID)
		d.must(err)
		before, set := d.number(), d.setBecause(0)
		d.must(d.s.Restored(d.ctx, event(audit.DatabaseRestored, "")))
		first := d.number() - before
		d.equal(first > 1<<32 && first < 1<<41, true)
		changed, err := d.other.ChangesAfter(d.ctx, before, 10)
		d.must(err)
		d.equal(changed, []changes.Change{{Number: d.number(), Kind: changes.Restored, At: stored(noon)}})
		d.equal(changed[0].IsCut(), false)
		d.equal(d.events()[len(d.events())-1].Action, audit.DatabaseRestored)
		d.equal(d.setBecause(before), []lists.Run(nil))
		all, err := d.other.StatusesSet(d.ctx, nil)
		d.must(err)
		d.equal(len(all), len(set))
		epoch, err := d.other.ServerEpoch(d.ctx)
		d.must(err)
		d.equal(epoch, changes.Number(0))

		for purpose, client := range map[status.Purpose]string{status.ForClients: g.ClientID, status.ForGrants: ""} {
			_, err := d.other.TakeStatusBlock(d.ctx, purpose, life, 1, client)
			d.equal(errors.Is(err, indices.ErrNoRoom), true)
			next := d.list(purpose)
			d.equal(next.Number > int64(before)+1<<32, true)
			again, err := d.s.TakeStatusBlock(d.ctx, purpose, life, 64, client)
			d.must(err)
			d.equal(again.List, next.Number)
			d.equal(again.List != block.List, true)
		}
		// Tokens from before the restore can still be cut, one by one, and the lists
		// close in due time.
		before = d.number()
		d.must(d.s.CutClient(d.ctx, g.ClientID, event(audit.ClientCut, g.ClientID)))
		runs := d.setBecause(before)
		for _, run := range []lists.Run{{List: g.Status.List, First: 7, Size: 1}, {List: block.List, First: block.First, Size: 64}} {
			d.equal(slices.Contains(runs, run), true)
		}
		d.must(d.s.CloseStatusLists(d.ctx, status.ForClients, time.Minute, 0, noon))
		lists, err := d.other.StatusLists(d.ctx)
		d.must(err)
		for _, l := range lists {
			d.equal(!l.ClosesAt.IsZero(), l.Number == open.Number)
		}

		// The same backup, restored a second time, continues at other numbers.
		before = d.number()
		d.must(d.s.Restored(d.ctx, event(audit.DatabaseRestored, "")))
		d.equal(d.number()-before != first, true)
	}},
	{"full lists close together, one life apart, and go when their tokens have expired", func(d *databaseTest) {
		d.client("c")
		closed := func(longAgo time.Duration) (n int) {
			d.Helper()
			d.must(d.s.CloseStatusLists(d.ctx, status.ForClients, time.Hour, longAgo, noon))
			all, err := d.other.StatusLists(d.ctx)
			d.must(err)
			for _, l := range all {
				if !l.ClosesAt.IsZero() {
					n++
				}
			}
			return n
		}
		d.list(status.ForClients)
		d.equal(closed(0), 0) // it has room
		_, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 256, "c")
		d.must(err)
		d.equal(closed(0), 0)
		_, err = d.s.TakeStatusBlock(d.ctx, status.ForClients, life, size-512, "c")
		d.must(err)
		d.equal(closed(time.Hour), 0) // it is too young
		d.changes(changes.StatusList, "", audit.Event{
			At: noon, Actor: audit.Server, Action: audit.StatusListClosed, Details: map[string]string{"purpose": "clients"},
		}, func() error { closed(0); return nil })
		all, err := d.other.StatusLists(d.ctx)
		d.must(err)
		first := all[0]
		if ahead := time.Until(first.ClosesAt); ahead < 50*time.Minute || ahead > 70*time.Minute || !lists.Gone(first).Equal(first.ClosesAt.Add(life+lists.Tail)) {
			d.Errorf("it closes in %s: %+v", ahead, first)
		}
		// The next list is full too, but does not close while tokens of the first one
		// may live.
		d.list(status.ForClients)
		_, err = d.s.TakeStatusBlock(d.ctx, status.ForClients, life, size, "c")
		d.must(err)
		d.equal(closed(0), 1)
		for _, c := range []struct {
			at   time.Time
			want int
		}{{noon, 2}, {lists.Gone(first).Add(-time.Millisecond), 2}, {lists.Gone(first), 1}} {
			_, err := d.s.Purge(d.ctx, c.at, 10, time.Time{})
			d.must(err)
			all, err := d.other.StatusLists(d.ctx)
			d.must(err)
			d.equal(len(all), c.want)
		}
		d.equal(closed(0), 1)
	}},
}
