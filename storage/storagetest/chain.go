package storagetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

// plainly is a Sealer that seals nothing.
type plainly struct{}

func (plainly) Seal(_ keys.Ring, _ string, private []byte) ([]byte, error) { return private, nil }
func (plainly) Open(_ keys.Ring, _ string, sealed []byte) ([]byte, error)  { return sealed, nil }

// chained is the chain of one instance, with the time by its clock.
type chained struct {
	*chain.Chain
	rings *keys.Keyring
	now   time.Time
}

func (d *databaseTest) chain(s *storage.Store) *chained {
	c := &chained{now: noon}
	c.Chain, c.rings = Chain(s, func() time.Time { return c.now })
	return c
}

// Chain returns the chain of a Store, as of an instance of its own, and its keys.
func Chain(s *storage.Store, now func() time.Time) (*chain.Chain, *keys.Keyring) {
	rings := keys.New(s, plainly{}, keys.Policy{RotateEvery: 24 * time.Hour, Skew: time.Minute, Staleness: time.Second, Bits: 2048}, now)
	return chain.New(s, rings, now), rings
}

// log writes n events, an hour apart from each other.
func (d *databaseTest) log(from, n int) {
	d.Helper()
	events := make([]audit.Event, n)
	for i := range events {
		events[i] = event(audit.TokenCut, fmt.Sprint(from+i))
		events[i].At = noon.Add(time.Duration(from+i) * time.Hour)
	}
	d.must(d.s.Record(d.ctx, events))
}

// chainAll chains all events.
func (d *databaseTest) chainAll(c *chained) {
	d.Helper()
	for {
		d.must(c.Run(d.ctx))
		if n, err := d.s.CountUnchained(d.ctx); err != nil || n == 0 {
			d.must(err)
			return
		}
	}
}

// flaws checks the chain and returns what is wrong, without the words.
func (d *databaseTest) flaws(c *chained, kept chain.Mark) []chain.Flaw {
	d.Helper()
	d.must(c.rings.Reload(d.ctx))
	var all []chain.Flaw
	for place := (&chain.Place{}); place != nil; {
		r, err := c.Check(d.ctx, *place, kept, 7)
		d.must(err)
		for _, f := range r.Flaws {
			if f.Detail == "" {
				d.Fatalf("it is not said what is wrong: %+v", f)
			}
			f.Detail = ""
			all = append(all, f)
		}
		place = r.Next
	}
	return all
}

// sound expects that nothing is wrong.
func (d *databaseTest) sound(c *chained, kept chain.Mark) {
	d.Helper()
	if flaws := d.flaws(c, kept); len(flaws) > 0 {
		d.Fatalf("%+v", flaws)
	}
}

// hex writes bytes as SQL.
func (d *databaseTest) hex(digest chain.Digest) string {
	if d.s.Engine() == storage.PostgreSQL {
		return `'\x` + digest.String() + `'::bytea`
	}
	return "x'" + digest.String() + "'"
}

// tampered is for tests of tampering. It returns the chain of 30 events, with a head after each
// five. Of those after the first ones, number n is of n+4 hours after noon.
func (d *databaseTest) tampered() *chained {
	d.Helper()
	c := d.chain(d.s)
	d.log(0, 4)
	d.chainAll(c) // which also makes the keys: that is the fifth event
	Exec(d, d.url, "DELETE FROM audit_heads WHERE number = 4")
	for i := range 5 {
		d.log(5*i+10, 5)
		d.must(c.Run(d.ctx))
	}
	d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_heads"), 6)
	d.sound(c, chain.Mark{})
	return c
}

var chainTests = []test{
	{"events get numbers without gaps, and heads", func(d *databaseTest) {
		c := d.chain(d.s)
		d.must(c.Run(d.ctx))
		if _, err := c.Last(d.ctx); !errors.Is(err, chain.ErrNothing) {
			d.Fatal(err)
		}
		const n = 2345
		d.log(0, n)
		d.chainAll(c)
		links, err := d.other.Links(d.ctx, 0, 1<<60, 2*n)
		d.must(err)
		d.equal(len(links), n+1) // and the key that was made
		var former chain.Digest
		for i, l := range links {
			d.equal(l, chain.Follow(former, int64(i+1), l.Event))
			former = l.Digest
		}
		head := d.head(c)
		d.equal(head.Number, int64(n+1))
		d.equal(head.Digest, former)
		d.sound(d.chain(d.other), chain.Mark{Number: head.Number, Digest: head.Digest})
		// The events are as they were.
		log := d.events()
		d.equal(len(log), n+1)
		d.equal(log[7].Subject, "7")
	}},
	{"an event of an older version is chained too", func(d *databaseTest) {
		c := d.chain(d.s)
		Exec(d, d.url, "INSERT INTO audit_events (at_ms, actor, action, subject, reason, details) VALUES (1, 'a', 'b', 'c', '', '{}')")
		d.chainAll(c)
		d.equal(Count(d, d.url, "SELECT number FROM audit_events WHERE subject = 'c'"), 1)
		d.sound(c, chain.Mark{})
	}},
	{"one of many instances chains", func(d *databaseTest) {
		a, b := d.chain(d.s), d.chain(d.other)
		d.log(0, 3)
		d.must(a.Run(d.ctx))
		d.log(3, 3)
		d.must(b.Run(d.ctx))
		n, err := d.s.CountUnchained(d.ctx)
		d.must(err)
		d.equal(n, int64(4))
		// What is given back can be taken at once.
		d.must(a.Release(d.ctx))
		d.must(b.Run(d.ctx))
		n, err = d.s.CountUnchained(d.ctx)
		d.must(err)
		d.equal(n, int64(0))
		d.log(6, 3)
		d.must(a.Run(d.ctx))
		n, err = d.s.CountUnchained(d.ctx)
		d.must(err)
		d.equal(n, int64(3))
		// And so can one whose holder is silent.
		Exec(d, d.url, "UPDATE leases SET until_ms = 1")
		d.chainAll(a)
		d.sound(b, chain.Mark{})
	}},
	{"who has lost the lease chains nothing", func(d *databaseTest) {
		c := d.chain(d.s)
		d.log(0, 1)
		d.chainAll(c)
		old, held, err := d.s.TakeLease(d.ctx, "old")
		d.must(err)
		d.equal(held, false)
		Exec(d, d.url, "UPDATE leases SET until_ms = 0")
		old, held, err = d.s.TakeLease(d.ctx, "old")
		d.must(err)
		d.equal(held, true)
		Exec(d, d.url, "UPDATE leases SET until_ms = 0")
		fresh, held, err := d.other.TakeLease(d.ctx, "fresh")
		d.must(err)
		d.equal(held, true)
		d.log(1, 1)
		waiting, err := d.s.Unchained(d.ctx, 10)
		d.must(err)
		tail, err := d.s.Tail(d.ctx)
		d.must(err)
		l := chain.Follow(tail.Digest, tail.Number+1, waiting[0])
		h := chain.Head{Number: l.Number, Digest: l.Digest, At: noon, KID: "k", Signed: "s"}
		d.refuses(chain.ErrLost, func() error { return d.s.Extend(d.ctx, old, []chain.Link{l}, noon, h) })
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_events WHERE number IS NULL"), 1)
		d.must(d.other.Extend(d.ctx, fresh, []chain.Link{l}, noon, h))
		// The same use a second time, as after a lost answer, is refused.
		d.refuses(chain.ErrLost, func() error { return d.other.Extend(d.ctx, fresh, []chain.Link{l}, noon, h) })
		// And so is an event that is not there any more, or was chained.
		fresh.Fence++
		h.Number++
		d.refuses(chain.ErrLost, func() error { return d.other.Extend(d.ctx, fresh, []chain.Link{l}, noon, h) })
		// Giving back what is lost gives nothing back.
		d.must(d.s.ReleaseLease(d.ctx, old))
		_, held, err = d.s.TakeLease(d.ctx, "third")
		d.must(err)
		d.equal(held, false)
	}},
	{"instances that fight leave no gap and no number twice", func(d *databaseTest) {
		chains := make([]*chained, 6)
		for i := range chains {
			chains[i] = d.chain([]*storage.Store{d.s, d.other}[i%2])
		}
		for _, err := range d.atOnce(8, func(i int, s *storage.Store) error {
			for j := range 10 {
				if i >= len(chains) {
					if err := s.Record(d.ctx, []audit.Event{event(audit.TokenCut, fmt.Sprint(i, j))}); err != nil {
						return err
					}
					continue
				}
				// Each takes the lease away from the others, while they may be chaining.
				l, _, err := s.TakeLease(d.ctx, "thief")
				if err == nil {
					err = s.ReleaseLease(d.ctx, l)
				}
				if err := errors.Join(err, chains[i].Run(d.ctx), chains[i].Release(d.ctx)); err != nil {
					return err
				}
			}
			return nil
		}) {
			d.must(err)
		}
		d.chainAll(chains[0])
		d.sound(chains[1], chain.Mark{})
		n := Count(d, d.url, "SELECT COUNT(*) FROM audit_events")
		d.equal(Count(d, d.url, "SELECT MAX(number) FROM audit_events"), n)
	}},
	{"a clock of the database that jumps stops nobody for long, and makes no two holders", func(d *databaseTest) {
		c := d.chain(d.s)
		d.log(0, 1)
		d.chainAll(c)
		// It was ahead when the lease was taken.
		Exec(d, d.url, "UPDATE leases SET until_ms = until_ms + 3600000")
		_, held, err := d.other.TakeLease(d.ctx, "another")
		d.must(err)
		d.equal(held, true)
		// The former holder does not know yet.
		d.log(1, 1)
		d.must(c.Run(d.ctx))
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_events WHERE number IS NULL"), 1)
		// A clock of an instance decides nothing but the time in the head.
		c.now = noon.Add(-24 * 365 * time.Hour)
		Exec(d, d.url, "UPDATE leases SET until_ms = 0")
		d.chainAll(c)
		d.sound(c, chain.Mark{})
	}},
	{"an event that was edited is found", func(d *databaseTest) {
		c := d.tampered()
		for _, edit := range []string{"at_ms = at_ms + 1", "actor = 'cli:other'", "action = 'cut.grant'", "subject = 'x'", "reason = ''", "details = '{}'", "details = 'nothing'"} {
			Exec(d, d.url, "CREATE TABLE copies AS SELECT * FROM audit_events")
			Exec(d, d.url, "UPDATE audit_events SET "+edit+" WHERE number = 13")
			id := int64(Count(d, d.url, "SELECT id FROM audit_events WHERE number = 13"))
			d.equal(d.flaws(c, chain.Mark{}), []chain.Flaw{{Kind: chain.Changed, First: 13, Last: 13, EventID: id}})
			Exec(d, d.url, "DELETE FROM audit_events")
			Exec(d, d.url, "INSERT INTO audit_events "+d.overriding()+"SELECT * FROM copies")
			Exec(d, d.url, "DROP TABLE copies")
			d.sound(c, chain.Mark{})
		}
	}},
	{"an event that was edited with its digest, and all that come after it, is found", func(d *databaseTest) {
		c := d.tampered()
		Exec(d, d.url, "UPDATE audit_events SET subject = 'x' WHERE number = 13")
		links, err := d.s.Links(d.ctx, 11, 1<<60, 100)
		d.must(err)
		former := links[0].Digest
		for _, l := range links[1:] {
			former = chain.Follow(former, l.Number, l.Event).Digest
			Exec(d, d.url, fmt.Sprintf("UPDATE audit_events SET digest = %s WHERE number = %d", d.hex(former), l.Number))
		}
		want := []chain.Flaw{{Kind: chain.Rewritten, First: 11, Last: 15}}
		d.equal(d.flaws(c, chain.Mark{}), want)
		// The heads that are not signed like that help nobody.
		links, err = d.s.Links(d.ctx, 0, 1<<60, 100)
		d.must(err)
		for _, l := range links {
			Exec(d, d.url, fmt.Sprintf("UPDATE audit_heads SET digest = %s WHERE number = %d", d.hex(l.Digest), l.Number))
		}
		d.equal(d.flaws(c, chain.Mark{})[0].Kind, chain.Rewritten)
	}},
	{"an event that was removed is found", func(d *databaseTest) {
		c := d.tampered()
		Exec(d, d.url, "DELETE FROM audit_events WHERE number IN (1, 13, 14, 16)")
		d.equal(d.flaws(c, chain.Mark{}), []chain.Flaw{{Kind: chain.Missing, First: 1, Last: 1}, {Kind: chain.Missing, First: 13, Last: 14}, {Kind: chain.Missing, First: 16, Last: 16}})
		// It is also when it waits to be chained once more.
		Exec(d, d.url, "UPDATE audit_events SET number = NULL WHERE number = 22")
		d.chainAll(c)
		d.equal(d.flaws(c, chain.Mark{})[3], chain.Flaw{Kind: chain.Missing, First: 22, Last: 22})
	}},
	{"events that were removed, with what came after them moved up, are found", func(d *databaseTest) {
		c := d.tampered()
		Exec(d, d.url, "DELETE FROM audit_events WHERE number = 13")
		for n := 14; n <= 30; n++ {
			Exec(d, d.url, fmt.Sprintf("UPDATE audit_events SET number = %d WHERE number = %d", n-1, n))
		}
		if flaws := d.flaws(c, chain.Mark{}); len(flaws) == 0 || flaws[0].First > 13 || flaws[0].Last < 13 {
			d.Fatalf("%+v", flaws)
		}
	}},
	{"events that were moved are found", func(d *databaseTest) {
		c := d.tampered()
		Exec(d, d.url, "UPDATE audit_events SET number = 100 WHERE number = 11")
		Exec(d, d.url, "UPDATE audit_events SET number = 11 WHERE number = 12")
		Exec(d, d.url, "UPDATE audit_events SET number = 12 WHERE number = 100")
		for i, f := range d.flaws(c, chain.Mark{}) {
			d.equal(f.Kind, chain.Changed)
			d.equal(f.First, int64(11+i))
		}
	}},
	{"an event that was put in is found", func(d *databaseTest) {
		c := d.tampered()
		// At the end, with the digest that it would have.
		tail, err := d.s.Tail(d.ctx)
		d.must(err)
		Exec(d, d.url, "INSERT INTO audit_events (at_ms, actor, action, subject, reason, details) VALUES (1, 'a', 'b', 'c', '', '{}')")
		waiting, err := d.s.Unchained(d.ctx, 10)
		d.must(err)
		l := chain.Follow(tail.Digest, tail.Number+1, waiting[0])
		Exec(d, d.url, fmt.Sprintf("UPDATE audit_events SET number = %d, digest = %s WHERE id = %d", l.Number, d.hex(l.Digest), l.Event.ID))
		d.equal(d.flaws(c, chain.Mark{}), []chain.Flaw{{Kind: chain.Unsigned, First: l.Number, Last: l.Number}})
		// The chain goes on after it all the same.
		d.log(50, 1)
		d.chainAll(c)
		d.equal(Count(d, d.url, "SELECT MAX(number) FROM audit_events"), int(l.Number)+1)
	}},
	{"what was cut off the end is missed by whoever has kept a head", func(d *databaseTest) {
		c := d.tampered()
		head := d.head(c)
		kept := chain.Mark{Number: head.Number, Digest: head.Digest}
		d.sound(c, kept)
		Exec(d, d.url, "DELETE FROM audit_events WHERE number > 19")
		d.equal(d.flaws(c, chain.Mark{}), []chain.Flaw{{Kind: chain.Missing, First: 20, Last: 20}, {Kind: chain.Missing, First: 21, Last: 25}, {Kind: chain.Missing, First: 26, Last: 30}})
		Exec(d, d.url, "DELETE FROM audit_events WHERE number > 15")
		Exec(d, d.url, "DELETE FROM audit_heads WHERE number > 15")
		d.sound(c, chain.Mark{})
		d.equal(d.flaws(c, kept), []chain.Flaw{{Kind: chain.CutOff, First: 16, Last: 30}})
		// Other events come in their place: by now even by the server's own hand.
		d.log(60, 20)
		d.chainAll(c)
		d.sound(c, chain.Mark{})
		d.equal(d.flaws(c, kept), []chain.Flaw{{Kind: chain.Replaced, First: 30, Last: 30}})
	}},
	{"heads that were removed or forged are found where they are needed", func(d *databaseTest) {
		c := d.tampered()
		// One in between is not needed.
		Exec(d, d.url, "DELETE FROM audit_heads WHERE number = 15")
		d.sound(c, chain.Mark{})
		Exec(d, d.url, "DELETE FROM audit_heads WHERE number > 20")
		d.equal(d.flaws(c, chain.Mark{}), []chain.Flaw{{Kind: chain.Unsigned, First: 21, Last: 30}})
		Exec(d, d.url, "UPDATE audit_heads SET signed = 'e30.e30.e30' WHERE number = 20")
		d.equal(d.flaws(c, chain.Mark{}), []chain.Flaw{{Kind: chain.Forged, First: 20, Last: 20}, {Kind: chain.Unsigned, First: 21, Last: 30}})
	}},
	{"a head counts no more when its key was withdrawn", func(d *databaseTest) {
		c := d.tampered()
		d.must(c.rings.Withdraw(d.ctx, d.head(c).KID, keys.Intervention{Actor: "a", Force: true}))
		d.equal(d.flaws(c, chain.Mark{}), []chain.Flaw{{Kind: chain.Unsigned, First: 1, Last: 30}})
		// The next one stands for all before it.
		d.chainAll(c)
		d.sound(c, chain.Mark{})
	}},
	{"a key of the ring verifies for as long as there are heads", func(d *databaseTest) {
		c := d.tampered()
		first := d.head(c).KID
		for range 40 {
			c.now = c.now.Add(24 * time.Hour)
			d.must(c.rings.Maintain(d.ctx))
		}
		d.chainAll(c)
		if d.head(c).KID == first {
			d.Fatal("the ring does not rotate")
		}
		d.sound(c, chain.Mark{})
		public, err := c.rings.PublicKeys(keys.Audit)
		d.must(err)
		d.equal(public[0].KID, first)
		d.equal(c.rings.CanSign(keys.Audit, first), false)
	}},
	{"the audit log is kept for as long as it is to be, below a signed anchor", func(d *databaseTest) {
		c := d.tampered()
		purge := func(before time.Duration, want int) {
			d.Helper()
			n, err := c.Purge(d.ctx, noon.Add(before*time.Hour), 2)
			d.must(err)
			d.equal(n, want)
			d.sound(c, chain.Mark{})
		}
		purge(0, 0)
		purge(4, 5)
		purge(19, 5) // the last of the next five is of then
		purge(20, 5)
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_heads"), 4)
		d.equal(Count(d, d.url, "SELECT MIN(number) FROM audit_events"), 16)
		// Without the anchor they are missing; and a head is no anchor.
		Exec(d, d.url, "UPDATE audit_heads SET anchor = "+d.not()+" WHERE number = 15")
		d.equal(d.flaws(c, chain.Mark{})[0], chain.Flaw{Kind: chain.Missing, First: 1, Last: 15})
		Exec(d, d.url, "UPDATE audit_heads SET anchor = NOT "+d.not())
		if flaws := d.flaws(c, chain.Mark{}); len(flaws) == 0 || flaws[0].Kind != chain.Forged {
			d.Fatalf("%+v", flaws)
		}
		Exec(d, d.url, "UPDATE audit_heads SET anchor = "+d.not()+" WHERE number > 15")
		// What is not chained is kept.
		d.log(-1000, 1)
		n, err := c.Purge(d.ctx, noon.Add(1000*time.Hour), 1000)
		d.must(err)
		d.equal(n, 15)
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_events"), 1)
		d.sound(c, chain.Mark{})
		_, err = c.Check(d.ctx, chain.Place{}, chain.Mark{Number: 29}, 10)
		if !errors.Is(err, chain.ErrTooOld) {
			d.Fatal(err)
		}
		// And the numbers go on.
		d.chainAll(c)
		d.equal(d.head(c).Number, int64(31))
		d.sound(c, chain.Mark{})
	}},
	{"nothing is purged that was changed, or is younger than a head says", func(d *databaseTest) {
		for _, change := range []string{
			"UPDATE audit_heads SET newest_ms = 1",
			"UPDATE audit_events SET at_ms = 1 WHERE number > 5",
			"UPDATE audit_events SET reason = 'another' WHERE number = 3",
			"DELETE FROM audit_events WHERE number = 3",
			"DELETE FROM audit_events WHERE number <= 5",
		} {
			for _, table := range []string{"audit_events", "audit_heads", "signing_keys"} {
				Exec(d, d.url, "DELETE FROM "+table)
			}
			Exec(d, d.url, "UPDATE leases SET until_ms = 0")
			c := d.tampered()
			Exec(d, d.url, change)
			if change == "UPDATE audit_events SET at_ms = 1 WHERE number > 5" {
				Exec(d, d.url, "UPDATE audit_heads SET newest_ms = 1")
			}
			left := Count(d, d.url, "SELECT COUNT(*) FROM audit_events")
			if _, err := c.Purge(d.ctx, noon.Add(19*time.Hour), 100); err == nil {
				d.Errorf("%s: it is purged", change)
			}
			d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_events"), left)
			d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_heads WHERE anchor <> "+d.not()), 0)
		}
	}},
	{"a head counts only if the master key vouches for its key", func(d *databaseTest) {
		c := d.tampered()
		kid := d.head(c).KID
		Exec(d, d.url, "UPDATE signing_keys SET sealed = NULL WHERE kid = '"+kid+"'")
		d.equal(d.flaws(c, chain.Mark{})[0].Kind, chain.Forged)
	}},
	{"an anchor counts no more when its key was withdrawn", func(d *databaseTest) {
		c := d.tampered()
		n, err := c.Purge(d.ctx, noon.Add(15*time.Hour), 100)
		d.must(err)
		d.equal(n, 10)
		d.must(c.rings.Withdraw(d.ctx, d.head(c).KID, keys.Intervention{Actor: "a", Force: true}))
		d.log(60, 1)
		d.chainAll(c)
		kinds := map[string]bool{}
		for _, f := range d.flaws(c, chain.Mark{}) {
			kinds[f.Kind] = true
		}
		d.equal(kinds, map[string]bool{chain.Forged: true, chain.Missing: true})
		if _, err := c.Purge(d.ctx, noon.Add(1000*time.Hour), 100); err == nil {
			d.Fatal("it is purged")
		}
	}},
	{"an anchor is signed anew when its key is withdrawn", func(d *databaseTest) {
		c := d.tampered()
		n, err := c.Purge(d.ctx, noon.Add(15*time.Hour), 100)
		d.must(err)
		d.equal(n, 10)
		kid := d.head(c).KID
		d.must(c.Withdrawing(d.ctx, func() error {
			return c.rings.Withdraw(d.ctx, kid, keys.Intervention{Actor: "a", Force: true})
		}))
		d.log(60, 1)
		d.chainAll(c)
		d.sound(c, chain.Mark{})
		d.equal(d.head(c).KID != kid, true)
		// One of another key, or none, stays as it is.
		other := d.head(c).KID
		refused := errors.New("refused")
		if err := c.Withdrawing(d.ctx, func() error { return refused }); !errors.Is(err, refused) {
			d.Fatal(err)
		}
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_heads WHERE anchor AND kid = '"+other+"'"), 1)
		if _, err := c.Purge(d.ctx, noon.Add(1000*time.Hour), 100); err != nil {
			d.Fatal(err)
		}
	}},
	{"nothing is purged below a head that is not good", func(d *databaseTest) {
		c := d.tampered()
		Exec(d, d.url, "UPDATE audit_heads SET signed = 'e30.e30.e30' WHERE number = 15")
		_, err := c.Purge(d.ctx, noon.Add(20*time.Hour), 10)
		if err == nil {
			d.Fatal("it was purged")
		}
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_events"), 30)
	}},
}

func (d *databaseTest) head(c *chained) chain.Head {
	d.Helper()
	h, err := c.Last(d.ctx)
	d.must(err)
	return h
}

// overriding is what an INSERT with an id needs.
func (d *databaseTest) overriding() string {
	if d.s.Engine() == storage.PostgreSQL {
		return "OVERRIDING SYSTEM VALUE "
	}
	return ""
}

// not is FALSE as SQL.
func (d *databaseTest) not() string {
	if d.s.Engine() == storage.SQLite {
		return "0"
	}
	return "FALSE"
}
