package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/storage"
)

// endAll ends the sessions of a user, except keep, and returns how many of them stood.
func (d *databaseTest) endAll(user, keep string) int {
	d.Helper()
	n, err := d.s.EndSessions(d.ctx, user, keep, event(audit.SessionEnded, ""))
	d.must(err)
	return n
}

// begin begins a login session of a user, with fields that change sets.
func (d *databaseTest) begin(s *storage.Store, user, id string, change func(*sessions.Session)) error {
	n := sessions.Session{
		ID: id, UserID: user, UserEpoch: d.epochOf(user), CreatedAt: noon, IdleAt: noon.Add(time.Hour), ExpiresAt: noon.Add(time.Hour),
	}
	if change != nil {
		change(&n)
	}
	return s.BeginSession(d.ctx, n, hash(id), hash("device of "+id), event(audit.SessionBegun, id))
}

// granted stores a grant that was made in a session.
func (d *databaseTest) granted(session, client, id string, change func(*grants.Grant)) grants.Grant {
	d.Helper()
	d.code(session, client, "code of "+id)
	g := d.grantOf("code of "+id, id)
	if change != nil {
		change(&g)
	}
	d.must(d.s.RedeemCode(d.ctx, hash("code of "+id), noon, g))
	return g
}

// signedIn returns the ids of a user's standing sessions.
func (d *databaseTest) signedIn(user string, now time.Time) []string {
	d.Helper()
	list, total, err := d.other.Sessions(d.ctx, user, "", 1000, now)
	d.must(err)
	d.equal(total, len(list))
	ids := make([]string, len(list))
	for i, s := range list {
		ids[i] = s.ID
	}
	return ids
}

// endedEvents counts the audit events for the end of each session.
func (d *databaseTest) endedEvents() map[string]int {
	d.Helper()
	n := map[string]int{}
	for _, ev := range d.events() {
		if ev.Action == audit.SessionEnded {
			n[ev.Subject]++
		}
	}
	return n
}

var accountTests = []test{
	{"of many sessions some are listed, the one asked for first, and all are counted", func(d *databaseTest) {
		d.user("u")
		d.user("other")
		d.session("other", "of another")
		for i := range 7 {
			d.must(d.begin(d.s, "u", fmt.Sprint("s", i), func(s *sessions.Session) { s.CreatedAt = noon.Add(time.Duration(i) * time.Minute) }))
		}
		d.must(d.begin(d.s, "u", "expired", func(s *sessions.Session) { s.IdleAt = noon }))
		d.must(d.s.EndSession(d.ctx, "u", "s6", event(audit.SessionEnded, "s6")))
		for _, c := range []struct {
			first string
			limit int
			want  string
		}{
			{"", 1000, "s5 s4 s3 s2 s1 s0"},
			{"", 3, "s5 s4 s3"},
			{"s0", 3, "s0 s5 s4"},
			{"s4", 1, "s4"},
			{"s5", 100, "s5 s4 s3 s2 s1 s0"},
			{"s6", 2, "s5 s4"}, // it has ended
			{"expired", 2, "s5 s4"},
			{"of another", 2, "s5 s4"},
		} {
			list, total, err := d.other.Sessions(d.ctx, "u", c.first, c.limit, noon)
			d.must(err)
			var ids []string
			for _, s := range list {
				ids = append(ids, s.ID)
			}
			d.equal(strings.Join(ids, " "), c.want)
			d.equal(total, 6)
		}
		list, total, err := d.s.Sessions(d.ctx, "nobody", "s0", 5, noon)
		d.must(err)
		d.equal([]int{len(list), total}, []int{0, 0})
	}},
	{"all sessions but one end at once, each as if it were ended alone", func(d *databaseTest) {
		const many = 203 // more than one statement can name
		list := d.list(status.ForGrants).Number
		d.client("c")
		d.user("u")
		d.user("other")
		d.session("u", "kept")
		d.session("other", "of another")
		d.granted("kept", "c", "in the kept", func(g *grants.Grant) { g.Status = status.Ref{List: list, Index: 1} })
		d.granted("of another", "c", "of another", func(g *grants.Grant) { g.Status = status.Ref{List: list, Index: 2} })
		var want []changes.Change
		var set []lists.Run
		for i := range many {
			id := fmt.Sprintf("s%03d", i)
			d.must(d.begin(d.s, "u", id, func(s *sessions.Session) {
				if i%2 == 1 {
					s.ClientID = "c" // an app's own
				}
				s.CreatedAt = noon.Add(time.Duration(i) * time.Second)
			}))
			want = append(want, changes.Change{Kind: changes.Session, Subject: id, At: stored(noon)})
			if i < 3 {
				d.granted(id, "c", "in "+id, func(g *grants.Grant) { g.Status = status.Ref{List: list, Index: int64(10 + i)} })
				set = append(set, lists.Run{List: list, First: int64(10 + i), Size: 1})
			}
		}
		d.granted("s000", "c", "offline", func(g *grants.Grant) { g.Offline, g.Status = true, status.Ref{List: list, Index: 3} })
		d.code("s001", "c", "pending")
		pending := d.grantOf("pending", "of a code")
		before, log := d.number(), d.events()

		d.equal(d.endAll("u", "kept"), many)
		d.equal(d.signedIn("u", noon), []string{"kept"})
		d.equal(d.signedIn("other", noon), []string{"of another"})
		got, err := d.other.ChangesAfter(d.ctx, before, 1000)
		d.must(err)
		for i := range want {
			want[i].Number = before + changes.Number(i+1)
		}
		d.equal(got, want)
		d.equal(d.number(), before+many)
		events := d.events()[len(log):]
		d.equal(len(events), many)
		for i, ev := range events {
			w := event(audit.SessionEnded, want[i].Subject)
			w.At = stored(w.At)
			d.equal(ev, w)
		}
		runs := d.setBecause(before)
		slices.SortFunc(runs, func(a, b lists.Run) int { return int(a.First - b.First) })
		d.equal(runs, set)
		for id, stands := range map[string]bool{"in the kept": true, "of another": true, "offline": true, "in s000": false, "in s001": false, "in s002": false} {
			d.stands(id, stands)
		}
		if err := d.other.RedeemCode(d.ctx, hash("pending"), noon, pending); !errors.Is(err, grants.ErrNotFound) {
			d.Errorf("a code of a session that ended is redeemed: %v", err)
		}
		d.refuses(nil, func() error {
			n, err := d.other.EndSessions(d.ctx, "u", "kept", event(audit.SessionEnded, ""))
			d.equal(n, 0)
			return err
		})
	}},
	{"what was allowed in a session that has expired ends with the others", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.session("u", "kept")
		for _, id := range []string{"with a grant", "with one that outlives it", "with one that was revoked", "with one that has expired", "with nothing"} {
			d.session("u", id)
			if id != "with nothing" {
				d.granted(id, "c", "g "+id, func(g *grants.Grant) {
					g.Offline = id == "with one that outlives it"
					if id == "with one that has expired" {
						g.ExpiresAt = noon.Add(time.Hour)
					}
				})
			}
		}
		d.must(d.s.RevokeGrant(d.ctx, "g with one that was revoked", event(audit.GrantCut, "")))
		later := noon.Add(2 * time.Hour)
		d.must(d.s.TouchSession(d.ctx, "kept", later, later.Add(time.Hour)))
		d.equal(d.signedIn("u", later), []string{"kept"})
		ev := event(audit.SessionEnded, "")
		ev.At = later
		d.refuses(sessions.ErrNotFound, func() error {
			_, err := d.s.EndSessions(d.ctx, "u", "with a grant", ev)
			return err
		})
		n, err := d.s.EndSessions(d.ctx, "u", "kept", ev)
		d.must(err)
		d.equal(n, 0) // nobody was signed in there any more
		d.equal(d.endedEvents(), map[string]int{"with a grant": 1})
		d.stands("g with a grant", false)
		d.stands("g with one that outlives it", true)
	}},
	{"who is not signed in any more signs nobody else out", func(d *databaseTest) {
		d.user("u")
		d.user("other")
		d.session("u", "a")
		d.session("other", "of another")
		d.must(d.begin(d.s, "u", "expired", func(s *sessions.Session) { s.IdleAt = noon }))
		d.session("u", "ended")
		d.must(d.s.EndSession(d.ctx, "u", "ended", event(audit.SessionEnded, "ended")))
		for _, c := range append([][2]string{
			{"u", "expired"}, {"u", "ended"}, {"u", "of another"}, {"u", "nothing"}, {"other", "a"}, {"nobody", "a"}, {"u", "A"}, {"u", "a "},
		}, [2]string{notText[0], "a"}, [2]string{"u", notText[0]}, [2]string{"u", notText[2]}) {
			d.refuses(sessions.ErrNotFound, func() error {
				_, err := d.s.EndSessions(d.ctx, c[0], c[1], event(audit.SessionEnded, ""))
				return err
			})
		}
		d.must(d.s.SetUserDisabled(d.ctx, "other", true, nil, event(audit.UserDisabled, "other")))
		d.session("u", "b")
		d.must(d.s.CutUser(d.ctx, "u", event(audit.UserCut, "u")))
		d.session("u", "after the cut")
		for _, c := range [][2]string{{"other", "of another"}, {"u", "a"}} {
			d.refuses(sessions.ErrNotFound, func() error {
				_, err := d.s.EndSessions(d.ctx, c[0], c[1], event(audit.SessionEnded, ""))
				return err
			})
		}
		d.equal(d.signedIn("u", noon), []string{"after the cut"})
		// If no session is named, none is kept; and one that a cut ended is not ended
		// again.
		d.equal(d.endAll("u", ""), 1)
		d.equal(d.endedEvents(), map[string]int{"ended": 1, "after the cut": 1})
	}},
	{"of many that sign each other out at once one is left", func(d *databaseTest) {
		const browsers = 8
		d.user("u")
		for i := range browsers {
			d.session("u", fmt.Sprint("s", i))
		}
		var ended [browsers]int
		errs := d.atOnce(browsers, func(i int, s *storage.Store) (err error) {
			ended[i], err = s.EndSessions(d.ctx, "u", fmt.Sprint("s", i), event(audit.SessionEnded, ""))
			return err
		})
		d.oneWins(errs, sessions.ErrNotFound)
		won := slices.Index(errs, nil)
		d.equal(ended[won], browsers-1)
		d.equal(d.signedIn("u", noon), []string{fmt.Sprint("s", won)})
		d.equal(len(d.endedEvents()), browsers-1)
	}},
	{"each session ends once, whoever ends it and whoever signs in meanwhile", func(d *databaseTest) {
		const workers, each = 12, 8
		d.client("c")
		d.user("u")
		d.session("u", "kept")
		for i := range each {
			d.session("u", fmt.Sprint("old ", i))
		}
		var ended atomic.Int64
		begun := make([][]string, workers)
		for _, err := range d.atOnce(workers, func(i int, s *storage.Store) error {
			for j := range each {
				id := fmt.Sprint(i, " ", j)
				var err error
				switch i % 4 {
				case 0, 1: // one in a browser, one in an app
					begun[i] = append(begun[i], id)
					err = d.begin(s, "u", id, func(n *sessions.Session) { n.ClientID = []string{"", "c"}[i%2] })
				case 2:
					var n int
					n, err = s.EndSessions(d.ctx, "u", "kept", event(audit.SessionEnded, ""))
					ended.Add(int64(n))
				case 3:
					err = s.EndSession(d.ctx, "u", fmt.Sprint("old ", j), event(audit.SessionEnded, fmt.Sprint("old ", j)))
					if err == nil {
						ended.Add(1)
					} else if errors.Is(err, sessions.ErrNotFound) {
						err = nil // the other process has ended it
					}
				}
				if err != nil {
					return err
				}
			}
			return nil
		}) {
			d.must(err)
		}
		events, left := d.endedEvents(), d.signedIn("u", noon)
		d.equal(int64(len(events)), ended.Load())
		for id, n := range events {
			if n != 1 || slices.Contains(left, id) {
				d.Errorf("%s: %d events, and it stands: %v", id, n, slices.Contains(left, id))
			}
		}
		// Each session either stands, or was ended with an event.
		all := append(slices.Concat(begun...), "kept")
		for i := range each {
			all = append(all, fmt.Sprint("old ", i))
		}
		for _, id := range all {
			if events[id] == 0 && !slices.Contains(left, id) {
				d.Errorf("%s ended without an event", id)
			}
		}
		d.equal([]any{slices.Contains(left, "kept"), len(left) + len(events)}, []any{true, len(all)})
		// And the sequence has no gap.
		list, err := d.other.ChangesAfter(d.ctx, 0, 1000)
		d.must(err)
		d.equal(changes.Number(len(list)), d.number())
		d.endAll("u", "kept")
		d.equal(d.signedIn("u", noon), []string{"kept"})
	}},
}
