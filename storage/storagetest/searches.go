package storagetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/grants"
)

// searched returns the ids of what a search finds in pages of three, one after the other.
func (d *databaseTest) searched(q grants.Query) (ids []string) {
	d.Helper()
	q.Limit = 3
	for {
		page, err := d.other.SearchGrants(d.ctx, q, noon)
		d.must(err)
		if len(page.Grants) > q.Limit || page.Next != (grants.Place{}) && len(page.Grants) == 0 {
			d.Fatalf("a page of %d, and the next is after %v", len(page.Grants), page.Next)
		}
		for _, g := range page.Grants {
			ids = append(ids, g.ID)
		}
		if page.Next == (grants.Place{}) {
			return ids
		}
		q.After = page.Next
	}
}

var searchTests = []test{
	{"grants are found by whose they are, what was allowed, when and in which state", func(d *databaseTest) {
		const second = time.Second
		d.client("c")
		d.client("e")
		for _, user := range []string{"u", "v"} {
			d.user(user)
			d.session(user, "s of "+user)
		}
		for id, g := range map[string]struct {
			session, client string
			after           time.Duration
			scopes          []string
		}{
			"a1": {"s of u", "c", 1 * second, []string{"openid"}},
			"a2": {"s of u", "e", 1 * second, []string{"openid", "read"}},
			"b1": {"s of v", "c", 2 * second, []string{"read"}},
			"b2": {"s of v", "e", 2 * second, nil},
			"c1": {"s of u", "c", 3 * second, []string{"read.all"}},
			"c2": {"s of u", "e", 4 * second, []string{"read"}},
			"d1": {"s of u", "c", -time.Hour, []string{"read"}},
		} {
			d.granted(g.session, g.client, id, func(grant *grants.Grant) {
				grant.CreatedAt, grant.Scopes, grant.Offline = noon.Add(g.after), g.scopes, true
				if grant.ExpiresAt = noon.Add(time.Hour); id == "d1" {
					grant.ExpiresAt = noon
				}
			})
		}
		d.must(d.s.RevokeGrant(d.ctx, "c2", event(audit.GrantCut, "c2")))
		d.must(d.s.CutClient(d.ctx, "e", event(audit.ClientCut, "e")))
		after := stored(noon).Add(2 * second)
		for _, c := range []struct {
			q    grants.Query
			want string
		}{
			{grants.Query{}, "[c2 c1 b2 b1 a2 a1 d1]"},
			{grants.Query{UserID: "u"}, "[c2 c1 a2 a1 d1]"},
			{grants.Query{ClientID: "c"}, "[c1 b1 a1 d1]"},
			{grants.Query{SessionID: "s of v"}, "[b2 b1]"},
			{grants.Query{UserID: "u", ClientID: "e"}, "[c2 a2]"},
			{grants.Query{UserID: "v", SessionID: "s of u"}, "[]"},
			{grants.Query{Scope: "read"}, "[c2 b1 a2 d1]"},
			{grants.Query{Scope: "openid", UserID: "u"}, "[a2 a1]"},
			{grants.Query{Since: after}, "[c2 c1 b2 b1]"},
			{grants.Query{Before: after}, "[a2 a1 d1]"},
			{grants.Query{Since: after, Before: after.Add(time.Millisecond), ClientID: "c"}, "[b1]"},
			{grants.Query{State: grants.Live}, "[c1 b1 a1]"},
			{grants.Query{State: grants.Ended}, "[c2 b2 a2 d1]"},
			{grants.Query{State: grants.Unexpired}, "[c2 c1 b2 b1 a2 a1]"},
			{grants.Query{State: grants.Live, Scope: "read", SessionID: "s of v"}, "[b1]"},
			{grants.Query{UserID: "nobody"}, "[]"},
			{grants.Query{Scope: "\x00"}, "[]"},
		} {
			if got := fmt.Sprint(d.searched(c.q)); got != c.want {
				d.Errorf("%+v: %s, not %s", c.q, got, c.want)
			}
		}
		for _, id := range notText {
			for _, q := range []grants.Query{{UserID: id}, {ClientID: id}, {SessionID: id}} {
				if found := d.searched(q); found != nil {
					d.Errorf("%+v: %q", q, found)
				}
			}
			if _, err := d.s.ListedGrant(d.ctx, id); err == nil {
				d.Errorf("%q is a grant", id)
			}
		}
		Exec(d, d.url, "UPDATE clients SET name = 'C' WHERE id = 'c'")
		g, err := d.s.ListedGrant(d.ctx, "b1")
		d.must(err)
		d.equal([]any{g.ID, g.Stands, g.Username, g.ClientName, g.CreatedAt}, []any{"b1", true, "name of v", "C", after})
		d.must(d.s.DeleteUser(d.ctx, "v", nil, event(audit.UserDeleted, "v")))
		g, err = d.s.ListedGrant(d.ctx, "b1")
		d.must(err)
		d.equal([]any{g.Stands, g.Username}, []any{false, ""})
	}},
	{"grants of one moment are in pages as well", func(d *databaseTest) {
		g := d.grant("g")
		DoubleGrants(d, d.url, 5)
		ids := d.searched(grants.Query{UserID: g.UserID})
		sorted := slices.Clone(ids)
		slices.Sort(sorted)
		slices.Reverse(sorted)
		d.equal(len(slices.Compact(sorted)), 32)
		d.equal(ids, sorted)
	}},
	{"a page that has looked at 5,000 grants ends", func(d *databaseTest) {
		g := d.grant("g")
		DoubleGrants(d, d.url, 13)
		Exec(d, d.url, "UPDATE grants SET created_ms = created_ms - 1000, scopes = '[\"rare\"]' WHERE id = 'g'")
		q := grants.Query{UserID: g.UserID, Scope: "rare", Limit: 10}
		first, err := d.s.SearchGrants(d.ctx, q, noon)
		d.must(err)
		d.equal([]any{len(first.Grants), first.Next == grants.Place{}}, []any{0, false})
		q.After = first.Next
		second, err := d.s.SearchGrants(d.ctx, q, noon)
		d.must(err)
		d.equal([]any{len(second.Grants), second.Next == grants.Place{}}, []any{1, true})
		d.equal(second.Grants[0].ID, "g")
	}},
}
