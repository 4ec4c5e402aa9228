package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnEventSaysWhereItComesFrom(t *testing.T) {
	t.Parallel()
	if from := OriginOf(t.Context()); from != (Origin{}) {
		t.Errorf("%+v", from)
	}
	ctx := With(t.Context(), &Origin{Address: "192.0.2.1", Token: "jti", Client: "console"})
	for _, c := range []struct {
		ev   Event
		want map[string]string
	}{
		{Event{Actor: User("u")}, map[string]string{"address": "192.0.2.1", "token": "jti", "token_client": "console"}},
		{Event{Actor: User("u"), Details: map[string]string{"a": "b", "token": "c"}}, map[string]string{"a": "b", "address": "192.0.2.1", "token": "jti", "token_client": "console"}},
		{Event{Actor: Server, Details: map[string]string{"a": "b"}}, map[string]string{"a": "b"}},
	} {
		before := len(c.ev.Details)
		if d := cmp.Diff(c.want, c.ev.From(OriginOf(ctx)).Details); d != "" || len(c.ev.Details) != before {
			t.Errorf("%+v: %s", c.ev, d)
		}
	}
}
