package storagetest

import (
	"context"
	"errors"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/storage"
)

var togetherTests = []test{
	{"several changes are one", func(d *databaseTest) {
		before := d.number()
		d.must(d.s.Together(d.ctx, func(ctx context.Context) error {
			d.must(d.s.CreateClient(ctx, plainClient("a"), event(audit.ClientCreated, "a")))
			d.refuses(clients.ErrExists, func() error { return d.s.CreateClient(ctx, plainClient("a"), event(audit.ClientCreated, "a")) })
			// Nothing to change is no failure, and undoes nothing.
			d.must(d.s.SetClientDisabled(ctx, "a", false, event(audit.ClientEnabled, "a")))
			d.must(d.s.CreateClient(ctx, plainClient("b"), event(audit.ClientCreated, "b")))
			if _, err := d.s.Client(ctx, "a"); err != nil {
				d.Errorf("what was changed is not read: %v", err)
			}
			if _, err := d.other.Client(d.ctx, "a"); !errors.Is(err, clients.ErrNotFound) {
				d.Errorf("others read what may not stay: %v", err)
			}
			return nil
		}))
		all, err := d.other.Clients(d.ctx)
		d.must(err)
		if len(all) != 2 || d.number() != before+2 {
			d.Errorf("%d clients, and %d changes", len(all), d.number()-before)
		}
	}},
	{"what several changes are made from stays as it was read", func(d *databaseTest) {
		d.must(d.s.CreateClient(d.ctx, plainClient("a"), event(audit.ClientCreated, "a")))
		const editors = 6
		for _, err := range d.atOnce(editors, func(_ int, s *storage.Store) error {
			return s.Together(d.ctx, func(ctx context.Context) error {
				// Nothing to change: that must not let others in either.
				if err := s.SetClientDisabled(ctx, "a", false, event(audit.ClientEnabled, "a")); err != nil {
					return err
				}
				was, err := s.Client(ctx, "a")
				if err != nil {
					return err
				}
				return s.UpdateClient(ctx, "a", func(c *clients.Client, _ []apis.API) (*audit.Event, error) {
					c.Name = was.Name + "B"
					ev := event(audit.ClientUpdated, "a")
					return &ev, nil
				})
			})
		}) {
			d.must(err)
		}
		c, err := d.other.Client(d.ctx, "a")
		d.must(err)
		d.equal(c.Name, "A"+strings.Repeat("B", editors))
	}},
	{"of several changes none stays if one fails", func(d *databaseTest) {
		failed := errors.New("failed")
		before := d.number()
		err := d.s.Together(d.ctx, func(ctx context.Context) error {
			d.must(d.s.CreateClient(ctx, plainClient("a"), event(audit.ClientCreated, "a")))
			return failed
		})
		if all, _ := d.other.Clients(d.ctx); !errors.Is(err, failed) || len(all) > 0 || d.number() != before {
			d.Errorf("%v, and %d clients", err, len(all))
		}
	}},
	{"of a dry run nothing stays", func(d *databaseTest) {
		before := d.number()
		dry := changes.DryRun(d.ctx)
		d.must(d.s.CreateClient(dry, plainClient("a"), event(audit.ClientCreated, "a")))
		d.must(d.s.Together(dry, func(ctx context.Context) error {
			d.must(d.s.CreateClient(ctx, plainClient("a"), event(audit.ClientCreated, "a")))
			d.refuses(clients.ErrExists, func() error { return d.s.CreateClient(ctx, plainClient("a"), event(audit.ClientCreated, "a")) })
			return d.s.UpdateClient(ctx, "a", func(c *clients.Client, _ []apis.API) (*audit.Event, error) {
				c.Name = "B"
				ev := event(audit.ClientUpdated, "a")
				return &ev, nil
			})
		}))
		if all, err := d.other.Clients(d.ctx); err != nil || len(all) > 0 || d.number() != before {
			d.Errorf("%v, %d clients", err, len(all))
		}
	}},
}

func plainClient(id string) clients.Client {
	return clients.Client{ID: id, Name: "A", Auth: clients.None, PKCE: clients.PKCERequired}
}
