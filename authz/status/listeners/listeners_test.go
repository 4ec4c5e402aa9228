package listeners_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestAwaitWaitsForEveryConnection(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, err := storage.Open(ctx, storagetest.Engines()[0].NewURL(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.Migrate(ctx))
	must(store.CutEverything(ctx, audit.Event{At: time.Now()}))
	cut, err := store.LastCut(ctx)
	must(err)
	// Nobody listens, so there is nobody to wait for.
	done, missing, err := listeners.Await(ctx, store)
	if err != nil || len(done)+len(missing) != 0 {
		t.Fatalf("%v, %v, %v", done, missing, err)
	}
	// Two replicas with the same name are two connections.
	for _, id := range []string{"1", "2"} {
		must(store.SaveListener(ctx, listeners.Listener{ID: id, ClientID: "c", Name: "n"}, false))
	}
	must(store.Acknowledge(ctx, "1", "c", cut))
	must(store.Acknowledge(ctx, "2", "c", cut-1))
	brief, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	done, missing, err = listeners.Await(brief, store)
	if err != nil || len(done) != 1 || done[0].ID != "1" || len(missing) != 1 || missing[0].ID != "2" {
		t.Fatalf("%v, %v, %v", done, missing, err)
	}
	// The second one acknowledges the cut while Await waits for it.
	acknowledged := make(chan error, 1)
	go func() { acknowledged <- store.Acknowledge(ctx, "2", "c", cut) }()
	done, missing, err = listeners.Await(ctx, store)
	if err != nil || len(done) != 2 || len(missing) != 0 {
		t.Fatalf("%v, %v, %v", done, missing, err)
	}
	must(<-acknowledged)
}

func TestOneClientCannotTakeAllSeats(t *testing.T) {
	t.Parallel()
	c := listeners.NewConnections()
	// taken takes all seats that a client can get.
	taken := func(client string) (seats []*listeners.Seat) {
		for seat := c.Enter(client); seat != nil; seat = c.Enter(client) {
			seats = append(seats, seat)
		}
		return seats
	}
	first := taken("0")
	if len(first) != 200 {
		t.Errorf("one client took %d", len(first))
	}
	for i := 1; i < 5; i++ {
		if n := len(taken(fmt.Sprint(i))); n != 200 {
			t.Errorf("client %d took %d", i, n)
		}
	}
	if c.Enter("another") != nil {
		t.Error("there is a seat though all are taken")
	}
	first[0].Leave()
	if c.Enter("another") == nil {
		t.Error("a seat that was left cannot be taken")
	}
}

func TestAConnectionEndsWhenItsListenerIsGone(t *testing.T) {
	t.Parallel()
	c := listeners.NewConnections()
	one, two, unnamed := c.Enter("c"), c.Enter("c"), c.Enter("c")
	goneOne, goneTwo := one.Take("1"), two.Take("2")
	ids := c.IDs()
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"1", "2"}) || c.Count() != 2 {
		t.Errorf("%v", ids)
	}
	c.End([]string{"2", "3", ""})
	select {
	case <-goneTwo:
	default:
		t.Error("the connection of a listener that is gone goes on")
	}
	select {
	case <-goneOne:
		t.Error("another connection was ended")
	case <-unnamed.Take("4"):
		t.Error("a connection without a listener yet was ended")
	default:
	}
	// A connection that was ended leaves as well.
	two.Leave()
	if ids := c.IDs(); slices.Contains(ids, "2") || len(ids) != 2 {
		t.Errorf("%v", ids)
	}
}

func TestTheStreamTellsWhatCameAfterANumber(t *testing.T) {
	t.Parallel()
	s := listeners.NewStream()
	s.Restart(7)
	at, generation := s.Number()
	_, bell, ok, ended := s.After(at, generation)
	if at != 7 || !ok || ended {
		t.Fatalf("%d, %t, %t", at, ok, ended)
	}
	set := []listeners.Indices{{URI: "u", Indices: []int64{1}}}
	s.Publish(listeners.Event{Number: 9, Set: set}, nil)
	select {
	case <-bell:
	default:
		t.Error("the bell did not ring")
	}
	// A number that was told is not told again.
	s.Publish(listeners.Event{Number: 9, Reload: true}, nil)
	for after, want := range map[changes.Number]int{7: 1, 8: 1, 9: 0, 10: 0} {
		if events, _, ok, _ := s.After(after, generation); !ok || len(events) != want || want == 1 && (events[0].Number != 9 || events[0].Reload) {
			t.Errorf("after %d: %+v, %t", after, events, ok)
		}
	}
	if _, _, ok, _ := s.After(6, generation); ok {
		t.Error("what was set before it began to listen is told")
	}
	// After a restart earlier numbers mean nothing, because anything may have happened.
	s.Restart(12)
	if _, _, ok, _ := s.After(12, generation); ok {
		t.Error("another history is told as if it were the same")
	}
	s.Close()
	s.Close()
	at, generation = s.Number()
	if _, _, _, ended := s.After(at, generation); !ended || at != 12 {
		t.Errorf("it goes on at %d", at)
	}
}
