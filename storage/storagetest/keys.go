package storagetest

import (
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

var keyTests = []test{
	{"keys come back as they were inserted, by ring and ordinal", func(d *databaseTest) {
		t2, r1, t1 := newKey("t2", keys.Tokens, 2), newKey("r1", keys.Refresh, 1), newKey("t1", keys.Tokens, 1)
		t1.WithdrawnAt = noon
		t2.Sealed = nil
		c := keyChange(keys.ActionCreate, "t1")
		s1 := newKey("s1", keys.Seals, 1)
		s1.Public = []byte{} // what is symmetric has no public half
		c.Insert = []keys.Record{t2, r1, s1, t1}
		d.keyChange(c)
		for _, r := range []*keys.Record{&t1, &t2, &r1, &s1} {
			r.PublishedAt, r.SignsFrom = stored(r.PublishedAt), stored(r.SignsFrom)
		}
		t1.WithdrawnAt = stored(t1.WithdrawnAt)
		d.equal(d.keys(), []keys.Record{r1, s1, t1, t2})
	}},
	{"older versions are refused once there is a key that they cannot read", func(d *databaseTest) {
		for i, c := range []struct {
			ring   keys.Ring
			oldest int
		}{{keys.Tokens, 1}, {keys.Refresh, 1}, {keys.TokensBy(keys.PS256), 1}, {keys.TokensBy(keys.ES256), 10}, {keys.Tokens, 10}} {
			d.insert(newKey(fmt.Sprint("k", i), c.ring, int64(i+1)))
			d.equal(Count(d, d.url, "SELECT oldest_schema FROM server"), c.oldest)
			d.must(d.other.CheckSchema(d.ctx))
		}
		Exec(d, d.url, "UPDATE server SET oldest_schema = 11")
		d.insert(newKey("s", keys.Seals, 1))
		d.equal(Count(d, d.url, "SELECT oldest_schema FROM server"), 11)
	}},
	{"a withdrawn key stays withdrawn since then", func(d *databaseTest) {
		d.insert(newKey("k", keys.Tokens, 1))
		c := keyChange(keys.ActionWithdraw, "k")
		c.Withdraw = true
		d.keyChange(c)
		later := c
		later.At = noon.Add(time.Hour)
		d.refuses(keys.ErrRaced, func() error { return d.other.ChangeKeys(d.ctx, later) })
		d.equal(d.keys()[0].WithdrawnAt, stored(noon))
		later.KID = "missing"
		d.refuses(keys.ErrRaced, func() error { return d.s.ChangeKeys(d.ctx, later) })
	}},
	{"a key moves only from where it was read", func(d *databaseTest) {
		d.insert(newKey("k", keys.Tokens, 1), newKey("l", keys.Tokens, 2))
		from, to := noon.Add(time.Minute), noon.Add(time.Hour)
		c := keyChange(keys.ActionRotate, "k")
		c.Move = []keys.Move{{KID: "k", From: from, To: to}}
		d.keyChange(c)
		d.equal(d.keys()[0].SignsFrom, stored(to))
		d.refuses(keys.ErrRaced, func() error { return d.s.ChangeKeys(d.ctx, c) })
		c.Move[0].KID = "missing"
		d.refuses(keys.ErrRaced, func() error { return d.s.ChangeKeys(d.ctx, c) })

		// A move to the same time only checks that time. Alone it is not a change.
		c.Move = []keys.Move{{KID: "k", From: to, To: to}, {KID: "l", From: from, To: to}}
		d.keyChange(c)
		c.Move = []keys.Move{{KID: "k", From: from, To: from}, {KID: "l", From: to, To: from}}
		d.refuses(keys.ErrRaced, func() error { return d.s.ChangeKeys(d.ctx, c) })
		d.equal(d.keys()[1].SignsFrom, stored(to))
		c.Move = c.Move[:1]
		c.Move[0] = keys.Move{KID: "k", From: to, To: to}
		d.refuses(keys.ErrRaced, func() error { return d.s.ChangeKeys(d.ctx, c) })
	}},
	{"a withdrawn key does not move", func(d *databaseTest) {
		d.insert(newKey("k", keys.Tokens, 1))
		w := keyChange(keys.ActionWithdraw, "k")
		w.Withdraw = true
		d.keyChange(w)
		c := keyChange(keys.ActionRotate, "k")
		c.Move = []keys.Move{{KID: "k", From: noon.Add(time.Minute), To: noon}}
		d.refuses(keys.ErrRaced, func() error { return d.s.ChangeKeys(d.ctx, c) })
	}},
	{"a withdrawal promotes and publishes in one change", func(d *databaseTest) {
		d.insert(newKey("active", keys.Tokens, 1), newKey("next", keys.Tokens, 2))
		c := keyChange(keys.ActionWithdraw, "active")
		c.Withdraw = true
		c.Move = []keys.Move{{KID: "next", From: noon.Add(time.Minute), To: noon}}
		c.Insert = []keys.Record{newKey("fresh", keys.Tokens, 3)}
		d.keyChange(c)
		list := d.keys()
		d.equal(list[0].WithdrawnAt, stored(noon))
		d.equal(list[1].SignsFrom, stored(noon))
		d.equal(list[2].KID, "fresh")
	}},
	{"a taken ordinal or kid is a lost race, which changes nothing", func(d *databaseTest) {
		d.insert(newKey("k", keys.Tokens, 1))
		before := d.keys()
		for _, r := range []keys.Record{newKey("l", keys.Tokens, 1), newKey("k", keys.Tokens, 2)} {
			c := keyChange(keys.ActionWithdraw, "k")
			c.Withdraw = true
			c.Destroy = []string{"k"}
			c.Insert = []keys.Record{newKey("m", keys.Refresh, 7), r}
			d.refuses(keys.ErrRaced, func() error { return d.other.ChangeKeys(d.ctx, c) })
		}
		d.equal(d.keys(), before)
		d.insert(newKey("l", keys.Refresh, 1), newKey("K", keys.Tokens, 2))
	}},
	{"of several that rotate at once one does", func(d *databaseTest) {
		for ordinal := range int64(5) {
			d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
				c := keyChange(keys.ActionRotate, fmt.Sprintf("%d by %d", ordinal, i))
				c.Insert = []keys.Record{newKey(c.KID, keys.Tokens, ordinal)}
				return s.ChangeKeys(d.ctx, c)
			}), keys.ErrRaced)
			d.equal(len(d.keys()), int(ordinal)+1)
			d.equal(len(d.events()), int(ordinal)+1)
			d.equal(d.number(), changes.Number(ordinal+1))
		}
	}},
	{"resealing passes over what has no private key any more", func(d *databaseTest) {
		d.insert(newKey("k", keys.Tokens, 1), newKey("l", keys.Tokens, 2))
		c := keyChange(keys.ActionDestroy, "k")
		c.Destroy = []string{"k"}
		d.keyChange(c)
		c = keyChange(keys.ActionReseal, "l")
		c.Reseal = map[string][]byte{"k": []byte("again"), "l": {0, 0xff, '\'', '\\'}, "missing": []byte("again")}
		d.keyChange(c)
		list := d.keys()
		d.equal(list[0].Sealed, []byte(nil))
		d.equal(list[1].Sealed, []byte{0, 0xff, '\'', '\\'})
	}},
	{"a private key is destroyed and a key deleted, once", func(d *databaseTest) {
		d.insert(newKey("k", keys.Tokens, 1), newKey("l", keys.Tokens, 2))
		c := keyChange(keys.ActionDestroy, "k")
		c.Destroy, c.Delete = []string{"k"}, []string{"l"}
		d.keyChange(c)
		list := d.keys()
		d.equal(len(list), 1)
		d.equal(list[0].Sealed, []byte(nil))
		d.equal(list[0].Public, newKey("k", keys.Tokens, 1).Public)
		// Another server that decides the same finds it done already.
		d.refuses(keys.ErrRaced, func() error { return d.other.ChangeKeys(d.ctx, c) })
	}},
	{"a change of nothing is no change", func(d *databaseTest) {
		d.refuses(keys.ErrRaced, func() error { return d.s.ChangeKeys(d.ctx, keyChange(keys.ActionRotate, "k")) })
	}},
}

func newKey(kid string, ring keys.Ring, ordinal int64) keys.Record {
	return keys.Record{
		KID: kid, Ring: ring, Ordinal: ordinal,
		Public: []byte("public half of " + kid), Sealed: []byte("\x00\xffsealed half of " + kid),
		PublishedAt: noon, SignsFrom: noon.Add(time.Minute),
	}
}

func keyChange(action keys.Action, kid string) keys.Change {
	return keys.Change{At: noon, Actor: "cli:maria", Action: action, Reason: "as planned", KID: kid}
}

func (d *databaseTest) keys() []keys.Record {
	d.Helper()
	list, err := d.other.SigningKeys(d.ctx)
	d.must(err)
	return list
}

func (d *databaseTest) insert(records ...keys.Record) {
	d.Helper()
	c := keyChange(keys.ActionCreate, records[0].KID)
	c.Insert = records
	d.must(d.s.ChangeKeys(d.ctx, c))
}

// keyChange expects c to be committed, with its change and its event.
func (d *databaseTest) keyChange(c keys.Change) {
	d.Helper()
	ev := audit.Event{
		Details: c.Details(),
		At:      c.At, Actor: audit.Actor(c.Actor), Action: audit.Action(c.Action), Subject: c.KID, Reason: c.Reason,
	}
	d.changes(changes.Key, c.KID, ev, func() error { return d.s.ChangeKeys(d.ctx, c) })
}
