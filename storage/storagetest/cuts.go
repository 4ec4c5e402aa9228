package storagetest

import (
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

var cutTests = []test{
	{"a token is cut once", func(d *databaseTest) {
		ev := event(audit.TokenCut, "jti-1")
		cut := func() error { return d.s.CutToken(d.ctx, "jti-1", noon, status.Ref{}, ev) }
		d.changes(changes.Token, "jti-1", ev, cut)
		d.refuses(nil, cut)
		d.refuses(nil, func() error { return d.other.CutToken(d.ctx, "jti-1", noon.Add(time.Hour), status.Ref{}, ev) })
		for jti, want := range map[string]bool{"jti-1": true, "JTI-1": false, "jti-1 ": false, "jti-2": false} {
			d.equal(d.standing(revocation.Question{JTI: jti}).TokenCut, want)
		}
	}},
	{"several that cut a token at once make one change", func(d *databaseTest) {
		for _, err := range d.atOnce(8, func(_ int, s *storage.Store) error {
			return s.CutToken(d.ctx, "jti", noon, status.Ref{}, event(audit.TokenCut, "jti"))
		}) {
			d.must(err)
		}
		d.equal(d.number(), changes.Number(1))
		d.equal(len(d.events()), 1)
	}},
	{"cutting a client raises its epoch to the number of the cut", func(d *databaseTest) {
		d.client("a")
		d.client("A")
		ev := event(audit.ClientCut, "a")
		for range 2 {
			d.changes(changes.Client, "a", ev, func() error { return d.s.CutClient(d.ctx, "a", ev) })
			d.equal(d.standing(revocation.Question{ClientID: "a"}).ClientEpoch, d.number())
			c, err := d.other.Client(d.ctx, "a")
			d.must(err)
			d.equal(c.Epoch, d.number())
		}
		d.equal(d.standing(revocation.Question{ClientID: "A"}).ClientEpoch, changes.Number(2))
	}},
	{"a client that is not there cannot be cut", func(d *databaseTest) {
		d.client("a")
		for _, id := range append(notText, "b", "A", "a ") {
			d.refuses(clients.ErrNotFound, func() error {
				return d.s.CutClient(d.ctx, id, event(audit.ClientCut, "b"))
			})
		}
	}},
	{"cutting everything raises the server's epoch to the number of the cut", func(d *databaseTest) {
		d.client("a")
		epoch, err := d.s.ServerEpoch(d.ctx)
		d.must(err)
		d.equal(epoch, changes.Number(0))
		ev := event(audit.EverythingCut, "")
		for range 2 {
			// The number becomes larger than any number that a restored
			// database may have lost.
			before := d.number()
			d.must(d.s.CutEverything(d.ctx, ev))
			d.equal(d.number() > before+1<<31, true)
			list, err := d.other.ChangesAfter(d.ctx, before, 10)
			d.must(err)
			d.equal(list, []changes.Change{{Number: d.number(), Kind: changes.Everything, At: stored(noon)}})
			d.equal(d.events()[len(d.events())-1].Action, audit.EverythingCut)
			epoch, err := d.other.ServerEpoch(d.ctx)
			d.must(err)
			d.equal(epoch, d.number())
			d.equal(d.standing(revocation.Question{ClientID: "a"}), revocation.Standing{
				ClientFound: true, ClientEpoch: 1, ServerEpoch: epoch, Number: epoch,
			})
		}
	}},
	{"cuts at once each take effect", func(d *databaseTest) {
		const n = 40
		for i := range n / 2 {
			d.client(fmt.Sprint(i))
		}
		for _, err := range d.atOnce(n, func(i int, s *storage.Store) error {
			if i < n/2 {
				return s.CutClient(d.ctx, fmt.Sprint(i), event(audit.ClientCut, ""))
			}
			return s.CutToken(d.ctx, fmt.Sprint(i), noon, status.Ref{}, event(audit.TokenCut, ""))
		}) {
			d.must(err)
		}
		for i := range n / 2 {
			st := d.standing(revocation.Question{ClientID: fmt.Sprint(i), JTI: fmt.Sprint(n/2 + i)})
			if !st.TokenCut || st.ClientEpoch <= n/2 {
				d.Fatalf("%d: %+v", i, st)
			}
		}
	}},
}

var standingTests = []test{
	{"nothing stands in an empty database", func(d *databaseTest) {
		for _, q := range []revocation.Question{{}, {JTI: "j", ClientID: "c", KeyID: "k"}} {
			d.equal(d.standing(q), revocation.Standing{})
		}
		for _, s := range notText {
			d.equal(d.standing(revocation.Question{JTI: s, ClientID: s, KeyID: s}), revocation.Standing{})
		}
	}},
	{"each part of the answer is about its own part of the question", func(d *databaseTest) {
		d.client("other")
		d.must(d.s.CutEverything(d.ctx, event(audit.EverythingCut, "")))
		d.client("c")
		d.must(d.s.ChangeKeys(d.ctx, keys.Change{At: noon, Action: keys.ActionCreate, KID: "k", Insert: []keys.Record{
			newKey("k", keys.Tokens, 1), newKey("seal", keys.Seals, 1), newKey("withdrawn", keys.Refresh, 1),
		}}))
		d.must(d.s.ChangeKeys(d.ctx, keys.Change{At: noon, Action: keys.ActionWithdraw, KID: "withdrawn", Withdraw: true}))
		d.must(d.s.CutToken(d.ctx, "cut", noon, status.Ref{}, event(audit.TokenCut, "cut")))

		good := revocation.Question{JTI: "j", ClientID: "c", KeyID: "k"}
		everything, err := d.s.ServerEpoch(d.ctx)
		d.must(err)
		want := revocation.Standing{ClientFound: true, ClientEpoch: everything + 1, ServerEpoch: everything, Number: d.number(), KeyStands: true}
		d.equal(d.standing(good), want)

		q, w := good, want
		q.JTI, w.TokenCut = "cut", true
		d.equal(d.standing(q), w)

		q, w = good, want
		q.ClientID, w.ClientFound, w.ClientEpoch = "nobody", false, 0
		d.equal(d.standing(q), w)

		q, w = good, want
		q.ClientID, w.ClientEpoch = "other", 1
		d.equal(d.standing(q), w)

		for _, kid := range []string{"withdrawn", "missing", "K", "k ", ""} {
			q, w = good, want
			q.KeyID, w.KeyStands = kid, false
			d.equal(d.standing(q), w)
		}
		for kid, stands := range map[string]bool{"seal": true, "withdrawn": false, "missing": false, "SEAL": false, "seal ": false} {
			q, w = good, want
			q.SealKeyID, w.KeyStands = kid, stands
			d.equal(d.standing(q), w)
			q.KeyID, w.KeyStands = "withdrawn", false
			d.equal(d.standing(q), w)
		}

		d.must(d.s.SetClientDisabled(d.ctx, "c", true, event(audit.ClientDisabled, "c")))
		w = want
		w.ClientDisabled, w.Number = true, want.Number+1
		d.equal(d.standing(good), w)
	}},
	{"what a grant records comes with whether it stands", func(d *databaseTest) {
		d.user("u")
		d.session("u", "s")
		d.client("c")
		for id, want := range map[string][]permission.Permission{
			"nothing was recorded": nil,
			"nothing was allowed":  {},
			"something was":        {{Scope: "openid"}, {Audience: "https://a.example/?b=\"c'", Scope: "read"}},
		} {
			d.must(d.s.SaveCode(d.ctx, hash(id), grants.Code{ClientID: "c", SessionID: "s", Permissions: want, ExpiresAt: noon.Add(time.Minute)}, noon))
			d.must(d.s.RedeemCode(d.ctx, hash(id), noon, d.grantOf(id, id)))
			st := d.standing(revocation.Question{ClientID: "c", GrantID: id, UserID: "u"})
			d.equal([]any{st.GrantStands, st.Username}, []any{true, "name of u"})
			d.equal(permission.ParseAll(st.Permissions) == nil, want == nil)
			d.equal(permission.ParseAll(st.Permissions), want)
			d.must(d.s.RevokeGrant(d.ctx, id, event(audit.GrantCut, id)))
			st = d.standing(revocation.Question{ClientID: "c", GrantID: id})
			d.equal([]any{st.GrantStands, len(st.Permissions), st.Username}, []any{false, 0, ""})
		}
	}},
	{"whether its session ended comes with a grant that outlives it", func(d *databaseTest) {
		d.user("u")
		d.session("u", "s")
		d.client("c")
		for _, id := range []string{"offline", "not offline"} {
			d.code("s", "c", id)
			g := d.grantOf(id, id)
			g.Offline = id == "offline"
			d.must(d.s.RedeemCode(d.ctx, hash(id), noon, g))
		}
		asked := func(id string, stands, ended bool) {
			d.Helper()
			st := d.standing(revocation.Question{ClientID: "c", GrantID: id, UserID: "u"})
			d.equal([]any{st.GrantStands, st.SessionEnded, st.Username}, []any{stands, ended, "name of u"})
		}
		asked("offline", true, false)
		asked("not offline", true, false)
		d.must(d.s.EndSession(d.ctx, "u", "s", event(audit.SessionEnded, "s")))
		asked("offline", true, true)
		asked("not offline", false, true)
		asked("nobody's", false, false)
	}},
	{"a retired key whose private half is destroyed still stands, a deleted one does not", func(d *databaseTest) {
		d.must(d.s.ChangeKeys(d.ctx, keys.Change{At: noon, KID: "k", Insert: []keys.Record{newKey("k", keys.Tokens, 1)}}))
		d.must(d.s.ChangeKeys(d.ctx, keys.Change{At: noon, KID: "k", Destroy: []string{"k"}}))
		d.equal(d.standing(revocation.Question{KeyID: "k"}).KeyStands, true)
		d.must(d.s.ChangeKeys(d.ctx, keys.Change{At: noon, KID: "k", Delete: []string{"k"}}))
		d.equal(d.standing(revocation.Question{KeyID: "k"}).KeyStands, false)
	}},
}

// standing asks through the other Store: what one process has committed, the other must
// see.
func (d *databaseTest) standing(q revocation.Question) revocation.Standing {
	d.Helper()
	st, err := d.other.Standing(d.ctx, q)
	d.must(err)
	return st
}
