package storagetest

import (
	"fmt"
	"strings"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/storage"
)

// createUser tries to store a user with a name and an address, whose id is the name.
func (d *databaseTest) createUser(s *storage.Store, username, email string) error {
	return s.CreateUser(d.ctx, accounts.User{ID: username, Username: username, Email: email, CreatedAt: noon}, event(audit.UserCreated, username))
}

// setUser tries to change the name and the address of a user.
func (d *databaseTest) setUser(s *storage.Store, id, username, email string) error {
	return s.UpdateUser(d.ctx, id, func(u *accounts.User, _ accounts.Others) (*audit.Event, error) {
		u.Username, u.Email = username, email
		ev := event(audit.UserUpdated, id)
		return &ev, nil
	})
}

// olderUser stores a user as a version without e-mail forms does, which allows two
// users the same address.
func (d *databaseTest) olderUser(username, email string) {
	d.Helper()
	Exec(d, d.url, fmt.Sprintf("INSERT INTO users (id, username, email, roles, claims, password, disabled, epoch, created_ms)"+
		" VALUES ('%[1]s', '%[1]s', '%[2]s', '[]', '{}', '', FALSE, 1, 0)", username, email))
}

// olderUpdate changes an address as a version without e-mail forms does.
func (d *databaseTest) olderUpdate(id, email string) {
	d.Helper()
	Exec(d, d.url, fmt.Sprintf("UPDATE users SET email = '%s' WHERE id = '%s'", email, id))
}

// found returns the ids of the users that a form finds.
func (d *databaseTest) found(form string) string {
	d.Helper()
	list, err := d.other.UsersByForm(d.ctx, form, 3)
	d.must(err)
	var ids []string
	for _, u := range list {
		ids = append(ids, u.ID)
	}
	return strings.Join(ids, " ")
}

var addressTests = []test{
	{"a user is found by name and by the form of the address", func(d *databaseTest) {
		d.must(d.createUser(d.s, "minji", "Minji@Example.COM"))
		d.must(d.createUser(d.s, "junho@example.com", "junho@example.com"))
		d.must(d.createUser(d.s, "over", "ÜBER.\uff2b\uff29\uff2d@Example.com"))
		d.must(d.createUser(d.s, "formless", "🔑@example.com"))
		d.must(d.createUser(d.s, "formless too", "🔑@example.com"))
		d.must(d.createUser(d.s, "none", ""))
		d.must(d.createUser(d.s, "none either", ""))
		for form, want := range map[string]string{
			"minji": "minji", "minji@example.com": "minji", "Minji@Example.COM": "", "MINJI": "",
			"junho@example.com": "junho@example.com junho@example.com", "über.kim@example.com": "over",
			"🔑@example.com": "", "": "", "%": "", "minji@example.com ": "", "nobody@example.com": "", "a\x00b": "", "\xff": "",
		} {
			if got := d.found(form); got != want {
				d.Errorf("%q finds %q, not %q", form, got, want)
			}
		}
		u, err := d.s.User(d.ctx, "minji")
		d.must(err)
		list, err := d.other.UsersByForm(d.ctx, "minji@example.com", 3)
		d.must(err)
		d.equal(list, []accounts.User{u})
		d.must(d.s.DeleteUser(d.ctx, "minji", nil, event(audit.UserDeleted, "minji")))
		d.equal(d.found("minji@example.com"), "")
	}},
	{"an address is one user's, and no name of another", func(d *databaseTest) {
		d.must(d.createUser(d.s, "minji", "Minji@Example.com"))
		d.must(d.createUser(d.s, "junho@example.com", ""))
		d.must(d.createUser(d.s, "sora", "sora@example.com"))
		for _, c := range []struct {
			username, email string
			want            error
		}{
			{"x", "Minji@Example.com", accounts.ErrEmailExists}, {"x", "MINJI@EXAMPLE.COM", accounts.ErrEmailExists},
			{"x", "\uff4dinji@example.com", accounts.ErrEmailExists}, {"x", "Junho@example.com", accounts.ErrEmailIsUsername},
			{"minji@example.com", "", accounts.ErrUsernameIsEmail}, {"minji@example.com", "minji@example.com", accounts.ErrUsernameIsEmail},
			{"minji", "minji@example.com", accounts.ErrExists},
		} {
			d.refuses(c.want, func() error { return d.createUser(d.s, c.username, c.email) })
			if c.username != "minji" {
				d.refuses(c.want, func() error { return d.setUser(d.s, "sora", c.username, c.email) })
			}
		}
		d.equal(d.found("sora")+d.found("sora@example.com")+d.found("x"), "sorasora")
		// Allowed: the user's own address as name, the same address in another
		// spelling, no address, and an address that another user has given up.
		for _, c := range [][3]string{
			{"sora", "sora@example.com", "SORA@example.com"}, {"sora", "sora@example.com", ""}, {"sora", "sora", "sora@example.com"},
			{"minji", "minji", ""}, {"sora", "sora", "minji@example.com"}, {"minji", "minji", "sora@example.com"},
			{"junho@example.com", "junho", "junho@example.com"},
		} {
			d.must(d.setUser(d.s, c[0], c[1], c[2]))
		}
		d.equal(d.found("minji@example.com")+" "+d.found("sora@example.com")+" "+d.found("junho@example.com"), "sora minji junho@example.com")
	}},
	{"of several that take an address at once one gets it", func(d *databaseTest) {
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			return d.createUser(s, fmt.Sprint("new ", i), []string{"x@example.com", "X@Example.com", "\uff58@example.com"}[i%3])
		}), accounts.ErrEmailExists)
		for i := range 8 {
			d.must(d.createUser(d.s, fmt.Sprint(i), ""))
		}
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			return d.setUser(s, fmt.Sprint(i), fmt.Sprint(i), "y@example.com")
		}), accounts.ErrEmailExists)
		// One user with the address, and others, new and existing ones, with it as
		// their name.
		for i := range 8 {
			d.must(d.setUser(d.s, fmt.Sprint(i), fmt.Sprint(i), ""))
		}
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			switch i % 4 {
			case 0:
				return d.setUser(s, fmt.Sprint(i), fmt.Sprint(i), "z@example.com")
			case 1:
				return d.setUser(s, fmt.Sprint(i), "z@example.com", "")
			case 2:
				return d.createUser(s, fmt.Sprint("another ", i), "z@example.com")
			}
			return s.CreateUser(d.ctx, accounts.User{ID: fmt.Sprint("another ", i), Username: "z@example.com"}, event(audit.UserCreated, ""))
		}), accounts.ErrExists, accounts.ErrEmailExists, accounts.ErrEmailIsUsername, accounts.ErrUsernameIsEmail)
	}},
	{"who shared an address before goes on, and nobody else comes to it", func(d *databaseTest) {
		for _, name := range []string{"a", "b", "c"} {
			d.olderUser(name, "Team@example.com")
		}
		d.olderUser("team2@example.com", "")
		d.olderUser("d", "team2@example.com")
		d.must(d.s.RenewEmailForms(d.ctx))
		d.equal(len(strings.Fields(d.found("team@example.com"))), 3)
		ev := event(audit.UserUpdated, "")
		for _, id := range []string{"a", "d", "team2@example.com"} {
			d.must(d.s.UpdateUser(d.ctx, id, func(u *accounts.User, _ accounts.Others) (*audit.Event, error) {
				u.Roles = []string{"role"}
				return &ev, nil
			}))
		}
		d.must(d.setUser(d.s, "a", "a2", "Team@example.com"))
		d.must(d.setUser(d.s, "d", "d2", "team2@example.com"))
		d.refuses(accounts.ErrEmailExists, func() error { return d.setUser(d.s, "a", "a2", "team@example.com") })
		d.refuses(accounts.ErrEmailExists, func() error { return d.createUser(d.s, "e", "team@example.com") })
		d.refuses(accounts.ErrUsernameIsEmail, func() error { return d.createUser(d.s, "team@example.com", "") })
		d.must(d.setUser(d.s, "a", "a", ""))
		d.must(d.setUser(d.s, "b", "b", "b@example.com"))
		d.equal(d.found("team@example.com"), "c")
		d.refuses(accounts.ErrEmailExists, func() error { return d.setUser(d.s, "a", "a", "team@example.com") })
	}},
	{"what an older version writes beside this one is found once its form was renewed", func(d *databaseTest) {
		d.must(d.createUser(d.s, "minji", "minji@example.com"))
		d.must(d.createUser(d.s, "junho", "junho@example.com"))
		d.must(d.createUser(d.s, "sora", "sora@example.com"))
		d.must(d.createUser(d.s, "over", "ÜBER@example.com"))
		d.must(d.createUser(d.s, "formless", "🔑@example.com"))
		d.olderUser("new", "New@example.com")
		d.olderUser("newer", "ÑEW@example.com")
		d.olderUser("newest", "🔑@example.com")
		d.olderUser("none", "")
		d.olderUpdate("minji", "Other@example.com")
		d.olderUpdate("sora", "")
		// An address that its user has given up is free, whatever the stale form says.
		d.must(d.setUser(d.s, "junho", "junho", "minji@example.com"))
		d.must(d.setUser(d.s, "junho", "sora@example.com", "minji@example.com"))
		number, log := d.number(), d.events()
		for range 2 {
			for _, err := range d.atOnce(2, func(_ int, s *storage.Store) error { return s.RenewEmailForms(d.ctx) }) {
				d.must(err)
			}
			for form, want := range map[string]string{
				"minji@example.com": "junho", "other@example.com": "minji", "new@example.com": "new", "ñew@example.com": "newer", "über@example.com": "over",
				"sora@example.com": "junho",
			} {
				d.equal(d.found(form), want)
			}
		}
		// This was no change of any user.
		d.equal(d.number(), number)
		d.equal(d.events(), log)
		d.refuses(accounts.ErrEmailExists, func() error { return d.createUser(d.s, "x", "new@example.com") })
	}},
	{"many forms are renewed", func(d *databaseTest) {
		var values []string
		for i := range 2100 {
			values = append(values, fmt.Sprintf("('%05[1]d', '%05[1]d', 'U%[1]d@Example.com', '[]', '{}', '', FALSE, 1, 0)", i))
		}
		Exec(d, d.url, "INSERT INTO users (id, username, email, roles, claims, password, disabled, epoch, created_ms) VALUES "+strings.Join(values, ", "))
		d.must(d.s.RenewEmailForms(d.ctx))
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM users WHERE email_form = LOWER(email)"), 2100)
	}},
}
