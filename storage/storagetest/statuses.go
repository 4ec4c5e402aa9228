package storagetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/lists"
)

// placed stores a grant that has an index in a status list.
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

// setBecause returns the runs that the changes after a number set, and checks that
// reading everything finds them set too.
func (d *databaseTest) setBecause(after changes.Number) []lists.Run {
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

var setTests = []test{
	{"each cut sets the indices of what it ends, and no others", func(d *databaseTest) {
		ev := event(audit.GrantCut, "")
		list := d.list(status.ForGrants).Number
		for i, cut := range []func(g grants.Grant){
			func(g grants.Grant) { d.must(d.s.RevokeGrant(d.ctx, g.ID, ev)) },
			func(g grants.Grant) { d.must(d.s.CutUser(d.ctx, g.UserID, ev)) },
			func(g grants.Grant) { d.must(d.s.SetPassword(d.ctx, g.UserID, "new", false, nil, ev)) },
			func(g grants.Grant) { d.must(d.s.CutClient(d.ctx, g.ClientID, ev)) },
			func(g grants.Grant) { d.must(d.s.SetUserDisabled(d.ctx, g.UserID, true, nil, ev)) },
			func(g grants.Grant) { d.must(d.s.SetClientDisabled(d.ctx, g.ClientID, true, ev)) },
			func(g grants.Grant) { d.must(d.s.EndSession(d.ctx, g.UserID, g.SessionID, ev)) },
			func(g grants.Grant) { d.endAll(g.UserID, "") },
			func(g grants.Grant) { d.must(d.s.DeleteUser(d.ctx, g.UserID, nil, ev)) },
			func(g grants.Grant) { d.must(d.s.DeleteClient(d.ctx, g.ClientID, nil, ev)) },
			func(g grants.Grant) { d.must(d.s.DeleteConsent(d.ctx, g.UserID, g.ClientID, ev)) },
		} {
			d.placed(fmt.Sprint("bystander", i), status.Ref{List: list, Index: int64(100 + i)})
			g := d.placed(fmt.Sprint("g", i), status.Ref{List: list, Index: int64(i)})
			// The grant has moved once: tokens may still refer to its former index.
			next := g.Refresh
			next.Generation++
			d.must(d.s.RotateGrant(d.ctx, g.ID, 1, next, status.Ref{List: list, Index: int64(200 + i)}, g.Status, noon))
			before := d.number()
			cut(g)
			d.equal(d.setBecause(before), []lists.Run{{List: list, First: int64(200 + i), Size: 1}, {List: list, First: int64(i), Size: 1}})
		}
		d.must(d.s.CutEverything(d.ctx, ev))
		all, err := d.other.StatusesSet(d.ctx, nil)
		d.must(err)
		d.equal(all[0], lists.Run{List: list, Size: size})
		// New indices come from another list.
		_, err = d.s.TakeStatusBlock(d.ctx, status.ForGrants, life, 64, "")
		if !errors.Is(err, indices.ErrNoRoom) {
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
		take := func(client string) indices.Block {
			d.Helper()
			b, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, client)
			d.must(err)
			return b
		}
		run := func(b indices.Block) lists.Run { return lists.Run{List: b.List, First: b.First, Size: b.Size} }
		set := func(want ...lists.Run) {
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
		d.equal(d.setBecause(before), []lists.Run{run(first)})
		second := take("a") // after the cut
		d.equal(second.Epoch, d.number())
		set(run(first))
		d.must(d.s.SetClientDisabled(d.ctx, "b", true, ev))
		set(run(first), run(other))
		d.must(d.s.SetClientDisabled(d.ctx, "b", false, ev))
		set(run(first))
		clear, err := d.s.StatusesClear(d.ctx, []string{"b"})
		d.must(err)
		d.equal(clear, []lists.Run{run(other)})
		before = d.number()
		d.must(d.s.CutToken(d.ctx, "t", noon, status.Ref{List: second.List, Index: second.First + 3}, ev))
		d.equal(d.setBecause(before), []lists.Run{{List: second.List, First: second.First + 3, Size: 1}})
		d.must(d.s.CutToken(d.ctx, "of a version before", noon, status.Ref{}, ev))
		d.must(d.s.DeleteClient(d.ctx, "a", nil, ev))
		set(run(first), run(second), lists.Run{List: second.List, First: second.First + 3, Size: 1})
		// Another client that gets the id later has other indices.
		d.client("a")
		third := take("a")
		set(run(first), run(second), lists.Run{List: second.List, First: second.First + 3, Size: 1})
		if third.First == first.First || third.First == second.First {
			d.Errorf("%v", third)
		}
	}},
}
