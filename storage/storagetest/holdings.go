package storagetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/config/limits"
)

var holdingTests = []test{
	{"what a client holds of a user, since when, and when it last used it", func(d *databaseTest) {
		d.user("u")
		d.user("other")
		d.session("u", "s")
		d.session("u", "ends")
		d.session("other", "of another")
		at := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
		made := func(hours, lasts int) func(*grants.Grant) {
			return func(g *grants.Grant) {
				g.CreatedAt, g.Refresh.IssuedAt = at(hours), at(hours)
				g.ExpiresAt, g.Refresh.ExpiresAt = at(hours+lasts), at(hours+lasts)
			}
		}
		for _, id := range []string{"one", "two", "past", "off", "gone", "theirs", "bare"} {
			d.client(id)
		}
		d.granted("s", "one", "one 1", made(1, 500))
		d.granted("s", "one", "one 2", made(2, 500))
		d.granted("s", "one", "one 3", made(3, 500))
		d.must(d.s.RevokeGrant(d.ctx, "one 1", event(audit.GrantCut, "")))
		next := grants.Refresh{Generation: 2, IssuedAt: at(9), ExpiresAt: at(600), KeyID: "k", Version: 1}
		d.must(d.s.RotateGrant(d.ctx, "one 2", 1, next, status.Ref{}, status.Ref{}, at(9)))
		// One grant that ended with its session, and one that did not.
		d.granted("ends", "two", "two bound", made(1, 500))
		d.granted("ends", "two", "two offline", func(g *grants.Grant) { made(4, 500)(g); g.Offline = true })
		d.must(d.s.EndSession(d.ctx, "u", "ends", event(audit.SessionEnded, "")))
		// Access that is over: the grant has expired; it was not refreshed for long; it
		// was cut with the client.
		d.granted("s", "past", "expired", made(1, 2))
		d.granted("s", "past", "idle", func(g *grants.Grant) { made(2, 500)(g); g.Refresh.ExpiresAt = at(4) })
		d.granted("s", "past", "cut", made(1, 500))
		d.must(d.s.CutClient(d.ctx, "past", event(audit.ClientCut, "past")))
		d.granted("s", "off", "off 1", made(5, 500))
		d.must(d.s.SetClientDisabled(d.ctx, "off", true, event(audit.ClientDisabled, "off")))
		d.granted("s", "gone", "gone 1", made(5, 500))
		d.must(d.s.DeleteClient(d.ctx, "gone", nil, event(audit.ClientDeleted, "gone")))
		d.granted("of another", "theirs", "theirs 1", made(5, 500))
		d.granted("of another", "one", "one 4", made(0, 500))
		// Without a refresh token, and of a version that recorded no permissions.
		d.granted("s", "bare", "bare 1", func(g *grants.Grant) {
			made(40, 100)(g)
			g.Refresh, g.Permissions = grants.Refresh{}, nil
		})

		recorded := permission.Granted{Audiences: []string{"x"}, Scopes: []string{"openid", "read"}, Permissions: []permission.Permission{{Scope: "openid"}, {Audience: "x", Scope: "read"}}}
		want := []consents.Holding{
			{ClientID: "bare", Since: at(40), LastUsed: at(40), Granted: []permission.Granted{{Audiences: []string{"x"}, Scopes: []string{"openid", "read"}}}},
			{ClientID: "off", Since: at(5), LastUsed: at(5), Granted: []permission.Granted{recorded}},
			{ClientID: "one", Since: at(2), LastUsed: at(9), Granted: []permission.Granted{recorded, recorded}},
			{ClientID: "past", LastUsed: at(2)},
			{ClientID: "two", Since: at(4), LastUsed: at(4), Granted: []permission.Granted{recorded}},
		}
		for i := range want {
			if !want[i].Since.IsZero() {
				want[i].Since = stored(want[i].Since)
			}
			want[i].LastUsed = stored(want[i].LastUsed)
		}
		got, err := d.other.Holdings(d.ctx, "u", at(50))
		d.must(err)
		d.equal(got, want)
		// While a token that was issued before may still be valid, the client has
		// access.
		got, err = d.other.Holdings(d.ctx, "u", at(5))
		d.must(err)
		if i := slices.IndexFunc(got, func(h consents.Holding) bool { return h.ClientID == "past" }); !got[i].Since.IsZero() {
			d.Errorf("what was cut holds: %+v", got[i])
		}
		none, err := d.s.Holdings(d.ctx, "nobody", at(50))
		d.must(err)
		d.equal(len(none), 0)
	}},
	{"an idle grant holds while a token of it may live", func(d *databaseTest) {
		d.grant("g")
		g, err := d.s.Grant(d.ctx, "g")
		d.must(err)
		for _, c := range []struct {
			now   time.Time
			holds bool
		}{
			{g.Refresh.ExpiresAt.Add(-time.Second), true},
			{g.Refresh.ExpiresAt, false}, // 7 days after it was issued
		} {
			got, err := d.s.Holdings(d.ctx, g.UserID, c.now)
			d.must(err)
			d.equal([]any{len(got), !got[0].Since.IsZero()}, []any{1, c.holds})
		}
		next := g.Refresh
		next.Generation, next.IssuedAt, next.ExpiresAt = 2, noon, noon.Add(time.Hour)
		d.must(d.s.RotateGrant(d.ctx, "g", 1, next, status.Ref{}, status.Ref{}, noon))
		for after, holds := range map[time.Duration]bool{2 * time.Hour: true, limits.MaxAccessTTL + time.Hour: true, limits.MaxAccessTTL + 3*time.Hour: false} {
			got, err := d.s.Holdings(d.ctx, g.UserID, noon.Add(after))
			d.must(err)
			d.equal(!got[0].Since.IsZero(), holds)
		}
	}},
	{"whoever gets the id of a client next has used nothing", func(d *databaseTest) {
		d.user("u")
		d.session("u", "s")
		d.client("c")
		d.granted("s", "c", "before", nil)
		d.must(d.s.DeleteClient(d.ctx, "c", nil, event(audit.ClientDeleted, "c")))
		d.must(d.s.CreateClient(d.ctx, clients.Client{ID: "c", CreatedAt: noon.Add(time.Minute)}, event(audit.ClientCreated, "c")))
		got, err := d.other.Holdings(d.ctx, "u", noon.Add(time.Hour))
		d.must(err)
		d.equal(len(got), 0)
		d.granted("s", "c", "after", func(g *grants.Grant) { g.CreatedAt = noon.Add(2 * time.Minute) })
		got, err = d.other.Holdings(d.ctx, "u", noon.Add(time.Hour))
		d.must(err)
		d.equal(got[0].Since, stored(noon.Add(2*time.Minute)))
	}},
	{"what many grants of a client record is told in part, and all count", func(d *databaseTest) {
		d.user("u")
		d.session("u", "s")
		for c, n := range map[string]int{"many": 25, "few": 2} {
			d.client(c)
			for i := range n {
				id := fmt.Sprint(c, " ", i)
				d.granted("s", c, id, func(g *grants.Grant) {
					g.CreatedAt = noon.Add(time.Duration(i) * time.Second)
					g.Refresh.IssuedAt = g.CreatedAt
					g.Permissions = []permission.Permission{{Scope: fmt.Sprint("s", i)}}
				})
			}
		}
		told := func() (told []string) {
			d.Helper()
			got, err := d.other.Holdings(d.ctx, "u", noon.Add(time.Hour))
			d.must(err)
			for _, h := range got {
				d.equal([]time.Time{h.Since, h.LastUsed}, []time.Time{stored(noon), stored(noon.Add(map[string]time.Duration{"many": 24, "few": 1}[h.ClientID] * time.Second))})
				scopes := h.ClientID + ":"
				for _, g := range h.Granted {
					scopes += " " + permission.Texts(g.Permissions)[0]
				}
				told = append(told, scopes)
			}
			return told
		}
		d.equal(told(), []string{"few: s1 s0", "many: s24 s23 s22 s21 s20 s19 s18 s17 s16 s15 s14 s13 s12 s11 s10 s9 s8 s7 s6 s5"})
		// Grants that no longer give access do not use up the limit.
		for i := 3; i < 25; i++ {
			d.must(d.s.RevokeGrant(d.ctx, fmt.Sprint("many ", i), event(audit.GrantCut, "")))
		}
		d.equal(told(), []string{"few: s1 s0", "many: s2 s1 s0"})
	}},
}
