package storagetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
)

var grantTests = []test{
	{"a code comes back as it went in, with the epochs as they were", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.session("u", "s")
		want := d.code("s", "c", "x")
		got, err := d.other.Code(d.ctx, hash("x"))
		d.must(err)
		want.UserID, want.ClientEpoch, want.UserEpoch, want.AuthenticatedAt, want.ExpiresAt = "u", 1, 2, stored(noon), stored(want.ExpiresAt)
		d.equal(got, want)
		if _, err := d.s.Code(d.ctx, hash("y")); !errors.Is(err, grants.ErrNotFound) {
			d.Fatal(err)
		}
	}},
	{"a code and its grant hold the permissions, or that none were recorded", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.session("u", "s")
		for i, want := range [][]permission.Permission{nil, {}, {{Scope: "openid"}}, {{Audience: "https://a.test/x", Scope: "read"}, {Audience: "b", Scope: "read"}}} {
			x, id := fmt.Sprint("x", i), fmt.Sprint("g", i)
			d.must(d.s.SaveCode(d.ctx, hash(x), grants.Code{ClientID: "c", SessionID: "s", Permissions: want, ExpiresAt: noon.Add(time.Minute)}, noon))
			d.must(d.s.RedeemCode(d.ctx, hash(x), noon, d.grantOf(x, id)))
			c, err := d.other.Code(d.ctx, hash(x))
			d.must(err)
			g, err := d.other.Grant(d.ctx, id)
			d.must(err)
			listed, err := d.other.ListedGrant(d.ctx, id)
			d.must(err)
			for _, got := range [][]permission.Permission{c.Permissions, g.Permissions, listed.Permissions} {
				d.equal(got, want)
				d.equal(got == nil, want == nil)
			}
		}
	}},
	{"of many redemptions at once one succeeds", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.session("u", "s")
		d.code("s", "c", "x")
		g := d.grantOf("x", "")
		d.oneWins(d.atOnce(16, func(i int, s *storage.Store) error {
			mine := g
			mine.ID = fmt.Sprint("grant ", i)
			return s.RedeemCode(d.ctx, hash("x"), noon, mine)
		}), grants.ErrNotFound)
		ids := d.searched(grants.Query{UserID: "u"})
		d.equal(len(ids), 1)
		c, err := d.s.Code(d.ctx, hash("x"))
		d.must(err)
		d.equal([]any{c.GrantID, c.UsedAt.IsZero()}, []any{ids[0], false})
	}},
	{"a grant begins as it went in, where its session stands", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.session("u", "s")
		d.code("s", "c", "x")
		redeemed := d.grantOf("x", "redeemed")
		redeemed.Status = status.Ref{List: 7, Index: 9}
		d.must(d.s.RedeemCode(d.ctx, hash("x"), noon, redeemed))
		epochs, err := d.other.Epochs(d.ctx, "s", "c", noon)
		d.must(err)
		d.equal(epochs, grants.Epochs{User: redeemed.UserEpoch, Client: redeemed.ClientEpoch, Server: redeemed.ServerEpoch})
		begun := redeemed
		begun.ID = "begun"
		d.must(d.s.BeginGrant(d.ctx, begun, noon))
		// The row is the same, whether the grant came from a code or from BeginGrant.
		want, err := d.other.Grant(d.ctx, "redeemed")
		d.must(err)
		got, err := d.other.Grant(d.ctx, "begun")
		d.must(err)
		want.ID, want.Age, got.Age = "begun", 0, 0
		d.equal(got, want)
		d.stands("begun", true)
	}},
	{"the audit log tells that a grant has begun, and from where", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.session("u", "s")
		d.code("s", "c", "x")
		before := len(d.events())
		redeemed := d.grantOf("x", "redeemed")
		redeemed.Scopes = []string{"openid", "read"}
		begun := redeemed
		begun.ID = "begun"
		ctx := audit.With(d.ctx, &audit.Origin{Address: "2001:db8::1"})
		d.must(d.s.RedeemCode(ctx, hash("x"), noon, redeemed))
		d.must(d.s.BeginGrant(ctx, begun, noon))
		for i, id := range []string{"redeemed", "begun"} {
			d.equal(d.events()[before+i], audit.Event{
				At: stored(redeemed.CreatedAt), Actor: "user:u", Action: audit.GrantBegun, Subject: id,
				Details: map[string]string{"user": "u", "client_id": "c", "session": "s", "scope": "openid read", "address": "2001:db8::1"},
			})
		}
		// What does not begin is not told.
		redeemed.ID = "again"
		d.refuses(grants.ErrNotFound, func() error { return d.s.RedeemCode(ctx, hash("x"), noon, redeemed) })
		begun.SessionID = "none"
		d.refuses(grants.ErrNotFound, func() error { return d.s.BeginGrant(ctx, begun, noon) })
		d.equal(len(d.events()), before+2)
	}},
	{"a grant does not begin where something was cut, or the session has expired", func(d *databaseTest) {
		ev := event(audit.UserCut, "")
		for i, cut := range []func(user, client, session string) time.Time{
			func(_, _, _ string) time.Time { return noon.Add(time.Hour) },
			func(u, _, _ string) time.Time { d.must(d.s.CutUser(d.ctx, u, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.CutClient(d.ctx, c, ev)); return noon },
			func(_, _, _ string) time.Time { d.must(d.s.CutEverything(d.ctx, ev)); return noon },
			func(u, _, s string) time.Time { d.must(d.s.EndSession(d.ctx, u, s, ev)); return noon },
			func(u, _, _ string) time.Time { d.endAll(u, ""); return noon },
			func(u, _, _ string) time.Time { d.must(d.s.SetUserDisabled(d.ctx, u, true, nil, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.SetClientDisabled(d.ctx, c, true, ev)); return noon },
			func(u, _, _ string) time.Time { d.must(d.s.DeleteUser(d.ctx, u, nil, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.DeleteClient(d.ctx, c, nil, ev)); return noon },
		} {
			u, c, s, x := fmt.Sprint("u", i), fmt.Sprint("c", i), fmt.Sprint("s", i), fmt.Sprint("x", i)
			d.client(c)
			d.user(u)
			d.session(u, s)
			d.code(s, c, x)
			g := d.grantOf(x, "g")
			if err := d.other.BeginGrant(d.ctx, g, cut(u, c, s)); !errors.Is(err, grants.ErrNotFound) {
				d.Errorf("%d: %v", i, err)
			}
		}
		// Nor does a grant in another user's session, or to a client that does not
		// exist.
		d.client("c")
		d.user("u")
		d.user("other")
		d.session("u", "s")
		d.code("s", "c", "x")
		for what, change := range map[string]func(g *grants.Grant){
			"another's session": func(g *grants.Grant) { g.UserID = "other" },
			"no session":        func(g *grants.Grant) { g.SessionID = "none" },
			"no client":         func(g *grants.Grant) { g.ClientID = "none" },
		} {
			g := d.grantOf("x", "g")
			change(&g)
			if err := d.other.BeginGrant(d.ctx, g, noon); !errors.Is(err, grants.ErrNotFound) {
				d.Errorf("%s: %v", what, err)
			}
		}
		// A client that was cut a moment ago gets new grants, under its new epoch.
		d.must(d.s.CutClient(d.ctx, "c", ev))
		if err := d.other.BeginGrant(d.ctx, d.grantOf("x", "g"), noon); !errors.Is(err, grants.ErrNotFound) {
			d.Errorf("under the epoch of before: %v", err)
		}
		g := d.grantOf("x", "g")
		epochs, err := d.other.Epochs(d.ctx, "s", "c", noon)
		d.must(err)
		g.ClientEpoch = epochs.Client
		d.must(d.other.BeginGrant(d.ctx, g, noon))
		d.stands("g", true)
	}},
	{"there are no epochs for a grant that cannot begin", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.session("u", "s")
		for _, of := range [][2]string{{"none", "c"}, {"s", "none"}, {"s", "c"}} {
			if of == [2]string{"s", "c"} {
				d.must(d.s.EndSession(d.ctx, "u", "s", event(audit.SessionEnded, "s")))
			}
			if _, err := d.other.Epochs(d.ctx, of[0], of[1], noon); !errors.Is(err, grants.ErrNotFound) {
				d.Errorf("%v: %v", of, err)
			}
		}
	}},
	{"a code that has expired or was cut is not redeemed", func(d *databaseTest) {
		ev := event(audit.UserCut, "")
		for i, cut := range []func(user, client, session string) time.Time{
			func(_, _, _ string) time.Time { return noon.Add(time.Minute) },
			func(u, _, _ string) time.Time { d.must(d.s.CutUser(d.ctx, u, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.CutClient(d.ctx, c, ev)); return noon },
			func(_, _, _ string) time.Time { d.must(d.s.CutEverything(d.ctx, ev)); return noon },
			func(u, _, s string) time.Time { d.must(d.s.EndSession(d.ctx, u, s, ev)); return noon },
			func(u, _, _ string) time.Time { d.endAll(u, ""); return noon },
			func(u, _, _ string) time.Time { d.must(d.s.SetUserDisabled(d.ctx, u, true, nil, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.SetClientDisabled(d.ctx, c, true, ev)); return noon },
			func(u, _, _ string) time.Time { d.must(d.s.DeleteUser(d.ctx, u, nil, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.DeleteClient(d.ctx, c, nil, ev)); return noon },
		} {
			u, c, s, x := fmt.Sprint("u", i), fmt.Sprint("c", i), fmt.Sprint("s", i), fmt.Sprint("x", i)
			d.client(c)
			d.user(u)
			d.session(u, s)
			d.code(s, c, x)
			g := d.grantOf(x, "g")
			if err := d.other.RedeemCode(d.ctx, hash(x), cut(u, c, s), g); !errors.Is(err, grants.ErrNotFound) {
				d.Errorf("%d: %v", i, err)
			}
		}
	}},
	{"a grant stands until it, its owners or its session are cut", func(d *databaseTest) {
		ev := event(audit.GrantCut, "")
		for i, cut := range []func(g grants.Grant){
			func(g grants.Grant) { d.must(d.s.RevokeGrant(d.ctx, g.ID, ev)) },
			func(g grants.Grant) { d.must(d.s.CutUser(d.ctx, g.UserID, ev)) },
			func(g grants.Grant) { d.must(d.s.CutClient(d.ctx, g.ClientID, ev)) },
			func(grants.Grant) { d.must(d.s.CutEverything(d.ctx, ev)) },
			func(g grants.Grant) { d.must(d.s.SetUserDisabled(d.ctx, g.UserID, true, nil, ev)) },
			func(g grants.Grant) { d.must(d.s.SetClientDisabled(d.ctx, g.ClientID, true, ev)) },
			func(g grants.Grant) { d.must(d.s.EndSession(d.ctx, g.UserID, g.SessionID, ev)) },
			func(g grants.Grant) { d.endAll(g.UserID, "") },
			func(g grants.Grant) { d.must(d.s.DeleteUser(d.ctx, g.UserID, nil, ev)) },
			func(g grants.Grant) { d.must(d.s.DeleteClient(d.ctx, g.ClientID, nil, ev)) },
		} {
			g := d.grant(fmt.Sprint("g", i))
			d.stands(g.ID, true)
			cut(g)
			d.stands(g.ID, false)
		}
		d.refuses(nil, func() error { return d.s.RevokeGrant(d.ctx, "g0", ev) })
		d.refuses(grants.ErrNotFound, func() error { return d.s.RevokeGrant(d.ctx, "nothing", ev) })
	}},
	{"a grant says whether its session was ended, which an offline one survives", func(d *databaseTest) {
		for id, offline := range map[string]bool{"bound": false, "offline": true} {
			d.client("c" + id)
			d.user("u" + id)
			d.session("u"+id, "s"+id)
			d.code("s"+id, "c"+id, "code of "+id)
			g := d.grantOf("code of "+id, id)
			g.Offline = offline
			d.must(d.s.RedeemCode(d.ctx, hash("code of "+id), noon, g))
			for _, ended := range []bool{false, true} {
				got, err := d.other.Grant(d.ctx, id)
				d.must(err)
				d.equal([]bool{got.Stands, got.SessionEnded}, []bool{offline || !ended, ended})
				if !ended {
					d.must(d.s.EndSession(d.ctx, "u"+id, "s"+id, event(audit.SessionEnded, "")))
				}
			}
		}
	}},
	{"of many rotations at once one succeeds, and only from its generation", func(d *databaseTest) {
		g := d.grant("g")
		next := g.Refresh
		next.Generation = 2
		d.oneWins(d.atOnce(16, func(i int, s *storage.Store) error {
			return s.RotateGrant(d.ctx, "g", 1, next, status.Ref{}, status.Ref{}, noon)
		}), grants.ErrNotFound)
		got, err := d.other.Grant(d.ctx, "g")
		d.must(err)
		next.IssuedAt, next.ExpiresAt = stored(next.IssuedAt), stored(next.ExpiresAt)
		d.equal(got.Refresh, next)
		if got.Age < 0 || got.Age > time.Hour {
			d.Fatalf("it is %s old", got.Age)
		}
		for _, now := range []time.Time{g.Refresh.ExpiresAt, g.ExpiresAt} {
			if err := d.s.RotateGrant(d.ctx, "g", 2, next, status.Ref{}, status.Ref{}, now); !errors.Is(err, grants.ErrNotFound) {
				d.Fatalf("rotated after its end: %v", err)
			}
		}
	}},
	{"what has expired goes, and what is needed stays", func(d *databaseTest) {
		g := d.grant("g")
		_, err := d.s.CountGuess(d.ctx, "a", noon, noon)
		d.must(err)
		purged := func(now time.Time, want int) {
			d.Helper()
			n, err := d.s.Purge(d.ctx, now, 10, time.Time{})
			d.must(err)
			d.equal(n, want)
		}
		purged(noon.Add(time.Hour), 0)
		purged(noon.Add(2*time.Hour), 1)     // the code
		purged(noon.Add(25*time.Hour), 1)    // the guess
		purged(noon.Add(29*24*time.Hour), 0) // the session tells whether the grant stands
		purged(noon.Add(32*24*time.Hour), 1) // the grant
		// The session is kept longest, because its device is known by it; it began at
		// noon.
		known := func(want bool) {
			d.Helper()
			got, err := d.s.KnownDevice(d.ctx, g.UserID, hash("device of session of g"))
			d.must(err)
			d.equal(got, want)
		}
		purged(noon.Add(sessions.DeviceLife), 0)
		known(true)
		purged(noon.Add(sessions.DeviceLife+24*time.Hour+time.Second), 1)
		known(false)
		if _, err := d.s.Grant(d.ctx, g.ID); !errors.Is(err, grants.ErrNotFound) {
			d.Fatal(err)
		}
	}},
}
