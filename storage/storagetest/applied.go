package storagetest

import (
	"github.com/ingam/ingam/authz/administration"
)

var appliedTests = []test{
	{"a mark says what a file made, and takes the place of a former one", func(d *databaseTest) {
		before := d.number()
		first := administration.Mark{Kind: administration.KindClient, ID: "a", Version: "1", CreatedAt: stored(noon)}
		second, other := first, first
		second.Version, other.Kind = "2", administration.KindAPI
		for _, m := range []administration.Mark{first, other, second} {
			d.must(d.s.MarkApplied(d.ctx, m))
		}
		marks, err := d.other.Applied(d.ctx)
		d.must(err)
		d.equal(marks, []administration.Mark{other, second})
		other.Version = ""
		d.must(d.s.MarkApplied(d.ctx, other))
		marks, err = d.other.Applied(d.ctx)
		d.must(err)
		d.equal(marks, []administration.Mark{second})
		if d.number() != before {
			d.Error("a mark is a change")
		}
	}},
}
