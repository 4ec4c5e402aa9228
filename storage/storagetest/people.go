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
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/throttle"
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
		Permissions: []grants.Permission{{Scope: "openid"}, {Audience: "x", Scope: "read"}},
		Nonce:       "n", Challenge: "c", AuthenticatedAt: noon, Methods: []string{"otp", "pwd"}, ContextClass: "2", ExpiresAt: noon.Add(time.Minute),
	}
	d.must(d.s.SaveCode(d.ctx, hash(code), c, noon))
	return c
}

// grantOf is what a stored code becomes.
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

// grant makes one from scratch.
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
	// What does not stand is not rotated either, by the statement itself.
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
		list, err := d.s.Users(d.ctx)
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
		d.changes(changes.User, "u", ev, func() error { return d.s.SetUserDisabled(d.ctx, "u", true, ev) })
		d.refuses(nil, func() error { return d.s.SetUserDisabled(d.ctx, "u", true, ev) })
		d.changes(changes.User, "u", ev, func() error { return d.s.SetPassword(d.ctx, "u", "new", ev) })
		d.changes(changes.User, "u", ev, func() error { return d.s.CutUser(d.ctx, "u", ev) })
		u, err := d.s.User(d.ctx, "u")
		d.must(err)
		d.equal([]any{u.Disabled, u.Password, u.Epoch}, []any{true, "new", d.number()})
		d.changes(changes.User, "u", ev, func() error { return d.s.DeleteUser(d.ctx, "u", ev) })
		for _, f := range []func() error{
			func() error { return d.s.SetUserDisabled(d.ctx, "u", true, ev) }, func() error { return d.s.SetPassword(d.ctx, "u", "x", ev) },
			func() error { return d.s.CutUser(d.ctx, "u", ev) }, func() error { return d.s.DeleteUser(d.ctx, "u", ev) },
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
			{func(u, _ string) { d.must(d.s.SetUserDisabled(d.ctx, u, true, ev)) }, noon},
			{func(string, string) { d.must(d.s.CutEverything(d.ctx, ev)) }, noon},
			{func(u, _ string) { d.must(d.s.DeleteUser(d.ctx, u, ev)) }, noon},
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
			// And no code comes of it.
			d.client(fmt.Sprint("c", i))
			if c.now.Equal(noon) {
				err := d.s.SaveCode(d.ctx, hash("x"), grants.Code{ClientID: fmt.Sprint("c", i), SessionID: s, ExpiresAt: noon.Add(time.Minute)}, noon)
				if !errors.Is(err, grants.ErrNotFound) {
					d.Errorf("%d: %v", i, err)
				}
			}
		}
		d.refuses(sessions.ErrNotFound, func() error { return d.s.EndSession(d.ctx, "u5", "s6", ev) })
		// A password that was checked before a cut begins nothing after it.
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
		d.must(d.s.SetPassword(d.ctx, "late", "new", ev))
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
		// What was never asked for can be ended all the same.
		first := d.grant("first")
		d.must(d.s.DeleteConsent(d.ctx, first.UserID, first.ClientID, event(audit.ConsentTaken, "")))
		d.stands("first", false)
	}},
	{"guesses are counted within their window, whoever counts", func(d *databaseTest) {
		for _, err := range d.atOnce(20, func(i int, s *storage.Store) error {
			for _, subject := range []string{"a", "b"} {
				if _, err := s.CountGuess(d.ctx, subject, noon, noon.Add(-time.Minute)); err != nil {
					return err
				}
			}
			return nil
		}) {
			d.must(err)
		}
		count := func(now time.Time, n int64, since time.Time) throttle.Tally {
			d.Helper()
			t, err := d.s.CountGuess(d.ctx, "a", now, now.Add(-time.Minute))
			d.must(err)
			d.equal(t, throttle.Tally{Subject: "a", N: n, Since: stored(since)})
			return t
		}
		of := func(subject string, t throttle.Tally) throttle.Tally { t.Subject = subject; return t }
		last := noon.Add(59 * time.Second)
		a := count(last, 21, noon)
		d.must(d.other.UncountGuesses(d.ctx, []throttle.Tally{a, of("b", a), of("c", a)}))
		count(last, 21, noon)
		// Only from the window in which it was counted, before and after another
		// begins.
		later := a
		later.Since = last
		d.must(d.other.UncountGuesses(d.ctx, []throttle.Tally{later}))
		count(last, 22, noon)
		next := count(noon.Add(time.Minute), 1, noon.Add(time.Minute))
		d.must(d.other.UncountGuesses(d.ctx, []throttle.Tally{a, of("b", a)}))
		count(noon.Add(61*time.Second), 2, noon.Add(time.Minute))
		// And no further than to nothing.
		for _, err := range d.atOnce(5, func(_ int, s *storage.Store) error {
			return s.UncountGuesses(d.ctx, []throttle.Tally{next})
		}) {
			d.must(err)
		}
		count(noon.Add(61*time.Second), 1, noon.Add(time.Minute))
		d.must(d.s.UncountGuesses(d.ctx, nil))
	}},
	{"what is counted and taken back at once leaves the others", func(d *databaseTest) {
		highest := make([]int64, 16)
		for _, err := range d.atOnce(len(highest), func(i int, s *storage.Store) error {
			for range 10 {
				var counted []throttle.Tally
				for _, subject := range []string{"all", fmt.Sprint("of ", i%4)} {
					t, err := s.CountGuess(d.ctx, subject, noon, noon.Add(-time.Minute))
					if err != nil {
						return err
					}
					counted = append(counted, t)
				}
				highest[i] = max(highest[i], counted[0].N)
				if err := s.UncountGuesses(d.ctx, counted); err != nil {
					return err
				}
			}
			_, err := s.CountGuess(d.ctx, "all", noon, noon.Add(-time.Minute))
			return err
		}) {
			d.must(err)
		}
		if n := slices.Max(highest); n > int64(len(highest)) {
			d.Errorf("%d are counted, and there are %d", n, len(highest))
		}
		for subject, want := range map[string]int64{"all": int64(len(highest)) + 1, "of 0": 1, "of 3": 1} {
			t, err := d.s.CountGuess(d.ctx, subject, noon, noon.Add(-time.Minute))
			d.must(err)
			d.equal(t.N, want)
		}
	}},
}

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
		for i, want := range [][]grants.Permission{nil, {}, {{Scope: "openid"}}, {{Audience: "https://a.test/x", Scope: "read"}, {Audience: "b", Scope: "read"}}} {
			x, id := fmt.Sprint("x", i), fmt.Sprint("g", i)
			d.must(d.s.SaveCode(d.ctx, hash(x), grants.Code{ClientID: "c", SessionID: "s", Permissions: want, ExpiresAt: noon.Add(time.Minute)}, noon))
			d.must(d.s.RedeemCode(d.ctx, hash(x), noon, d.grantOf(x, id)))
			c, err := d.other.Code(d.ctx, hash(x))
			d.must(err)
			g, err := d.other.Grant(d.ctx, id)
			d.must(err)
			list, err := All(d.other.Grants(d.ctx, grants.Query{ClientID: "c"}, noon))
			d.must(err)
			at := slices.IndexFunc(list, func(g grants.Listed) bool { return g.ID == id })
			for _, got := range [][]grants.Permission{c.Permissions, g.Permissions, list[at].Permissions} {
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
		list, err := All(d.s.Grants(d.ctx, grants.Query{UserID: "u"}, noon))
		d.must(err)
		d.equal(len(list), 1)
		c, err := d.s.Code(d.ctx, hash("x"))
		d.must(err)
		d.equal([]any{c.GrantID, c.UsedAt.IsZero()}, []any{list[0].ID, false})
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
		// There is one way for a row to be, whichever way the grant came.
		want, err := d.other.Grant(d.ctx, "redeemed")
		d.must(err)
		got, err := d.other.Grant(d.ctx, "begun")
		d.must(err)
		want.ID, want.Age, got.Age = "begun", 0, 0
		d.equal(got, want)
		d.stands("begun", true)
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
			func(u, _, _ string) time.Time { d.must(d.s.SetUserDisabled(d.ctx, u, true, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.SetClientDisabled(d.ctx, c, true, ev)); return noon },
			func(u, _, _ string) time.Time { d.must(d.s.DeleteUser(d.ctx, u, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.DeleteClient(d.ctx, c, ev)); return noon },
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
		// Nor does one of somebody else's session, or to a client that is not there.
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
		// A client that was cut a moment ago gets grants again: under its new epoch.
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
			func(u, _, _ string) time.Time { d.must(d.s.SetUserDisabled(d.ctx, u, true, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.SetClientDisabled(d.ctx, c, true, ev)); return noon },
			func(u, _, _ string) time.Time { d.must(d.s.DeleteUser(d.ctx, u, ev)); return noon },
			func(_, c, _ string) time.Time { d.must(d.s.DeleteClient(d.ctx, c, ev)); return noon },
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
			func(g grants.Grant) { d.must(d.s.SetUserDisabled(d.ctx, g.UserID, true, ev)) },
			func(g grants.Grant) { d.must(d.s.SetClientDisabled(d.ctx, g.ClientID, true, ev)) },
			func(g grants.Grant) { d.must(d.s.EndSession(d.ctx, g.UserID, g.SessionID, ev)) },
			func(g grants.Grant) { d.endAll(g.UserID, "") },
			func(g grants.Grant) { d.must(d.s.DeleteUser(d.ctx, g.UserID, ev)) },
			func(g grants.Grant) { d.must(d.s.DeleteClient(d.ctx, g.ClientID, ev)) },
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
		// The session, by which its device is known; it was signed in at noon.
		known := func(want bool) {
			d.Helper()
			got, err := d.s.KnownDevice(d.ctx, g.UserID, hash("device of session of g"))
			d.must(err)
			d.equal(got, want)
		}
		purged(noon.Add(signin.DeviceLife), 0)
		known(true)
		purged(noon.Add(signin.DeviceLife+24*time.Hour+time.Second), 1)
		known(false)
		if _, err := d.s.Grant(d.ctx, g.ID); !errors.Is(err, grants.ErrNotFound) {
			d.Fatal(err)
		}
	}},
}
