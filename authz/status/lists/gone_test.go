package lists_test

import (
	"testing"
	"time"

	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/lists"
)

func TestAListIsGoneWhenItsLastTokenIs(t *testing.T) {
	t.Parallel()
	open := status.List{Life: time.Hour}
	if !lists.Gone(open).IsZero() {
		t.Errorf("a list that has not closed is gone at %s", lists.Gone(open))
	}
	closes := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	if got := lists.Gone(status.List{Life: time.Hour, ClosesAt: closes}); !got.Equal(closes.Add(time.Hour + lists.Tail)) {
		t.Errorf("gone at %s", got)
	}
}
