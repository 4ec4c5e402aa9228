package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
)

var changeTests = []test{
	{"the sequence begins at nothing", func(d *databaseTest) {
		d.equal(d.number(), changes.Number(0))
		list, err := d.s.ChangesAfter(d.ctx, 0, 10)
		d.must(err)
		d.equal(len(list), 0)
	}},
	{"changes come in order, so many at a time", func(d *databaseTest) {
		var want []changes.Change
		for i := range 5 {
			jti := fmt.Sprint("jti ", i)
			d.must(d.s.CutToken(d.ctx, jti, noon, status.Ref{}, event(audit.TokenCut, jti)))
			want = append(want, changes.Change{Number: changes.Number(i + 1), Kind: changes.Token, Subject: jti, At: stored(noon)})
		}
		for _, c := range []struct {
			after changes.Number
			limit int
			want  []changes.Change
		}{
			{0, 10, want}, {0, 2, want[:2]}, {2, 2, want[2:4]}, {4, 2, want[4:]}, {5, 2, nil}, {99, 2, nil}, {0, 0, nil},
		} {
			got, err := d.other.ChangesAfter(d.ctx, c.after, c.limit)
			d.must(err)
			d.equal(got, c.want)
		}
	}},
	{"many writers leave no gap, and no reader misses a change", func(d *databaseTest) {
		// A quarter of what the writers try is refused or changes nothing: those
		// must not take a number either.
		const writers, each = 8, 20
		ctx, stop := context.WithCancel(d.ctx)
		defer stop()
		var followers sync.WaitGroup
		seen := make([][]changes.Change, 2)
		for i, s := range []*storage.Store{d.s, d.other} {
			followers.Go(func() { seen[i] = d.follow(ctx, s) })
		}
		for _, err := range d.atOnce(writers, func(i int, s *storage.Store) error {
			for j := range each {
				if err := d.write(s, i, j); err != nil {
					return err
				}
			}
			return nil
		}) {
			d.must(err)
		}
		stop()
		followers.Wait()
		for i := range seen {
			for j, c := range seen[i] {
				if c.Number != changes.Number(j+1) {
					d.Fatalf("the reader saw number %d where %d was to come", c.Number, j+1)
				}
			}
			d.equal(changes.Number(len(seen[i])), d.number())
		}
		d.equal(seen[0], seen[1])
		d.equal(len(d.events()), int(d.number()))
		d.equal(d.number(), changes.Number(writers*each*3/4))
	}},
	{"the epoch of a cut is its own number, whoever else is writing", func(d *databaseTest) {
		for i := range 8 {
			d.client(fmt.Sprint(i))
		}
		for _, err := range d.atOnce(8, func(i int, s *storage.Store) error {
			id := fmt.Sprint(i)
			for range 10 {
				if err := s.CutClient(d.ctx, id, event(audit.ClientCut, id)); err != nil {
					return err
				}
			}
			return nil
		}) {
			d.must(err)
		}
		list, err := d.s.ChangesAfter(d.ctx, 8, 1000)
		d.must(err)
		d.equal(len(list), 80)
		last := map[string]changes.Number{}
		for _, c := range list {
			last[c.Subject] = c.Number
		}
		for id, n := range last {
			d.equal(d.standing(revocation.Question{ClientID: id}).ClientEpoch, n)
		}
	}},
}

// write makes a change; every fourth changes nothing.
func (d *databaseTest) write(s *storage.Store, writer, j int) error {
	id := fmt.Sprintf("%d-%d", writer, j)
	switch j % 4 {
	case 0:
		return s.CreateAPI(d.ctx, apis.API{ID: id, Audience: id}, event(audit.APICreated, id))
	case 1:
		return s.CreateClient(d.ctx, clients.Client{ID: id}, event(audit.ClientCreated, id))
	case 2:
		return s.CutToken(d.ctx, id, noon, status.Ref{}, event(audit.TokenCut, id))
	default:
		err := s.CreateClient(d.ctx, clients.Client{ID: id, Audiences: []string{"unknown"}}, event(audit.ClientCreated, id))
		if !errors.Is(err, clients.ErrUnknownAudience) {
			return fmt.Errorf("creating a client with an unknown audience: %w", err)
		}
		return nil
	}
}

// follow reads changes as a Watcher does, until ctx has ended and no change is left.
func (d *databaseTest) follow(ctx context.Context, s *storage.Store) (seen []changes.Change) {
	for {
		ended := ctx.Err() != nil
		after := changes.Number(0)
		if len(seen) > 0 {
			after = seen[len(seen)-1].Number
		}
		n, err := s.ChangeNumber(d.ctx)
		if err != nil {
			d.Error(err)
			return seen
		}
		list, err := s.ChangesAfter(d.ctx, after, 7)
		if err != nil {
			d.Error(err)
			return seen
		}
		if n > after && len(list) == 0 {
			d.Errorf("the last number is %d, but after %d there is none", n, after)
			return seen
		}
		seen = append(seen, list...)
		if ended && len(list) == 0 {
			return seen
		}
		time.Sleep(time.Millisecond)
	}
}

var auditTests = []test{
	{"events have the names of those they tell of, as they are now", func(d *databaseTest) {
		d.client("c")
		d.user("u")
		d.must(d.s.UpdateClient(d.ctx, "c", func(c *clients.Client, _ []apis.API) (*audit.Event, error) {
			c.Name = "Client"
			return &audit.Event{At: noon, Actor: "user:u", Action: audit.ClientUpdated, Subject: "c"}, nil
		}))
		d.must(d.s.CutUser(d.ctx, "u", audit.Event{At: noon, Actor: "client:c", Action: audit.UserCut, Subject: "u"}))
		d.session("u", "s")
		d.must(d.s.EndSession(d.ctx, "u", "s", audit.Event{At: noon, Actor: "user:gone", Action: audit.SessionEnded, Subject: "s", Details: map[string]string{"user": "u"}}))
		// Equal ids of different kinds are different subjects.
		d.must(d.s.CutClient(d.ctx, "c", audit.Event{At: noon, Actor: "cli:u", Action: audit.ClientCut, Subject: "u"}))
		d.must(d.s.CutToken(d.ctx, "u", noon, status.Ref{}, audit.Event{At: noon, Actor: "client:u", Action: audit.TokenCut, Subject: "u"}))
		user, err := d.s.User(d.ctx, "u")
		d.must(err)
		last, err := d.other.AuditPart(d.ctx, audit.Query{NewestFirst: true}, 6)
		d.must(err)
		d.equal(last.More, true)
		var got [][3]string
		for _, ev := range slices.Backward(last.Events) {
			got = append(got, [3]string{ev.ActorName, ev.SubjectName, ev.UserName})
		}
		d.equal(got, [][3]string{{user.Username, "Client", ""}, {"Client", user.Username, ""}, {}, {"", "", user.Username}, {}, {}})
	}},
	{"events that are about no change are kept, and take no number", func(d *databaseTest) {
		n, err := d.s.ChangeNumber(d.ctx)
		d.must(err)
		var want []audit.Event
		for i := range 250 { // this takes several statements
			want = append(want, audit.Event{At: stored(noon), Actor: audit.Server, Action: audit.SignInRefused, Reason: "unknown", Details: map[string]string{"count": fmt.Sprint(i)}})
		}
		d.must(d.s.Record(d.ctx, want))
		d.equal(d.events(), want)
		after, err := d.other.ChangeNumber(d.ctx)
		d.must(err)
		d.equal(after, n)
	}},
	{"events are found by action, subject, actor, time and id, in either order", func(d *databaseTest) {
		var want []audit.Event
		for i := range 12 {
			jti := fmt.Sprint("jti ", i%4)
			ev := audit.Event{At: noon.Add(time.Duration(i) * time.Minute), Actor: audit.Server, Action: audit.TokenCut, Subject: jti}
			if i%2 == 1 {
				ev.Action, ev.Details = audit.EverythingCut, map[string]string{"i": fmt.Sprint(i)}
			}
			d.must(d.s.CutToken(d.ctx, fmt.Sprint(i), noon, status.Ref{}, ev))
			ev.At = stored(ev.At)
			want = append(want, ev)
		}
		d.equal(d.events(), want)
		all, err := Events(d.ctx, d.other, audit.Query{})
		d.must(err)
		first := all[0].ID
		pick := func(is ...int) (list []audit.Event) {
			for _, i := range is {
				list = append(list, want[i])
			}
			return list
		}
		for _, c := range []struct {
			q    audit.Query
			want []audit.Event
		}{
			{audit.Query{}, want},
			{audit.Query{After: first + 9}, want[10:]},
			{audit.Query{Before: first + 2}, want[:2]},
			{audit.Query{After: first, Before: first + 3, NewestFirst: true}, pick(2, 1)},
			{audit.Query{NewestFirst: true, Subjects: []string{"jti 3"}}, pick(11, 7, 3)},
			{audit.Query{Action: audit.TokenCut}, pick(0, 2, 4, 6, 8, 10)},
			{audit.Query{Subjects: []string{"jti 3"}}, pick(3, 7, 11)},
			{audit.Query{Subjects: []string{"JTI 3"}}, nil},
			{audit.Query{Since: want[9].At}, want[9:]},
			{audit.Query{Until: want[2].At}, want[:2]},
			{audit.Query{Since: want[3].At, Until: want[6].At, NewestFirst: true}, pick(5, 4, 3)},
			{audit.Query{Subjects: []string{"jti 0"}, Action: audit.TokenCut, Since: want[1].At}, pick(4, 8)},
			{audit.Query{Subjects: []string{"jti 3", "jti 1"}}, pick(1, 3, 5, 7, 9, 11)},
			{audit.Query{Subjects: []string{"\x00"}}, nil},
			{audit.Query{Actors: []audit.Actor{"\x00", audit.Server}}, nil},
			{audit.Query{Actors: []audit.Actor{"cli:x", audit.Server}}, want},
			{audit.Query{Actors: []audit.Actor{"cli:x", "SERVER"}}, nil},
		} {
			got, err := Events(d.ctx, d.other, c.q)
			d.must(err)
			for i := range got {
				got[i].ID = 0
			}
			d.equal(got, c.want)
		}
	}},
}
