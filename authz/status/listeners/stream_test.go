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
	// The process has just started. Another process may already know 9.
	resumes(true, 7, 8, 9)
	resumes(false, 6)
	// A failover lost some changes, and the same number was made since.
	s.Restart(6)
	for n := range changes.Number(3) {
		s.Publish(Event{Number: 7 + n}, nil)
	}
	resumes(false, 5, 6, 7, 8, 9, 10)
	s.begun = s.begun.Add(-ambiguous)
	resumes(true, 6, 7, 8, 9, 10)
	resumes(false, 5)
}
