package storagetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/storage"
)

var issuerTests = []test{
	{"a database belongs to the first issuer that comes, and to another one when told so", func(d *databaseTest) {
		const first, second = "https://id.test", "https://id.test/a"
		before := d.number()
		for _, issuer := range []string{first, second, first + "/", strings.ToUpper(first)} {
			for _, s := range []*storage.Store{d.s, d.other} {
				has, err := s.TakeIssuer(d.ctx, issuer)
				d.must(err)
				d.equal(has, first)
			}
		}
		d.equal(len(d.events()), 0)
		d.must(d.s.ChangeIssuer(d.ctx, second, event(audit.IssuerChanged, "")))
		has, err := d.other.TakeIssuer(d.ctx, first)
		d.must(err)
		d.equal(has, second)
		d.equal(d.events()[0].Action, audit.IssuerChanged)
		d.equal(d.number(), before)
	}},
	{"of several issuers that come at once one has the database", func(d *databaseTest) {
		var mu sync.Mutex
		var owners []string
		for _, err := range d.atOnce(8, func(i int, s *storage.Store) error {
			has, err := s.TakeIssuer(d.ctx, fmt.Sprintf("https://%d.test", i))
			mu.Lock()
			defer mu.Unlock()
			owners = append(owners, has)
			return err
		}) {
			d.must(err)
		}
		d.equal(len(owners), 8)
		d.equal(len(slices.Compact(owners)), 1)
	}},
}
