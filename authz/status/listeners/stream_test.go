package listeners

import (
	"testing"

	"github.com/ingam/ingam/authz/changes"
)

func TestNobodyResumesSoonAfterAnythingMayHaveHappened(t *testing.T) {
	t.Parallel()
	s := NewStream()
	resumes := func(want bool, numbers ...changes.Number) {
		t.Helper()
		for _, n := range numbers {
			if s.Resumes(n) != want {
				t.Errorf("%d: %t", n, !want)
			}
		}
	}
	s.Restart(7)
	s.Publish(Event{Number: 8}, nil)
	// A process that has just started; 9 may be known to another one.
	resumes(true, 7, 8, 9)
	resumes(false, 6)
	// A failover lost some, and as many were made since.
	s.Restart(6)
	for n := range changes.Number(3) {
		s.Publish(Event{Number: 7 + n}, nil)
	}
	resumes(false, 5, 6, 7, 8, 9, 10)
	s.begun = s.begun.Add(-ambiguous)
	resumes(true, 6, 7, 8, 9, 10)
	resumes(false, 5)
}
