package storagetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/storage"
)

// Run runs the suite on an engine.
func Run(t *testing.T, e Engine) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"APIs", apiTests},
		{"API secrets", apiSecretTests},
		{"clients", clientTests},
		{"secrets", secretTests},
		{"people", peopleTests},
		{"accounts", accountTests},
		{"administrators", administratorTests},
		{"links", linkTests},
		{"holdings", holdingTests},
		{"addresses", addressTests},
		{"updates", updateTests},
		{"guesses", guessTests},
		{"grants", grantTests},
		{"searches", searchTests},
		{"cuts", cutTests},
		{"standing", standingTests},
		{"issuer", issuerTests},
		{"keys", keyTests},
		{"changes", changeTests},
		{"together", togetherTests},
		{"applied", appliedTests},
		{"editing", editingTests},
		{"status lists", listTests},
		{"statuses", setTests},
		{"listeners", listenerTests},
		{"purge", purgeTests},
		{"audit", auditTests},
		{"chain", chainTests},
		{"overview", overviewTests},
		{"faults", faultTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.outcome, func(t *testing.T) {
					t.Parallel()
					test.run(newDatabaseTest(t, e))
				})
			}
		})
	}
}

// test is one test of the suite, named for the outcome that it expects.
type test struct {
	outcome string
	run     func(*databaseTest)
}

// noon is a time with a fraction that databases do not store.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.UTC)

// stored returns a time as it comes back from a database.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// databaseTest is a test with a database of its own. Its two Stores, s and other, act
// as two processes: they share nothing but the database.
type databaseTest struct {
	*testing.T
	ctx      context.Context
	url      string
	s, other *storage.Store
}

func newDatabaseTest(t *testing.T, e Engine) *databaseTest {
	t.Helper()
	url := Migrated(t, e)
	d := &databaseTest{T: t, ctx: t.Context(), url: url, s: Open(t, url), other: Open(t, url)}
	if d.s.Engine() != e.Kind {
		t.Fatalf("the engine is %s, not %s", d.s.Engine(), e.Kind)
	}
	d.must(d.other.CheckSchema(d.ctx))
	return d
}

// must stops the test on an error.
func (d *databaseTest) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// equal compares the result with the expected one, apart from random parts.
func (d *databaseTest) equal(got, want any) {
	d.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(changes.Change{}, "Mark")); diff != "" {
		d.Fatalf("-want +got:\n%s", diff)
	}
}

// event returns an audit event about a subject.
func event(action audit.Action, subject string) audit.Event {
	return audit.Event{
		At: noon, Actor: "cli:maria", Action: action, Subject: subject,
		Reason: "because; it's \"said\" \\so\\", Details: map[string]string{"where": "here", "émoji": "🔑"},
	}
}

// number returns the last number of the change sequence.
func (d *databaseTest) number() changes.Number {
	d.Helper()
	n, err := d.s.ChangeNumber(d.ctx)
	d.must(err)
	return n
}

// events returns the audit log without its ids.
func (d *databaseTest) events() []audit.Event {
	d.Helper()
	log, err := Events(d.ctx, d.s, audit.Query{})
	d.must(err)
	for i := range log {
		if log[i].ID == 0 || i > 0 && log[i].ID <= log[i-1].ID && log[i-1].ID != 0 {
			d.Fatalf("the id of event %d is %d", i, log[i].ID)
		}
	}
	for i := range log {
		log[i].ID = 0
	}
	return log
}

// All returns the values of a listing up to an error, and that error.
func All[T any](seq iter.Seq2[T, error]) (all []T, err error) {
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Events returns the audit events that a query selects.
func Events(ctx context.Context, s *storage.Store, q audit.Query) ([]audit.Event, error) {
	named, err := All(audit.Read(ctx, s, q))
	list := make([]audit.Event, len(named))
	for i, ev := range named {
		list[i] = ev.Event
	}
	return list, err
}

// changes runs f and expects exactly one change, recorded with one event.
func (d *databaseTest) changes(kind changes.Kind, subject string, ev audit.Event, f func() error) {
	d.Helper()
	number, log := d.number(), d.events()
	d.must(f())
	list, err := d.other.ChangesAfter(d.ctx, number, 10)
	d.must(err)
	d.equal(len(list), 1)
	list[0].At = time.Time{} // the time may be any
	d.equal(list, []changes.Change{{Number: number + 1, Kind: kind, Subject: subject}})
	d.equal(d.number(), number+1)
	ev.At = stored(ev.At)
	d.equal(d.events(), append(log, ev))
}

// refuses runs f and expects the error want, which may be nil. In either case nothing
// may be recorded.
func (d *databaseTest) refuses(want error, f func() error) {
	d.Helper()
	number, log := d.number(), d.events()
	if err := f(); !errors.Is(err, want) {
		d.Fatalf("the error is %v, not %v", err, want)
	} else if fault := (*storage.Fault)(nil); errors.As(err, &fault) {
		d.Fatalf("a refusal is a Fault: %v", err)
	}
	d.equal(d.number(), number)
	d.equal(d.events(), log)
}

// api stores an API with an audience.
func (d *databaseTest) api(audience string) {
	d.Helper()
	d.must(d.s.CreateAPI(d.ctx, apis.API{ID: "id of " + audience, Audience: audience, CreatedAt: noon}, event(audit.APICreated, audience)))
}

// client stores a client with some secrets.
func (d *databaseTest) client(id string, secrets ...string) {
	d.Helper()
	c := clients.Client{ID: id, Auth: clients.SecretBasic, CreatedAt: noon}
	for i, s := range secrets {
		c.Secrets = append(c.Secrets, secret(s, noon.Add(time.Duration(i)*time.Second)))
	}
	d.must(d.s.CreateClient(d.ctx, c, event(audit.ClientCreated, id)))
}

func secret(id string, created time.Time) clients.Secret {
	s := clients.Secret{ID: id, CreatedAt: created}
	copy(s.Hash[:], "hash of "+id)
	// Bytes that are not valid text, since a hash may contain them.
	s.Hash[30], s.Hash[31] = 0, 0xff
	return s
}

// atOnce runs f n times concurrently, half of them on each Store, and returns the
// errors.
func (d *databaseTest) atOnce(n int, f func(i int, s *storage.Store) error) []error {
	d.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		s := d.s
		if i%2 == 1 {
			s = d.other
		}
		all.Go(func() {
			<-start
			errs[i] = f(i, s)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// oneWins expects that one error is nil and that each of the others is one of
// those allowed.
func (d *databaseTest) oneWins(errs []error, others ...error) {
	d.Helper()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !slices.ContainsFunc(others, func(o error) bool { return errors.Is(err, o) }):
			d.Fatalf("unexpected error: %v", err)
		}
	}
	if won != 1 {
		d.Fatalf("%d of %d succeeded, not 1", won, len(errs))
	}
}

// alike are names that only a byte-by-byte comparison distinguishes.
var alike = []string{"a", "A", "a ", " a", "á", "a\u0301", "a\t", "а" /* Cyrillic */, "a%", "a'", `a"`, `a\`, "a\n"}

// notText are names that no record has, and that some engine refuses as a parameter.
var notText = []string{"\x00", "a\x00b", "\xff\xfe", "a\xc3"}

var faultTests = []test{
	{"a canceled context is a fault", func(d *databaseTest) {
		d.client("a")
		ctx, cancel := context.WithCancel(d.ctx)
		cancel()
		for name, call := range everyCall(ctx, d.s) {
			err := call()
			if !errors.Is(err, context.Canceled) {
				d.Errorf("%s: %v", name, err)
			}
			d.unavailable(err)
		}
		d.equal(d.number(), changes.Number(1))
	}},
	{"a store that was closed faults", func(d *databaseTest) {
		d.must(d.other.Close())
		for _, call := range everyCall(d.ctx, d.other) {
			d.unavailable(call())
		}
		d.must(d.other.Close())
	}},
	{"a fault does not say what was asked for", func(d *databaseTest) {
		const private = "0f3c-private"
		// The same secret twice violates the primary key. No interface names that
		// error, and drivers repeat the value.
		c := clients.Client{ID: private, Secrets: []clients.Secret{secret(private, noon), secret(private, noon)}}
		err := d.s.CreateClient(d.ctx, c, event(audit.ClientCreated, private))
		d.unavailable(err)
		if s := fmt.Sprint(err); strings.Contains(s, private) {
			d.Fatalf("the fault says %q", s)
		}
		d.refuses(clients.ErrNotFound, func() error { _, err := d.s.Client(d.ctx, private); return err })
	}},
}

// unavailable expects a Fault that package web answers with a 503.
func (d *databaseTest) unavailable(err error) {
	d.Helper()
	var fault *storage.Fault
	var edge interface{ Unavailable() bool }
	if !errors.As(err, &fault) || !errors.As(err, &edge) || !edge.Unavailable() {
		d.Fatalf("not a fault: %v", err)
	}
}
