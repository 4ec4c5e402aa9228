package storagetest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/storage"
)

func hash(s string) [32]byte { return sha256.Sum256([]byte(s)) }

// user stores a user.
func (d *databaseTest) user(id string) accounts.User {
	d.Helper()
	u := accounts.User{
		ID: id, Username: "name of " + id, Email: id + "@example.com", Roles: []string{"admin"}, Claims: accounts.Claims{"name": json.RawMessage(`"김민지"`), "number": json.RawMessage("9007199254740993"), "list": json.RawMessage(`[1.0,1e2,{"b":1,"a":0.10}]`)},
		Password: "$argon2id$…", CreatedAt: noon,
	}
	d.must(d.s.CreateUser(d.ctx, u, event(audit.UserCreated, id)))
	return u
}

func (d *databaseTest) epochOf(user string) changes.Number {
	d.Helper()
	u, err := d.s.User(d.ctx, user)
	d.must(err)
	return u.Epoch
}

// session begins a login session of a user.
func (d *databaseTest) session(user, id string) sessions.Session {
	d.Helper()
	s := sessions.Session{
		ID: id, UserID: user, UserEpoch: d.epochOf(user), AuthenticatedAt: noon, Methods: []string{"otp", "pwd"}, ContextClass: "2", CreatedAt: noon, SeenAt: noon,
		IdleAt: noon.Add(time.Hour), ExpiresAt: noon.Add(24 * time.Hour), Address: "192.0.2.1", UserAgent: "a browser",
	}
	d.must(d.s.BeginSession(d.ctx, s, hash(id), hash("device of "+id), event(audit.SessionBegun, id)))
	return s
}

// code stores a code of a session for a client.
func (d *databaseTest) code(session, client, code string) grants.Code {
	d.Helper()
	c := grants.Code{
		ClientID: client, RedirectURI: "https://app.test/cb", SessionID: session, Scopes: []string{"openid", "read"}, Audiences: []string{"x"},
		Permissions: []permission.Permission{{Scope: "openid"}, {Audience: "x", Scope: "read"}},
		Nonce:       "n", Challenge: "c", AuthenticatedAt: noon, Methods: []string{"otp", "pwd"}, ContextClass: "2", ExpiresAt: noon.Add(time.Minute),
	}
	d.must(d.s.SaveCode(d.ctx, hash(code), c, noon))
	return c
}

// grantOf returns the grant that a stored code is redeemed for.
func (d *databaseTest) grantOf(code, id string) grants.Grant {
	d.Helper()
	c, err := d.other.Code(d.ctx, hash(code))
	d.must(err)
	return grants.Grant{
		ID: id, ClientID: c.ClientID, UserID: c.UserID, SessionID: c.SessionID, Scopes: c.Scopes, Audiences: c.Audiences, Permissions: c.Permissions,
		AuthenticatedAt: c.AuthenticatedAt, Methods: c.Methods, ContextClass: c.ContextClass, UserEpoch: c.UserEpoch, ClientEpoch: c.ClientEpoch, ServerEpoch: c.ServerEpoch,
		CreatedAt: noon, ExpiresAt: noon.Add(30 * 24 * time.Hour),
		Refresh: grants.Refresh{Generation: 1, IssuedAt: noon, ExpiresAt: noon.Add(7 * 24 * time.Hour), KeyID: "k", Version: 1},
	}
}

// grant stores a grant, with all that it needs.
func (d *databaseTest) grant(id string) grants.Grant {
	d.Helper()
	d.client("client of " + id)
	d.user("user of " + id)
	d.session("user of "+id, "session of "+id)
	d.code("session of "+id, "client of "+id, "code of "+id)
	g := d.grantOf("code of "+id, id)
	d.must(d.s.RedeemCode(d.ctx, hash("code of "+id), noon, g))
	return g
}

func (d *databaseTest) stands(id string, want bool) {
	d.Helper()
	g, err := d.other.Grant(d.ctx, id)
	d.must(err)
	d.equal(g.Stands, want)
	st, err := d.other.Standing(d.ctx, revocation.Question{ClientID: g.ClientID, GrantID: id})
	d.must(err)
	d.equal(st.GrantStands, want)
	// A grant that does not stand is not rotated: the statement itself refuses.
	next := g.Refresh
	next.Generation++
	err = d.other.RotateGrant(d.ctx, id, g.Refresh.Generation, next, g.Status, g.Former, noon)
	if want {
		d.must(err)
	} else if !errors.Is(err, grants.ErrNotFound) {
		d.Fatalf("rotated: %v", err)
	}
}

var peopleTests = []test{
	{"a code without a nonce, a challenge and an address comes back so", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.session("u", "s")
		c := grants.Code{ClientID: "c", SessionID: "s", Scopes: []string{"read"}, Audiences: []string{"x"}, AuthenticatedAt: noon, ExpiresAt: noon.Add(time.Minute)}
		d.must(d.s.SaveCode(d.ctx, hash("bare"), c, noon))
		got, err := d.other.Code(d.ctx, hash("bare"))
		d.must(err)
		d.equal([]string{got.Nonce, got.Challenge, got.RedirectURI}, []string{"", "", ""})
	}},
	{"a user comes back as it went in", func(d *databaseTest) {
		u := d.user("u")
		for _, read := range []func() (accounts.User, error){
			func() (accounts.User, error) { return d.other.User(d.ctx, "u") },
			func() (accounts.User, error) { return d.other.UserByName(d.ctx, "name of u") },
		} {
			got, err := read()
			d.must(err)
			u.Epoch, u.CreatedAt = 1, stored(noon)
			d.equal(got, u)
		}
		list, err := d.s.Users(d.ctx, accounts.Query{})
		d.must(err)
		d.equal(list, []accounts.User{u})
	}},
	{"an address is verified, not verified, or nobody knows", func(d *databaseTest) {
		yes, no := true, false
		for i, verified := range []*bool{nil, &yes, &no} {
			id := fmt.Sprint("u", i)
			d.must(d.s.CreateUser(d.ctx, accounts.User{ID: id, Username: id, EmailVerified: verified}, event(audit.UserCreated, id)))
			d.session(id, "session of "+id)
			u, err := d.other.User(d.ctx, id)
			d.must(err)
			_, signedIn, err := d.other.SessionBySecret(d.ctx, hash("session of "+id), noon)
			d.must(err)
			d.equal([]*bool{u.EmailVerified, signedIn.EmailVerified}, []*bool{verified, verified})
		}
	}},
	{"user names are compared byte by byte, and one of two at once is stored", func(d *databaseTest) {
		for i, name := range alike {
			d.must(d.s.CreateUser(d.ctx, accounts.User{ID: fmt.Sprint(i), Username: name}, event(audit.UserCreated, "")))
		}
		for i, name := range alike {
			u, err := d.s.UserByName(d.ctx, name)
			d.must(err)
			d.equal(u.ID, fmt.Sprint(i))
		}
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			return s.CreateUser(d.ctx, accounts.User{ID: fmt.Sprint("at once ", i), Username: "the same"}, event(audit.UserCreated, ""))
		}), accounts.ErrExists)
		for _, s := range notText {
			d.refuses(accounts.ErrNotFound, func() error { _, err := d.s.UserByName(d.ctx, s); return err })
			d.refuses(accounts.ErrNotFound, func() error { _, err := d.s.User(d.ctx, s); return err })
		}
	}},
	{"each change of a user is one change, and none of none", func(d *databaseTest) {
		d.user("u")
		ev := event(audit.UserDisabled, "u")
		d.changes(changes.User, "u", ev, func() error { return d.s.SetUserDisabled(d.ctx, "u", true, nil, ev) })
		d.refuses(nil, func() error { return d.s.SetUserDisabled(d.ctx, "u", true, nil, ev) })
		d.changes(changes.User, "u", ev, func() error { return d.s.SetPassword(d.ctx, "u", "new", false, nil, ev) })
		d.changes(changes.User, "u", ev, func() error { return d.s.CutUser(d.ctx, "u", ev) })
		u, err := d.s.User(d.ctx, "u")
		d.must(err)
		d.equal([]any{u.Disabled, u.Password, u.Epoch}, []any{true, "new", d.number()})
		d.changes(changes.User, "u", ev, func() error { return d.s.DeleteUser(d.ctx, "u", nil, ev) })
		for _, f := range []func() error{
			func() error { return d.s.SetUserDisabled(d.ctx, "u", true, nil, ev) }, func() error { return d.s.SetPassword(d.ctx, "u", "x", false, nil, ev) },
			func() error { return d.s.CutUser(d.ctx, "u", ev) }, func() error { return d.s.DeleteUser(d.ctx, "u", nil, ev) },
		} {
			d.refuses(accounts.ErrNotFound, f)
		}
	}},
	{"a session stands until it ends, expires or is cut", func(d *databaseTest) {
		ev := event(audit.SessionEnded, "")
		for i, c := range []struct {
			do  func(user, session string)
			now time.Time
		}{
			{func(u, s string) { d.must(d.s.EndSession(d.ctx, u, s, ev)) }, noon},
			{func(u, _ string) { d.must(d.s.CutUser(d.ctx, u, ev)) }, noon},
			{func(u, _ string) { d.must(d.s.SetUserDisabled(d.ctx, u, true, nil, ev)) }, noon},
			{func(string, string) { d.must(d.s.CutEverything(d.ctx, ev)) }, noon},
			{func(u, _ string) { d.must(d.s.DeleteUser(d.ctx, u, nil, ev)) }, noon},
			{func(string, string) {}, noon.Add(time.Hour)},
			{func(_, s string) { d.must(d.s.TouchSession(d.ctx, s, noon, noon.Add(48*time.Hour))) }, noon.Add(24 * time.Hour)},
		} {
			u, s := fmt.Sprint("u", i), fmt.Sprint("s", i)
			d.user(u)
			want := d.session(u, s)
			got, user, err := d.other.SessionBySecret(d.ctx, hash(s), noon.Add(time.Hour-time.Second))
			d.must(err)
			d.equal([]string{got.ID, got.UserID, user.ID, got.UserAgent}, []string{s, u, u, want.UserAgent})
			list, total, err := d.other.Sessions(d.ctx, u, "", 10, noon)
			d.must(err)
			d.equal([]int{len(list), total}, []int{1, 1})
			c.do(u, s)
			if _, _, err := d.other.SessionBySecret(d.ctx, hash(s), c.now); !errors.Is(err, sessions.ErrNotFound) {
				d.Errorf("%d: %v", i, err)
			}
			if list, total, err := d.other.Sessions(d.ctx, u, s, 10, c.now); err != nil || len(list) != 0 || total != 0 {
				d.Errorf("%d: %v %d %v", i, list, total, err)
			}
			// No code is stored for it either.
			d.client(fmt.Sprint("c", i))
			if c.now.Equal(noon) {
				err := d.s.SaveCode(d.ctx, hash("x"), grants.Code{ClientID: fmt.Sprint("c", i), SessionID: s, ExpiresAt: noon.Add(time.Minute)}, noon)
				if !errors.Is(err, grants.ErrNotFound) {
					d.Errorf("%d: %v", i, err)
				}
			}
		}
		d.refuses(sessions.ErrNotFound, func() error { return d.s.EndSession(d.ctx, "u5", "s6", ev) })
		// A password that was checked before a cut does not begin a session after it.
		d.user("late")
		late := sessions.Session{ID: "late", UserID: "late", UserEpoch: d.epochOf("late"), IdleAt: noon.Add(time.Hour), ExpiresAt: noon.Add(time.Hour), UserAgent: strings.Repeat("a", 511) + "é"}
		d.must(d.s.BeginSession(d.ctx, late, hash("late"), hash("late"), ev))
		late.Methods, late.ContextClass = []string{"otp", "pwd"}, "2"
		d.must(d.s.RenewSession(d.ctx, late, hash("renewed"), hash("late"), ev))
		if _, _, err := d.s.SessionBySecret(d.ctx, hash("late"), noon); !errors.Is(err, sessions.ErrNotFound) {
			d.Errorf("the former secret is good: %v", err)
		}
		renewed, _, err := d.s.SessionBySecret(d.ctx, hash("renewed"), noon)
		d.must(err)
		d.equal(renewed.ID, "late")
		d.equal(renewed.Methods, late.Methods)
		d.equal(renewed.ContextClass, "2")
		d.must(d.s.SetPassword(d.ctx, "late", "new", false, nil, ev))
		d.refuses(sessions.ErrNotFound, func() error { return d.s.RenewSession(d.ctx, late, hash("x"), hash("x"), ev) })
		late.ID = "later"
		d.refuses(accounts.ErrNotFound, func() error { return d.s.BeginSession(d.ctx, late, hash("x"), hash("x"), ev) })
		d.refuses(accounts.ErrNotFound, func() error {
			return d.s.BeginSession(d.ctx, sessions.Session{ID: "x", UserID: "nobody"}, hash("x"), hash("x"), ev)
		})
		known, err := d.s.KnownDevice(d.ctx, "u5", hash("device of s5"))
		d.must(err)
		other, err := d.s.KnownDevice(d.ctx, "u6", hash("device of s5"))
		d.must(err)
		d.equal([]bool{known, other}, []bool{true, false})
	}},
	{"a consent is added to, and ends its grants when it is taken back", func(d *databaseTest) {
		g := d.grant("g")
		for i, step := range []struct{ add, want []string }{{[]string{"a"}, []string{"a"}}, {[]string{"b", "a"}, []string{"a", "b"}}} {
			d.must(d.s.AddConsent(d.ctx, consents.Consent{UserID: g.UserID, ClientID: g.ClientID, Scopes: step.add, GrantedAt: noon.Add(time.Duration(i) * time.Hour)}, event(audit.ConsentGiven, "")))
			c, err := d.other.Consent(d.ctx, g.UserID, g.ClientID)
			d.must(err)
			d.equal(c.Scopes, step.want)
			d.equal(c.GrantedAt, stored(noon))
		}
		for _, err := range d.atOnce(8, func(i int, s *storage.Store) error {
			return s.AddConsent(d.ctx, consents.Consent{UserID: g.UserID, ClientID: "another", Scopes: []string{fmt.Sprint("s", i)}, GrantedAt: noon}, event(audit.ConsentGiven, ""))
		}) {
			d.must(err)
		}
		together, err := d.s.Consent(d.ctx, g.UserID, "another")
		d.must(err)
		slices.Sort(together.Scopes)
		d.equal(together.Scopes, []string{"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"})
		all, err := d.s.Consents(d.ctx, g.UserID)
		d.must(err)
		d.equal(len(all), 2)
		d.stands("g", true)
		d.code(g.SessionID, g.ClientID, "pending")
		d.must(d.s.DeleteConsent(d.ctx, g.UserID, g.ClientID, event(audit.ConsentTaken, "")))
		d.stands("g", false)
		if _, err := d.s.Code(d.ctx, hash("pending")); !errors.Is(err, grants.ErrNotFound) {
			d.Errorf("a code outlives the consent: %v", err)
		}
		for _, client := range append(slices.Clone(notText), "nobody", strings.Repeat("x", 5000)) {
			d.refuses(nil, func() error { return d.s.DeleteConsent(d.ctx, g.UserID, client, event(audit.ConsentTaken, "")) })
		}
		none, err := d.s.Consent(d.ctx, g.UserID, g.ClientID)
		d.must(err)
		d.equal(none.GrantedAt.IsZero(), true)
		// A grant without a consent can be ended too.
		first := d.grant("first")
		d.must(d.s.DeleteConsent(d.ctx, first.UserID, first.ClientID, event(audit.ConsentTaken, "")))
		d.stands("first", false)
	}},
}
