package storagetest

import (
	"time"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/grants"
)

var overviewTests = []test{
	{"records are counted, and sessions and grants while they stand", func(d *databaseTest) {
		d.api("https://api.test")
		for _, id := range []string{"a", "b", "off"} {
			d.client(id)
		}
		for _, id := range []string{"u", "cut", "disabled"} {
			d.user(id)
			d.session(id, "of "+id)
			d.granted("of "+id, "a", "grant of "+id, nil)
		}
		d.session("u", "ended")
		d.granted("ended", "a", "bound", nil)
		d.granted("ended", "a", "offline", func(g *grants.Grant) { g.Offline = true })
		d.must(d.s.EndSession(d.ctx, "u", "ended", event(audit.SessionEnded, "ended")))
		d.granted("of u", "off", "of a client that is off", nil)
		d.granted("of u", "b", "revoked", nil)
		d.granted("of u", "b", "stands", nil)
		d.must(d.s.RevokeGrant(d.ctx, "revoked", event(audit.GrantCut, "revoked")))
		d.must(d.s.CutUser(d.ctx, "cut", event(audit.UserCut, "cut")))
		d.must(d.s.SetUserDisabled(d.ctx, "disabled", true, nil, event(audit.UserDisabled, "disabled")))
		d.must(d.s.SetClientDisabled(d.ctx, "off", true, event(audit.ClientDisabled, "off")))

		got, err := d.other.Counts(d.ctx, noon)
		d.must(err)
		d.equal(got, administration.Counts{
			Clients: administration.Count{N: 3, Disabled: 1}, APIs: administration.Count{N: 1}, Users: administration.Count{N: 3, Disabled: 1},
			Sessions: administration.Count{N: 1}, Grants: administration.Count{N: 3},
		})
		got, err = d.other.Counts(d.ctx, noon.Add(1000*24*time.Hour))
		d.must(err)
		d.equal([]int{got.Users.N, got.Sessions.N, got.Grants.N}, []int{3, 0, 0})
	}},
	{"moments of the audit log are those of an action since a time, the newest first", func(d *databaseTest) {
		var events []audit.Event
		for i := range 2500 { // this takes several statements
			ev := audit.Event{At: noon.Add(time.Duration(i) * time.Second), Actor: audit.Server, Action: audit.SignInRefused, Details: map[string]string{"count": "3"}}
			if i%2 == 1 {
				ev.Action, ev.Details = audit.TokenCut, nil
			}
			events = append(events, ev)
		}
		d.must(d.s.Record(d.ctx, events))
		for _, c := range []struct {
			of          audit.Action
			since, most int
			n, times    int
			more        bool
		}{
			{audit.SignInRefused, 0, 5000, 1250, 3, false},
			{audit.SignInRefused, 0, 1250, 1250, 3, true},
			{audit.SignInRefused, 0, 1100, 1100, 3, true},
			{audit.SignInRefused, 2490, 5000, 5, 3, false},
			{audit.TokenCut, 100, 5000, 1200, 1, false},
			{audit.UserCut, 0, 5000, 0, 0, false},
		} {
			moments, more, err := d.other.AuditMoments(d.ctx, c.of, noon.Add(time.Duration(c.since)*time.Second), c.most)
			d.must(err)
			d.equal([]any{len(moments), more}, []any{c.n, c.more})
			for i, m := range moments {
				d.equal(m.Times, c.times)
				if i > 0 && !m.At.Before(moments[i-1].At) {
					d.Fatalf("%s after %s", m.At, moments[i-1].At)
				}
			}
		}
	}},
	{"the schema has the version of the last migration", func(d *databaseTest) {
		status, err := d.s.MigrationStatus(d.ctx)
		d.must(err)
		v, err := d.other.Schema(d.ctx)
		d.must(err)
		d.equal(v, status[len(status)-1].Version)
	}},
}
