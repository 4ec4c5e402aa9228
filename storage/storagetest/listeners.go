package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/storage"
)

var listenerTests = []test{
	{"what a listener acknowledges grows, until it is reset or leaves", func(d *databaseTest) {
		l := listeners.Listener{ID: "1", ClientID: "c", Name: "n"}
		d.must(d.s.SaveListener(d.ctx, l, false))
		d.must(d.s.Acknowledge(d.ctx, "1", "c", 7))
		d.must(d.other.Acknowledge(d.ctx, "1", "c", 5))
		d.must(d.other.Acknowledge(d.ctx, "1", "c", 5)) // nothing changes, and that is no error
		l.Acknowledged = 7
		d.equal(d.listeners(time.Hour), []listeners.Listener{l})
		gone, err := d.s.SeeListeners(d.ctx, []string{"1", "unknown"})
		d.must(err)
		d.equal(gone, []string{"unknown"})
		gone, err = d.s.SeeListeners(d.ctx, nil)
		d.must(err)
		d.equal(len(gone), 0)
		d.equal(len(d.listeners(time.Hour)), 1)
		d.equal(len(d.listeners(-time.Hour)), 0)
		d.must(d.s.ResetListener(d.ctx, "1"))
		d.must(d.s.ResetListener(d.ctx, "1"))
		l.Acknowledged = 0
		d.equal(d.listeners(time.Hour), []listeners.Listener{l})
		for _, wrong := range [][2]string{{"1", "other"}, {"2", "c"}, {"", "c"}, {"1", notText[0]}} {
			if err := d.s.Acknowledge(d.ctx, wrong[0], wrong[1], 9); !errors.Is(err, listeners.ErrNotFound) {
				d.Errorf("%v: %v", wrong, err)
			}
			if err := d.s.RemoveListener(d.ctx, wrong[0], wrong[1]); !errors.Is(err, listeners.ErrNotFound) {
				d.Errorf("%v: %v", wrong, err)
			}
		}
		d.must(d.other.RemoveListener(d.ctx, "1", "c"))
		d.equal(len(d.listeners(time.Hour)), 0)
		for _, err := range []error{d.s.ResetListener(d.ctx, "1"), d.s.RemoveListener(d.ctx, "1", "c"), d.s.Acknowledge(d.ctx, "1", "c", 1)} {
			if !errors.Is(err, listeners.ErrNotFound) {
				d.Errorf("it has left: %v", err)
			}
		}
	}},
	{"an instance that connects again has one listener, and replicas have one each", func(d *databaseTest) {
		one, replica := listeners.Listener{ID: "1", ClientID: "c", Name: "n", Instance: "i"}, listeners.Listener{ID: "2", ClientID: "c", Name: "n", Instance: "j"}
		elsewhere := listeners.Listener{ID: "3", ClientID: "other", Name: "n", Instance: "i"}
		for _, l := range []listeners.Listener{one, replica, elsewhere} {
			d.must(d.s.SaveListener(d.ctx, l, false))
			d.must(d.s.Acknowledge(d.ctx, l.ID, l.ClientID, 7))
		}
		for i, err := range d.atOnce(8, func(i int, s *storage.Store) error {
			return s.SaveListener(d.ctx, listeners.Listener{ID: fmt.Sprint("again", i), ClientID: "c", Name: "n", Instance: "i"}, true)
		}) {
			if err != nil {
				d.Errorf("%d: %v", i, err)
			}
		}
		all := d.listeners(time.Hour)
		if len(all) != 3 {
			d.Fatalf("%+v", all)
		}
		// What the previous connection acknowledged does not count for this one.
		one.ID, replica.Acknowledged, elsewhere.Acknowledged = all[0].ID, 7, 7
		d.equal(all, []listeners.Listener{one, replica, elsewhere})
	}},
	{"without an instance each connection has a listener, and one that resumes takes the place of one", func(d *databaseTest) {
		save := func(id string, acked changes.Number, resumes bool) {
			d.Helper()
			d.must(d.s.SaveListener(d.ctx, listeners.Listener{ID: id, ClientID: "c", Name: "n"}, resumes))
			if acked > 0 {
				d.must(d.s.Acknowledge(d.ctx, id, "c", acked))
			}
		}
		ids := func() (ids []string) {
			for _, l := range d.listeners(time.Hour) {
				ids = append(ids, l.ID)
			}
			slices.Sort(ids)
			return ids
		}
		d.must(d.s.SaveListener(d.ctx, listeners.Listener{ID: "named", ClientID: "c", Name: "n", Instance: "i"}, false))
		d.must(d.s.SaveListener(d.ctx, listeners.Listener{ID: "longer", ClientID: "c", Name: "n-1"}, false))
		save("1", 8, false)
		save("2", 9, false)
		save("3", 0, false)
		d.equal(ids(), []string{"1", "2", "3", "longer", "named"})
		save("4", 0, true)
		d.equal(ids(), []string{"1", "3", "4", "longer", "named"})
		// An older server keeps one row per name.
		Exec(d, d.url, "INSERT INTO status_listeners (client_id, name, id, connected_ms, seen_ms, acked) SELECT 'c', 'n', 'before', connected_ms, seen_ms, 10 FROM status_listeners WHERE id = '4'")
		d.equal(ids(), []string{"1", "3", "4", "before", "longer", "named"})
		save("5", 0, true)
		d.equal(ids(), []string{"1", "3", "4", "5", "longer", "named"})
	}},
	{"a client has so many listeners and no more, of which those that nobody has seen are forgotten", func(d *databaseTest) {
		d.must(d.s.SaveListener(d.ctx, listeners.Listener{ID: "1", ClientID: "c", Name: "n"}, false))
		rows, now := []string{}, time.Now().UnixMilli()
		for i := range listeners.Most - 1 {
			rows = append(rows, fmt.Sprintf("('c', 'n/x%d', 'x%d', %d, %d, 0)", i, i, now, now))
		}
		Exec(d, d.url, "INSERT INTO status_listeners (client_id, name, id, connected_ms, seen_ms, acked) VALUES "+strings.Join(rows, ", "))
		d.equal(len(d.listeners(time.Hour)), listeners.Most)
		next := listeners.Listener{ID: "next", ClientID: "c", Name: "m"}
		if err := d.s.SaveListener(d.ctx, next, false); !errors.Is(err, listeners.ErrTooMany) {
			d.Errorf("%v", err)
		}
		d.must(d.s.SaveListener(d.ctx, listeners.Listener{ID: "next", ClientID: "other", Name: "m"}, false))
		Exec(d, d.url, fmt.Sprintf("UPDATE status_listeners SET seen_ms = seen_ms - %d WHERE client_id = 'c' AND id <> '1'", listeners.Unseen.Milliseconds()))
		d.must(d.s.SaveListener(d.ctx, next, false))
		d.equal(len(d.listeners(time.Hour)), 3)
	}},
}

// listeners returns the listeners without their times, which must be about now.
func (d *databaseTest) listeners(within time.Duration) []listeners.Listener {
	d.Helper()
	all, err := d.other.Listeners(d.ctx, within)
	d.must(err)
	for i := range all {
		if age := time.Since(all[i].SeenAt).Abs(); age > time.Minute || all[i].ConnectedAt.After(all[i].SeenAt) {
			d.Errorf("%+v", all[i])
		}
		all[i].SeenAt, all[i].ConnectedAt = time.Time{}, time.Time{}
	}
	return all
}
