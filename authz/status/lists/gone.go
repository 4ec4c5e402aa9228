package lists

import (
	"time"

	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/config/limits"
)

// Tail is for how long after its closing a list can still get a token: a refresh that
// is repeated within the grace names the list of the first time, and the clock of who
// issues may be behind.
const Tail = limits.MaxRefreshGrace + limits.MaxSkew

// Gone is when the last token that refers to a list has expired; the zero time while it
// is not decided when the list closes.
func Gone(l status.List) time.Time {
	if l.ClosesAt.IsZero() {
		return time.Time{}
	}
	return l.ClosesAt.Add(l.Life + Tail)
}
