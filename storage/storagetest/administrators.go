package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/storage"
)

// names returns the names of the users that a query selects.
func (d *databaseTest) names(q accounts.Query) (names []string) {
	d.Helper()
	list, err := d.other.Users(d.ctx, q)
	d.must(err)
	for _, u := range list {
		names = append(names, u.Username)
	}
	return names
}

// holder stores a user with roles who can sign in.
func (d *databaseTest) holder(id string, roles ...string) {
	d.Helper()
	d.must(d.s.CreateUser(d.ctx, accounts.User{ID: id, Username: id, Password: "$argon2id$…", Roles: roles}, event(audit.UserCreated, id)))
}

var errLast = errors.New("the last one")

// unlessLast allows a change if another user holds the role.
func unlessLast(_ accounts.User, others accounts.Others) error {
	another, err := others("boss")
	if err == nil && !another {
		err = errLast
	}
	return err
}

var administratorTests = []test{
	{"users come in pages, and by role", func(d *databaseTest) {
		for i, name := range alike {
			d.must(d.s.CreateUser(d.ctx, accounts.User{ID: fmt.Sprint(i), Username: name, Roles: []string{"a", fmt.Sprint("role", i%2)}}, event(audit.UserCreated, "")))
		}
		all := slices.Sorted(slices.Values(alike))
		d.equal(d.names(accounts.Query{}), all)
		var paged []string
		for after := ""; ; {
			page := d.names(accounts.Query{After: after, Limit: 2})
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			after = page[len(page)-1]
		}
		d.equal(paged, all)
		d.equal(len(d.names(accounts.Query{Role: "role0"})), (len(alike)+1)/2)
		d.equal(d.names(accounts.Query{Role: "role0", Limit: 1}), d.names(accounts.Query{Role: "role0"})[:1])
		for _, role := range append(slices.Clone(notText), "ROLE0", "role", "ole0", "%", `"`, `","`, "role_") {
			d.equal(d.names(accounts.Query{Role: role}), []string(nil))
		}
	}},
	{"forms that several users have are found at once", func(d *databaseTest) {
		d.must(d.createUser(d.s, "minji", "minji@test.example"))
		d.must(d.createUser(d.s, "junho@test.example", "junho@test.example"))
		d.must(d.createUser(d.s, "none", ""))
		d.olderUser("a", "team@test.example")
		d.olderUser("b", "team@test.example")
		d.olderUser("c", "minji")
		d.must(d.s.RenewEmailForms(d.ctx))
		var forms []string
		for i := range 1200 { // more than one statement names
			forms = append(forms, fmt.Sprint("form ", i))
		}
		shared, err := d.other.SharedForms(d.ctx, append(forms, "minji@test.example", "junho@test.example", "team@test.example", "minji", "none", "a"))
		d.must(err)
		slices.Sort(shared)
		d.equal(shared, []string{"minji", "team@test.example"})
	}},
	{"the last who holds a role and can sign in is known", func(d *databaseTest) {
		ev := event(audit.UserUpdated, "")
		d.holder("one", "x", "boss")
		d.holder("loud", "BOSS", "bossy")
		d.must(d.s.CreateUser(d.ctx, accounts.User{ID: "nobody's", Username: "without a password", Roles: []string{"boss"}}, ev))
		d.holder("two", "boss")
		d.must(d.s.SetUserDisabled(d.ctx, "two", true, nil, ev))
		give := func(id string, roles ...string) error {
			return d.s.UpdateUser(d.ctx, id, func(u *accounts.User, others accounts.Others) (*audit.Event, error) {
				u.Roles = roles
				return &ev, unlessLast(*u, others)
			})
		}
		for _, act := range []func() error{
			func() error { return d.s.SetUserDisabled(d.ctx, "one", true, unlessLast, ev) },
			func() error { return d.s.SetPassword(d.ctx, "one", "x", false, unlessLast, ev) },
			func() error { return d.s.DeleteUser(d.ctx, "one", unlessLast, ev) },
			func() error { return give("one", "x") },
		} {
			d.refuses(errLast, act)
		}
		d.must(d.s.SetUserDisabled(d.ctx, "two", false, nil, ev))
		// Of two at once, each of whom sees the other, one is left.
		d.oneWins(d.atOnce(2, func(i int, s *storage.Store) error {
			return s.DeleteUser(d.ctx, []string{"one", "two"}[i], unlessLast, ev)
		}), errLast)
		for _, id := range append(slices.Clone(notText), "missing") {
			d.refuses(accounts.ErrNotFound, func() error { return d.s.DeleteUser(d.ctx, id, unlessLast, ev) })
			d.refuses(accounts.ErrNotFound, func() error { return d.s.SetPassword(d.ctx, id, "x", false, unlessLast, ev) })
		}
	}},
	{"a list of sessions goes on after each of them", func(d *databaseTest) {
		d.user("u")
		d.user("v")
		for i := range 7 {
			id := fmt.Sprint("s", i)
			d.must(d.begin(d.s, []string{"u", "v"}[i%2], id, func(s *sessions.Session) { s.CreatedAt = noon.Add(time.Duration(i/3) * time.Second) }))
		}
		ids := func(q sessions.Query) (ids []string, last sessions.Place) {
			list, err := All(d.other.ListSessions(d.ctx, q, noon))
			d.must(err)
			for _, s := range list {
				ids, last = append(ids, s.ID), sessions.Place{CreatedAt: s.CreatedAt, ID: s.ID}
			}
			return ids, last
		}
		for user, want := range map[string][]string{"": {"s6", "s3", "s4", "s5", "s0", "s1", "s2"}, "u": {"s6", "s4", "s0", "s2"}, "w": nil} {
			var got []string
			for q := (sessions.Query{UserID: user, Limit: 2}); ; {
				page, last := ids(q)
				got = append(got, page...)
				if len(page) == 0 {
					break
				}
				q.After = last
			}
			d.equal(got, want)
		}
		// What has ended meanwhile is still a place in the list.
		d.must(d.s.EndSession(d.ctx, "v", "s3", event(audit.SessionEnded, "s3")))
		rest, _ := ids(sessions.Query{After: sessions.Place{CreatedAt: noon.Add(time.Second), ID: "s3"}, Limit: 1})
		d.equal(rest, []string{"s4"})
		user, err := d.other.SessionUser(d.ctx, "s3")
		d.must(err)
		d.equal(user, "v")
	}},
}
