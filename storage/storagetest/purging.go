package storagetest

import (
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/config/limits"
	"github.com/ingam/ingam/storage"
)

var purgeTests = []test{
	{"a revoked token keeps its bit while a verifier may accept it", func(d *databaseTest) {
		d.client("c")
		d.list(status.ForClients)
		b, err := d.s.TakeStatusBlock(d.ctx, status.ForClients, life, 64, "c")
		d.must(err)
		d.must(d.s.CutToken(d.ctx, "t", noon, status.Ref{List: b.List, Index: b.First}, event(audit.TokenCut, "t")))
		bit := lists.Run{List: b.List, First: b.First, Size: 1}
		// A verifier allows MaxSkew by a clock that is MaxSkew behind, and the clock of
		// this server is as much ahead.
		for _, after := range []time.Duration{time.Second, limits.MaxSkew, 3 * limits.MaxSkew} {
			_, err := d.s.Purge(d.ctx, noon.Add(after), 10, time.Time{})
			d.must(err)
			all, err := d.other.StatusesSet(d.ctx, nil)
			d.must(err)
			d.equal(all, []lists.Run{bit})
		}
		// Enabling a client gives back what disabling it took, and not this token.
		d.must(d.s.SetClientDisabled(d.ctx, "c", true, event(audit.ClientDisabled, "c")))
		d.must(d.s.SetClientDisabled(d.ctx, "c", false, event(audit.ClientEnabled, "c")))
		all, err := d.other.StatusesSet(d.ctx, nil)
		d.must(err)
		d.equal(all, []lists.Run{bit})
		n, err := d.s.Purge(d.ctx, noon.Add(limits.Afterlife+time.Second), 10, time.Time{})
		d.must(err)
		d.equal(n, 1)
	}},
	{"expired cuts go, others stay", func(d *databaseTest) {
		for i := range 20 {
			jti := fmt.Sprint(i)
			expires := noon.Add(time.Duration(i-10)*time.Second - limits.Afterlife)
			d.must(d.s.CutToken(d.ctx, jti, expires, status.Ref{}, event(audit.TokenCut, jti)))
		}
		n, err := d.s.Purge(d.ctx, noon, 3, time.Time{})
		d.must(err)
		d.equal(n, 10)
		for i := range 20 {
			d.equal(d.standing(revocation.Question{JTI: fmt.Sprint(i)}).TokenCut, i >= 10)
		}
		n, err = d.s.Purge(d.ctx, noon, 3, time.Time{})
		d.must(err)
		d.equal(n, 0)
	}},
	{"old changes go, the last one stays", func(d *databaseTest) {
		d.client("a") // change 1
		for i := range 9 {
			ev := event(audit.ClientCut, "a")
			ev.At = noon.Add(time.Duration(i+1) * time.Second)
			d.must(d.s.CutClient(d.ctx, "a", ev))
		}
		n, err := d.s.Purge(d.ctx, noon, 2, noon.Add(4*time.Second))
		d.must(err)
		d.equal(n, 4)
		list, err := d.s.ChangesAfter(d.ctx, 0, 100)
		d.must(err)
		d.equal(len(list), 6)
		d.equal(list[0].Number, changes.Number(5))

		n, err = d.s.Purge(d.ctx, noon, 100, noon.Add(time.Hour))
		d.must(err)
		d.equal(n, 5)
		list, err = d.s.ChangesAfter(d.ctx, 3, 100)
		d.must(err)
		d.equal(list, []changes.Change{{Number: 10, Kind: changes.Client, Subject: "a", At: stored(noon.Add(9 * time.Second))}})
		d.equal(d.number(), changes.Number(10))
		d.equal(len(d.events()), 10)
		// And the sequence goes on.
		d.must(d.s.CutClient(d.ctx, "a", event(audit.ClientCut, "a")))
		d.equal(d.number(), changes.Number(11))
	}},
	{"an empty database has nothing to purge", func(d *databaseTest) {
		n, err := d.s.Purge(d.ctx, noon, 0, noon)
		d.must(err)
		d.equal(n, 0)
	}},
	{"one call does so much and no more", func(d *databaseTest) {
		for i := range 25 {
			jti := fmt.Sprint(i)
			d.must(d.s.CutToken(d.ctx, jti, noon, status.Ref{}, event(audit.TokenCut, jti)))
		}
		total := 0
		for calls := range 3 {
			n, err := d.s.Purge(d.ctx, noon.Add(time.Hour), 1, time.Time{})
			d.must(err)
			if total += n; calls == 0 && n >= 25 {
				d.Fatalf("%d deleted in one call", n)
			}
		}
		d.equal(total, 25)
	}},
	{"several servers purge at once while others cut", func(d *databaseTest) {
		const n = 60
		for i := range n {
			jti := fmt.Sprint("expired ", i)
			d.must(d.s.CutToken(d.ctx, jti, noon.Add(-time.Hour), status.Ref{}, event(audit.TokenCut, jti)))
		}
		deleted := make([]int, 8)
		for _, err := range d.atOnce(8, func(i int, s *storage.Store) (err error) {
			if i >= 6 {
				for j := range 10 {
					jti := fmt.Sprintf("live %d-%d", i, j)
					if err := s.CutToken(d.ctx, jti, noon.Add(time.Hour), status.Ref{}, event(audit.TokenCut, jti)); err != nil {
						return err
					}
				}
				return nil
			}
			deleted[i], err = s.Purge(d.ctx, noon, 7, time.Time{})
			return err
		}) {
			d.must(err)
		}
		total := 0
		for _, n := range deleted {
			total += n
		}
		d.equal(total, n)
		for i := range 10 {
			d.equal(d.standing(revocation.Question{JTI: fmt.Sprintf("live 7-%d", i)}).TokenCut, true)
		}
	}},
}
