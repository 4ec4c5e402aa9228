package storagetest

import (
	"errors"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/storage"
)

// link stores a link of a user, under the hash of a token.
func (d *databaseTest) link(user string, kind accounts.LinkKind, token string) {
	d.Helper()
	l := accounts.Link{UserID: user, Kind: kind, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	d.must(d.s.AddLink(d.ctx, l, hash(token), nil, event(audit.UserLinkMade, user)))
}

// opens expects that the links of some tokens stand at a time, and lead to a user.
func (d *databaseTest) opens(user string, now time.Time, tokens ...string) {
	d.Helper()
	for _, token := range tokens {
		u, _, err := d.other.LinkOwner(d.ctx, hash(token), now)
		d.must(err)
		d.equal(u.ID, user)
	}
}

// dead expects that the links of some tokens do not stand at a time, and cannot be used.
func (d *databaseTest) dead(now time.Time, tokens ...string) {
	d.Helper()
	for _, token := range tokens {
		d.refuses(accounts.ErrNoLink, func() error { _, _, err := d.other.LinkOwner(d.ctx, hash(token), now); return err })
		d.refuses(accounts.ErrNoLink, func() error { return d.s.UseLink(d.ctx, hash(token), now, "x", event(audit.UserPasswordSet, "u")) })
	}
}

var linkTests = []test{
	{"a link sets a password once, and ends everything of its user", func(d *databaseTest) {
		d.user("u")
		d.session("u", "s")
		ev := event(audit.UserLinkMade, "u")
		l := accounts.Link{UserID: "u", Kind: accounts.Reset, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}
		d.changes(changes.User, "u", ev, func() error { return d.s.AddLink(d.ctx, l, hash("a"), nil, ev) })
		d.link("u", accounts.Invitation, "b")
		d.dead(noon, "unknown")
		// Making and reading a link ends nothing.
		d.equal(d.signedIn("u", noon), []string{"s"})
		d.opens("u", noon, "a", "b")
		u, kind, err := d.other.LinkOwner(d.ctx, hash("a"), noon)
		d.must(err)
		want, err := d.s.User(d.ctx, "u")
		d.must(err)
		d.equal(u, want)
		d.equal(kind, accounts.Reset)
		ev = event(audit.UserPasswordSet, "u")
		d.changes(changes.User, "u", ev, func() error { return d.s.UseLink(d.ctx, hash("a"), noon, "new", ev) })
		u, err = d.other.User(d.ctx, "u")
		d.must(err)
		d.equal([]any{u.Password, u.Epoch}, []any{"new", d.number()})
		d.equal(d.signedIn("u", noon), []string{})
		d.dead(noon, "a", "b")
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM password_links"), 0)
	}},
	{"of several uses of a link at once one sets the password", func(d *databaseTest) {
		d.user("u")
		d.link("u", accounts.Reset, "a")
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			return s.UseLink(d.ctx, hash("a"), noon, string(rune('a'+i)), event(audit.UserPasswordSet, "u"))
		}), accounts.ErrNoLink)
	}},
	{"a new link of a kind ends the former one of that user", func(d *databaseTest) {
		d.user("u")
		d.user("other")
		d.link("other", accounts.Reset, "of another")
		for _, token := range []string{"a", "b"} {
			d.link("u", accounts.Invitation, "invitation")
			d.link("u", accounts.Reset, token)
		}
		d.dead(noon, "a")
		d.opens("u", noon, "b", "invitation")
		d.opens("other", noon, "of another")
	}},
	{"a link stands until it expires, or its user is cut, disabled, deleted or gets a password", func(d *databaseTest) {
		ev := event(audit.UserPasswordSet, "u")
		for name, end := range map[string]func(user string) error{
			"password":  func(u string) error { return d.s.SetPassword(d.ctx, u, "new", false, nil, ev) },
			"temporary": func(u string) error { return d.s.SetPassword(d.ctx, u, "new", true, nil, ev) },
			// As a version does that does not know of links.
			"older": func(u string) error {
				Exec(d, d.url, "UPDATE users SET password = 'new', epoch = epoch + 100 WHERE id = 'older'")
				return nil
			},
			"cut": func(u string) error { return d.s.CutUser(d.ctx, u, ev) },
			"disabled": func(u string) error {
				return errors.Join(d.s.SetUserDisabled(d.ctx, u, true, nil, ev), d.s.SetUserDisabled(d.ctx, u, false, nil, ev))
			},
			"deleted": func(u string) error { return d.s.DeleteUser(d.ctx, u, nil, ev) },
		} {
			d.user(name)
			d.link(name, accounts.Reset, name)
			d.opens(name, noon.Add(time.Hour-time.Second), name)
			d.must(end(name))
			d.dead(noon, name)
		}
		d.user("u")
		d.link("u", accounts.Reset, "a")
		d.dead(noon.Add(time.Hour), "a")
		d.must(d.s.SetUserDisabled(d.ctx, "u", true, nil, ev))
		d.dead(noon, "a")
		// A link of before a cut of everything does not stand, nor does one of a backup.
		d.user("v")
		d.link("v", accounts.Reset, "b")
		d.must(d.s.CutEverything(d.ctx, ev))
		d.dead(noon, "b")
		d.link("v", accounts.Reset, "c")
		d.opens("v", noon, "c")
	}},
	{"a link ends when its user becomes an administrator", func(d *databaseTest) {
		d.user("u")
		give := func(roles ...string) {
			d.Helper()
			d.must(d.s.UpdateUser(d.ctx, "u", func(u *accounts.User, _ accounts.Others) (*audit.Event, error) {
				u.Roles = append(u.Roles[:0], roles...)
				ev := event(audit.UserUpdated, "u")
				return &ev, nil
			}))
		}
		give("a", "b")
		d.link("u", accounts.Reset, "first")
		give("a", "c")
		d.opens("u", noon, "first")
		give("a", "ingam:keys:read")
		d.dead(noon, "first")
		d.link("u", accounts.Reset, "second")
		give("ingam:keys:read")
		give()
		d.opens("u", noon, "second")
		give("ingam:admin")
		d.dead(noon, "second")
	}},
	{"a link is refused as allow says, and to nobody", func(d *databaseTest) {
		d.user("u")
		no := errors.New("no")
		ev := event(audit.UserLinkMade, "u")
		d.refuses(no, func() error {
			return d.s.AddLink(d.ctx, accounts.Link{UserID: "u"}, hash("a"), func(u accounts.User, _ accounts.Others) error {
				d.equal(u.ID, "u")
				return no
			}, ev)
		})
		for _, id := range append([]string{"nobody"}, notText...) {
			d.refuses(accounts.ErrNotFound, func() error { return d.s.AddLink(d.ctx, accounts.Link{UserID: id}, hash("a"), nil, ev) })
		}
		d.dead(noon, "a")
	}},
	{"expired links go, others stay", func(d *databaseTest) {
		d.user("u")
		d.link("u", accounts.Reset, "a")
		_, err := d.s.Purge(d.ctx, noon.Add(time.Minute), 10, time.Time{})
		d.must(err)
		d.opens("u", noon, "a")
		n, err := d.s.Purge(d.ctx, noon.Add(2*time.Hour), 10, time.Time{})
		d.must(err)
		d.equal(n, 1)
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM password_links"), 0)
	}},
	{"a password that must be changed is none to older versions, and what they set counts", func(d *databaseTest) {
		d.must(d.s.CreateUser(d.ctx, accounts.User{ID: "u", Username: "u", Password: "first", MustChange: true, CreatedAt: noon}, event(audit.UserCreated, "u")))
		is := func(password string, mustChange bool) {
			d.Helper()
			u, err := d.other.User(d.ctx, "u")
			d.must(err)
			d.equal([]any{u.Password, u.MustChange}, []any{password, mustChange})
			older := 0
			if !mustChange {
				older = 1
			}
			d.equal(Count(d, d.url, "SELECT COUNT(*) FROM users WHERE password <> ''"), older)
		}
		is("first", true)
		d.must(d.s.UpdateUser(d.ctx, "u", func(u *accounts.User, _ accounts.Others) (*audit.Event, error) {
			u.Roles = []string{"r"}
			ev := event(audit.UserUpdated, "u")
			return &ev, nil
		}))
		is("first", true)
		ev := event(audit.UserPasswordSet, "u")
		d.changes(changes.User, "u", ev, func() error { return d.s.SetPassword(d.ctx, "u", "second", false, nil, ev) })
		is("second", false)
		d.changes(changes.User, "u", ev, func() error { return d.s.SetPassword(d.ctx, "u", "third", true, nil, ev) })
		is("third", true)
		Exec(d, d.url, "UPDATE users SET password = 'fourth' WHERE id = 'u'")
		is("fourth", false)
		d.must(d.s.SetPassword(d.ctx, "u", "fifth", true, nil, ev))
		is("fifth", true)
		d.link("u", accounts.Reset, "a")
		d.must(d.s.UseLink(d.ctx, hash("a"), noon, "sixth", ev))
		is("sixth", false)
	}},
	{"a user with a password that must be changed can sign in all the same", func(d *databaseTest) {
		d.must(d.s.CreateUser(d.ctx, accounts.User{ID: "a", Username: "a", Roles: []string{"r"}, Password: "x", MustChange: true}, event(audit.UserCreated, "a")))
		d.must(d.s.CreateUser(d.ctx, accounts.User{ID: "b", Username: "b", Roles: []string{"r"}}, event(audit.UserCreated, "b")))
		for id, want := range map[string]bool{"a": false, "b": true} {
			d.refuses(nil, func() error {
				return d.s.UpdateUser(d.ctx, id, func(_ *accounts.User, others accounts.Others) (*audit.Event, error) {
					another, err := others("r")
					d.equal(another, want)
					return nil, err
				})
			})
		}
	}},
}
