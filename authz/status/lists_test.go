package status

import (
	"testing"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

func TestListsAreNamedWhileSomeAreForgotten(t *testing.T) {
	t.Parallel()
	l := NewLists(nil, Settings{Issuer: "https://id.example.com", Now: time.Now})
	one, many := map[int64]*held{}, map[int64]*held{}
	for number := range int64(1000) {
		many[number+1] = &held{}
		many[number+1].record.Store(&List{Number: number + 1})
	}
	one[1] = many[1]
	l.held.Store(&many)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				l.held.Store(&one)
				l.held.Store(&many)
			}
		}
	}()
	for range 200 {
		if n := len(l.URIs()); n != len(one) && n != len(many) {
			t.Errorf("%d lists, of %d or %d", n, len(one), len(many))
		}
	}
	close(stop)
	<-stopped
}

func TestNobodyResumesSoonAfterAnythingMayHaveHappened(t *testing.T) {
	t.Parallel()
	s := newStream()
	resumes := func(want bool, numbers ...changes.Number) {
		t.Helper()
		for _, n := range numbers {
			if s.Resumes(n) != want {
				t.Errorf("%d: %t", n, !want)
			}
		}
	}
	s.publish(event{number: 7, anew: true}, nil)
	s.publish(event{number: 8}, nil)
	// A process that has just started; 9 may be known to another one.
	resumes(true, 7, 8, 9)
	resumes(false, 6)
	// A failover lost some, and as many were made since.
	s.publish(event{number: 6, anew: true}, nil)
	for n := range changes.Number(3) {
		s.publish(event{number: 7 + n}, nil)
	}
	resumes(false, 5, 6, 7, 8, 9, 10)
	s.begun = s.begun.Add(-ambiguous)
	resumes(true, 6, 7, 8, 9, 10)
	resumes(false, 5)
}
