package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/status"
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

// placed is a grant with an index.
func (d *databaseTest) placed(id string, ref status.Ref) grants.Grant {
	d.Helper()
	d.client("client of " + id)
	d.user("user of " + id)
	d.session("user of "+id, "session of "+id)
	d.code("session of "+id, "client of "+id, "code of "+id)
	g := d.grantOf("code of "+id, id)
	g.Status = ref
	d.must(d.s.RedeemCode(d.ctx, hash("code of "+id), noon, g))
	return g
}

// setBecause returns what the changes after a number set, and checks that it is
// set for whoever reads everything.
func (d *databaseTest) setBecause(after changes.Number) []status.Run {
	d.Helper()
	changed, err := d.other.ChangesAfter(d.ctx, after, 100)
	d.must(err)
	runs, err := d.other.StatusesSet(d.ctx, changed)
	d.must(err)
	all, err := d.other.StatusesSet(d.ctx, nil)
	d.must(err)
	for _, run := range runs {
		if !slices.Contains(all, run) {
			d.Errorf("%v is set by a change and not at all: %v", run, all)
		}
	}
	return runs
}

var statusTests = []test{
	{"one list is opened by many at once, and each index is taken once", func(d *databaseTest) {
		d.client("c")
		_, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, "c")
		if !errors.Is(err, status.ErrNoRoom) {
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
		blocks := make([]status.Block, 16)
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
		// Tokens that live longer, or are of grants, need another list; so does
		// what has no room.
		for _, take := range []func() (status.Block, error){
			func() (status.Block, error) { return d.s.TakeStatusBlock(d.ctx, status.ForClients, 2*life, 64, "c") },
			func() (status.Block, error) { return d.s.TakeStatusBlock(d.ctx, status.ForGrants, life, 64, "") },
			func() (status.Block, error) { return d.s.TakeStatusBlock(d.ctx, status.ForClients, life, size, "c") },
		} {
			if _, err := take(); !errors.Is(err, status.ErrNoRoom) {
				d.Errorf("%v", err)
			}
		}
		for _, client := range append(slices.Clone(notText), "nobody") {
			d.refuses(status.ErrNotFound, func() error {
				_, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, client)
				return err
			})
		}
		d.must(d.s.SetClientDisabled(d.ctx, "c", true, event(audit.ClientDisabled, "c")))
		d.refuses(status.ErrNotFound, func() error {
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
		d.equal(d.setBecause(before), []status.Run(nil))
		all, err := d.other.StatusesSet(d.ctx, nil)
		d.must(err)
		d.equal(len(all), len(set))
		epoch, err := d.other.ServerEpoch(d.ctx)
		d.must(err)
		d.equal(epoch, changes.Number(0))

		for purpose, client := range map[status.Purpose]string{status.ForClients: g.ClientID, status.ForGrants: ""} {
			_, err := d.other.TakeStatusBlock(d.ctx, purpose, life, 1, client)
			d.equal(errors.Is(err, status.ErrNoRoom), true)
			next := d.list(purpose)
			d.equal(next.Number > int64(before)+1<<32, true)
			again, err := d.s.TakeStatusBlock(d.ctx, purpose, life, 64, client)
			d.must(err)
			d.equal(again.List, next.Number)
			d.equal(again.List != block.List, true)
		}
		// What is known of before can still be cut, one by one, and the lists close in
		// their time.
		before = d.number()
		d.must(d.s.CutClient(d.ctx, g.ClientID, event(audit.ClientCut, g.ClientID)))
		runs := d.setBecause(before)
		for _, run := range []status.Run{{List: g.Status.List, First: 7, Size: 1}, {List: block.List, First: block.First, Size: 64}} {
			d.equal(slices.Contains(runs, run), true)
		}
		d.must(d.s.CloseStatusLists(d.ctx, status.ForClients, time.Minute, 0, noon))
		lists, err := d.other.StatusLists(d.ctx)
		d.must(err)
		for _, l := range lists {
			d.equal(!l.ClosesAt.IsZero(), l.Number == open.Number)
		}

		// The same backup, restored once more, goes on elsewhere.
		before = d.number()
		d.must(d.s.Restored(d.ctx, event(audit.DatabaseRestored, "")))
		d.equal(d.number()-before != first, true)
	}},
	{"each cut sets the indices of what it ends, and no others", func(d *databaseTest) {
		ev := event(audit.GrantCut, "")
		list := d.list(status.ForGrants).Number
		for i, cut := range []func(g grants.Grant){
			func(g grants.Grant) { d.must(d.s.RevokeGrant(d.ctx, g.ID, ev)) },
			func(g grants.Grant) { d.must(d.s.CutUser(d.ctx, g.UserID, ev)) },
			func(g grants.Grant) { d.must(d.s.SetPassword(d.ctx, g.UserID, "new", ev)) },
			func(g grants.Grant) { d.must(d.s.CutClient(d.ctx, g.ClientID, ev)) },
			func(g grants.Grant) { d.must(d.s.SetUserDisabled(d.ctx, g.UserID, true, ev)) },
			func(g grants.Grant) { d.must(d.s.SetClientDisabled(d.ctx, g.ClientID, true, ev)) },
			func(g grants.Grant) { d.must(d.s.EndSession(d.ctx, g.UserID, g.SessionID, ev)) },
			func(g grants.Grant) { d.endAll(g.UserID, "") },
			func(g grants.Grant) { d.must(d.s.DeleteUser(d.ctx, g.UserID, ev)) },
			func(g grants.Grant) { d.must(d.s.DeleteClient(d.ctx, g.ClientID, ev)) },
			func(g grants.Grant) { d.must(d.s.DeleteConsent(d.ctx, g.UserID, g.ClientID, ev)) },
		} {
			d.placed(fmt.Sprint("bystander", i), status.Ref{List: list, Index: int64(100 + i)})
			g := d.placed(fmt.Sprint("g", i), status.Ref{List: list, Index: int64(i)})
			// It has moved once: tokens may still name where it was.
			next := g.Refresh
			next.Generation++
			d.must(d.s.RotateGrant(d.ctx, g.ID, 1, next, status.Ref{List: list, Index: int64(200 + i)}, g.Status, noon))
			before := d.number()
			cut(g)
			d.equal(d.setBecause(before), []status.Run{{List: list, First: int64(200 + i), Size: 1}, {List: list, First: int64(i), Size: 1}})
		}
		d.must(d.s.CutEverything(d.ctx, ev))
		all, err := d.other.StatusesSet(d.ctx, nil)
		d.must(err)
		d.equal(all[0], status.Run{List: list, Size: size})
		// What is issued from now on is in another list.
		_, err = d.s.TakeStatusBlock(d.ctx, status.ForGrants, life, 64, "")
		if !errors.Is(err, status.ErrNoRoom) {
			d.Errorf("%v", err)
		}
		next := d.list(status.ForGrants)
		b, err := d.s.TakeStatusBlock(d.ctx, status.ForGrants, life, 64, "")
		d.must(err)
		d.equal(b.List, next.Number)
		all, err = d.other.StatusesSet(d.ctx, nil)
		d.must(err)
		for _, run := range all {
			if run.List == next.Number {
				d.Errorf("%v is set in the new list", run)
			}
		}
	}},
	{"a cut of a client sets its blocks, and enabling it clears them again", func(d *databaseTest) {
		ev := event(audit.ClientCut, "")
		d.list(status.ForClients)
		for _, id := range []string{"a", "b"} {
			d.client(id)
		}
		take := func(client string) status.Block {
			d.Helper()
			b, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, client)
			d.must(err)
			return b
		}
		run := func(b status.Block) status.Run { return status.Run{List: b.List, First: b.First, Size: b.Size} }
		set := func(want ...status.Run) {
			d.Helper()
			got, err := d.other.StatusesSet(d.ctx, nil)
			d.must(err)
			if len(got) != len(want) {
				d.Fatalf("%v is set, want %v", got, want)
			}
			for _, w := range want {
				if !slices.Contains(got, w) {
					d.Fatalf("%v is set, want %v", got, want)
				}
			}
		}
		first, other := take("a"), take("b")
		set()
		before := d.number()
		d.must(d.s.CutClient(d.ctx, "a", ev))
		d.equal(d.setBecause(before), []status.Run{run(first)})
		second := take("a") // after the cut
		d.equal(second.Epoch, d.number())
		set(run(first))
		d.must(d.s.SetClientDisabled(d.ctx, "b", true, ev))
		set(run(first), run(other))
		d.must(d.s.SetClientDisabled(d.ctx, "b", false, ev))
		set(run(first))
		clear, err := d.s.StatusesClear(d.ctx, []string{"b"})
		d.must(err)
		d.equal(clear, []status.Run{run(other)})
		before = d.number()
		d.must(d.s.CutToken(d.ctx, "t", noon, status.Ref{List: second.List, Index: second.First + 3}, ev))
		d.equal(d.setBecause(before), []status.Run{{List: second.List, First: second.First + 3, Size: 1}})
		d.must(d.s.CutToken(d.ctx, "of a version before", noon, status.Ref{}, ev))
		d.must(d.s.DeleteClient(d.ctx, "a", ev))
		set(run(first), run(second), status.Run{List: second.List, First: second.First + 3, Size: 1})
		// Whoever gets the id next has other indices.
		d.client("a")
		third := take("a")
		set(run(first), run(second), status.Run{List: second.List, First: second.First + 3, Size: 1})
		if third.First == first.First || third.First == second.First {
			d.Errorf("%v", third)
		}
	}},
	{"full lists close together, one life apart, and go when their tokens have expired", func(d *databaseTest) {
		d.client("c")
		closed := func(longAgo time.Duration) (n int) {
			d.Helper()
			d.must(d.s.CloseStatusLists(d.ctx, status.ForClients, time.Hour, longAgo, noon))
			lists, err := d.other.StatusLists(d.ctx)
			d.must(err)
			for _, l := range lists {
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
		lists, err := d.other.StatusLists(d.ctx)
		d.must(err)
		first := lists[0]
		if ahead := time.Until(first.ClosesAt); ahead < 50*time.Minute || ahead > 70*time.Minute || !first.Gone().Equal(first.ClosesAt.Add(life+status.Tail)) {
			d.Errorf("it closes in %s: %+v", ahead, first)
		}
		// The next one is full too; it does not close while the first one's tokens
		// may live.
		d.list(status.ForClients)
		_, err = d.s.TakeStatusBlock(d.ctx, status.ForClients, life, size, "c")
		d.must(err)
		d.equal(closed(0), 1)
		for _, c := range []struct {
			at   time.Time
			want int
		}{{noon, 2}, {first.Gone().Add(-time.Millisecond), 2}, {first.Gone(), 1}} {
			_, err := d.s.Purge(d.ctx, c.at, 10, time.Time{})
			d.must(err)
			lists, err := d.other.StatusLists(d.ctx)
			d.must(err)
			d.equal(len(lists), c.want)
		}
		d.equal(closed(0), 1)
	}},
	{"what a listener acknowledges grows, until it is reset or leaves", func(d *databaseTest) {
		l := status.Listener{ID: "1", ClientID: "c", Name: "n"}
		d.must(d.s.SaveListener(d.ctx, l, false))
		d.must(d.s.Acknowledge(d.ctx, "1", "c", 7))
		d.must(d.other.Acknowledge(d.ctx, "1", "c", 5))
		d.must(d.other.Acknowledge(d.ctx, "1", "c", 5)) // nothing changes, and that is no error
		l.Acknowledged = 7
		d.equal(d.listeners(time.Hour), []status.Listener{l})
		gone, err := d.s.SeeListeners(d.ctx, []string{"1", "unknown"})
		d.must(err)
		d.equal(gone, []string{"unknown"})
		gone, err = d.s.SeeListeners(d.ctx, nil)
		d.must(err)
		d.equal(len(gone), 0)
		d.equal(len(d.listeners(time.Hour)), 1)
		d.equal(len(d.listeners(-time.Hour)), 0)
		d.must(d.s.ResetListener(d.ctx, "1"))
		d.must(d.s.ResetListener(d.ctx, "1"))
		l.Acknowledged = 0
		d.equal(d.listeners(time.Hour), []status.Listener{l})
		for _, wrong := range [][2]string{{"1", "other"}, {"2", "c"}, {"", "c"}, {"1", notText[0]}} {
			if err := d.s.Acknowledge(d.ctx, wrong[0], wrong[1], 9); !errors.Is(err, status.ErrNoListener) {
				d.Errorf("%v: %v", wrong, err)
			}
			if err := d.s.RemoveListener(d.ctx, wrong[0], wrong[1]); !errors.Is(err, status.ErrNoListener) {
				d.Errorf("%v: %v", wrong, err)
			}
		}
		d.must(d.other.RemoveListener(d.ctx, "1", "c"))
		d.equal(len(d.listeners(time.Hour)), 0)
		for _, err := range []error{d.s.ResetListener(d.ctx, "1"), d.s.RemoveListener(d.ctx, "1", "c"), d.s.Acknowledge(d.ctx, "1", "c", 1)} {
			if !errors.Is(err, status.ErrNoListener) {
				d.Errorf("it has left: %v", err)
			}
		}
	}},
	{"an instance that connects again has one listener, and replicas have one each", func(d *databaseTest) {
		one, replica := status.Listener{ID: "1", ClientID: "c", Name: "n", Instance: "i"}, status.Listener{ID: "2", ClientID: "c", Name: "n", Instance: "j"}
		elsewhere := status.Listener{ID: "3", ClientID: "other", Name: "n", Instance: "i"}
		for _, l := range []status.Listener{one, replica, elsewhere} {
			d.must(d.s.SaveListener(d.ctx, l, false))
			d.must(d.s.Acknowledge(d.ctx, l.ID, l.ClientID, 7))
		}
		for i, err := range d.atOnce(8, func(i int, s *storage.Store) error {
			return s.SaveListener(d.ctx, status.Listener{ID: fmt.Sprint("again", i), ClientID: "c", Name: "n", Instance: "i"}, true)
		}) {
			if err != nil {
				d.Errorf("%d: %v", i, err)
			}
		}
		all := d.listeners(time.Hour)
		if len(all) != 3 {
			d.Fatalf("%+v", all)
		}
		// What the connection before acknowledged is not this one's.
		one.ID, replica.Acknowledged, elsewhere.Acknowledged = all[0].ID, 7, 7
		d.equal(all, []status.Listener{one, replica, elsewhere})
	}},
	{"without an instance each connection has a listener, and one that resumes takes the place of one", func(d *databaseTest) {
		save := func(id string, acked changes.Number, resumes bool) {
			d.Helper()
			d.must(d.s.SaveListener(d.ctx, status.Listener{ID: id, ClientID: "c", Name: "n"}, resumes))
			if acked > 0 {
				d.must(d.s.Acknowledge(d.ctx, id, "c", acked))
			}
		}
		ids := func() (ids []string) {
			for _, l := range d.listeners(time.Hour) {
				ids = append(ids, l.ID)
			}
			slices.Sort(ids)
			return ids
		}
		d.must(d.s.SaveListener(d.ctx, status.Listener{ID: "named", ClientID: "c", Name: "n", Instance: "i"}, false))
		d.must(d.s.SaveListener(d.ctx, status.Listener{ID: "longer", ClientID: "c", Name: "n-1"}, false))
		save("1", 8, false)
		save("2", 9, false)
		save("3", 0, false)
		d.equal(ids(), []string{"1", "2", "3", "longer", "named"})
		save("4", 0, true)
		d.equal(ids(), []string{"1", "3", "4", "longer", "named"})
		// A server of before keeps one row for a name.
		Exec(d, d.url, "INSERT INTO status_listeners (client_id, name, id, connected_ms, seen_ms, acked) SELECT 'c', 'n', 'before', connected_ms, seen_ms, 10 FROM status_listeners WHERE id = '4'")
		d.equal(ids(), []string{"1", "3", "4", "before", "longer", "named"})
		save("5", 0, true)
		d.equal(ids(), []string{"1", "3", "4", "5", "longer", "named"})
	}},
	{"a client has so many listeners and no more, of which those that nobody has seen are forgotten", func(d *databaseTest) {
		d.must(d.s.SaveListener(d.ctx, status.Listener{ID: "1", ClientID: "c", Name: "n"}, false))
		rows, now := []string{}, time.Now().UnixMilli()
		for i := range status.MostListeners - 1 {
			rows = append(rows, fmt.Sprintf("('c', 'n/x%d', 'x%d', %d, %d, 0)", i, i, now, now))
		}
		Exec(d, d.url, "INSERT INTO status_listeners (client_id, name, id, connected_ms, seen_ms, acked) VALUES "+strings.Join(rows, ", "))
		d.equal(len(d.listeners(time.Hour)), status.MostListeners)
		next := status.Listener{ID: "next", ClientID: "c", Name: "m"}
		if err := d.s.SaveListener(d.ctx, next, false); !errors.Is(err, status.ErrTooManyListeners) {
			d.Errorf("%v", err)
		}
		d.must(d.s.SaveListener(d.ctx, status.Listener{ID: "next", ClientID: "other", Name: "m"}, false))
		Exec(d, d.url, fmt.Sprintf("UPDATE status_listeners SET seen_ms = seen_ms - %d WHERE client_id = 'c' AND id <> '1'", status.Unseen.Milliseconds()))
		d.must(d.s.SaveListener(d.ctx, next, false))
		d.equal(len(d.listeners(time.Hour)), 3)
	}},
}

// listeners returns them without their times, which are about now.
func (d *databaseTest) listeners(within time.Duration) []status.Listener {
	d.Helper()
	all, err := d.other.Listeners(d.ctx, within)
	d.must(err)
	for i := range all {
		if age := time.Since(all[i].SeenAt).Abs(); age > time.Minute || all[i].ConnectedAt.After(all[i].SeenAt) {
			d.Errorf("%+v", all[i])
		}
		all[i].SeenAt, all[i].ConnectedAt = time.Time{}, time.Time{}
	}
	return all
}
