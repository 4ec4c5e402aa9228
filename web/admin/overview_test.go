package admin_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/web/admin"
)

// overview returns the overview of a house.
func (h *house) overview() (v admin.Overview) {
	h.Helper()
	a := h.operator("GET", "/overview", "", nil)
	h.want(a, http.StatusOK, "")
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		h.Fatal(err)
	}
	return v
}

func TestTheOverviewCountsWhatThereIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if v := h.overview(); v.Clients != (admin.Count{}) || v.Rings == nil || len(v.Rings) != 0 || v.Version != "test" || v.Schema == 0 {
		t.Errorf("%+v", v)
	}
	h.want(h.operator("POST", "/clients", newApp, nil), http.StatusCreated, "")
	h.want(h.operator("POST", "/clients/app/disable", "", nil), http.StatusOK, "")
	ev := audit.Event{At: time.Now(), Actor: "cli:test", Action: audit.UserCreated, Subject: "u"}
	if err := h.store.CreateUser(t.Context(), accounts.User{ID: "u", Username: "minji"}, ev); err != nil {
		t.Fatal(err)
	}
	if err := h.rings.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := h.overview()
	if v.Clients != (admin.Count{Count: 1, Disabled: 1}) || v.Users != (admin.Count{Count: 1}) || v.Grants.Count != 0 || v.Change < 4 {
		t.Errorf("%+v", v)
	}
	keys := h.operator("GET", "/keys", "", nil).items("kid")
	if len(v.Rings) != 2 || v.Rings[1].Ring != "tokens" || v.Rings[1].Signs != keys[2] || v.Rings[1].Next != keys[3] || v.Rings[1].NextSignsFrom == nil {
		t.Errorf("%+v", v.Rings)
	}
}

func TestTheOverviewCountsWhatHappenedLately(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var events []audit.Event
	// Not by the hour that has just begun, which may be over before the overview is made.
	at := func(ago time.Duration) time.Time { return time.Now().Truncate(time.Hour).Add(time.Minute - ago) }
	for _, of := range []struct {
		action audit.Action
		ago    time.Duration
		count  string
	}{
		{audit.UserCut, 48 * time.Hour, ""},
		{audit.TokenCut, 2 * time.Hour, ""},
		{audit.EverythingCut, 200 * time.Hour, ""},
		{audit.SignInRefused, 30 * time.Hour, "40"},
		{audit.SignInRefused, 3 * time.Hour, "2"},
		{audit.GrantReused, 3 * time.Hour, ""},
		{audit.CodeReused, 3 * time.Hour, ""},
		{audit.ClientDisabled, time.Hour, ""},
	} {
		events = append(events, audit.Event{At: at(of.ago), Actor: "server", Action: of.action, Details: map[string]string{"count": of.count}})
	}
	slices.SortFunc(events, func(a, b audit.Event) int { return a.At.Compare(b.At) })
	if err := h.store.Record(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	v := h.overview()
	begins, err := time.Parse(time.RFC3339, *v.Day.From)
	if err != nil || v.Day.Span != 3600 || v.Week.Span != 86400 || v.Day.CompleteFrom != nil || v.Week.CompleteFrom != nil {
		t.Fatalf("%+v %v", v, err)
	}
	hour := func(ago time.Duration) int { return int(at(ago).Sub(begins) / time.Hour) }
	day := admin.Lately{From: v.Day.From, Span: 3600, Cuts: make([]int, 24), Refused: make([]int, 24), Reuses: make([]int, 24)}
	day.Cuts[hour(2*time.Hour)], day.Refused[hour(3*time.Hour)], day.Reuses[hour(3*time.Hour)] = 1, 2, 2
	if diff := cmp.Diff(day, v.Day); diff != "" {
		t.Error(diff)
	}
	week := admin.Lately{From: v.Week.From, Span: 86400, Cuts: make([]int, 7), Refused: make([]int, 7), Reuses: make([]int, 7)}
	week.Cuts[4], week.Cuts[6], week.Refused[5], week.Refused[6], week.Reuses[6] = 1, 1, 40, 2, 2
	if diff := cmp.Diff(week, v.Week); diff != "" {
		t.Error(diff)
	}
}

func TestTheOverviewIsForThoseWhoMaySeeIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	viewer, other := administration.NewCaller("user:u", administration.OverviewRead), administration.NewCaller("user:u", administration.AuditRead)
	h.want(h.as(&viewer, "GET", "/overview", "", nil), http.StatusOK, "")
	h.want(h.as(&viewer, "GET", "/audit", "", nil), http.StatusForbidden, "forbidden")
	h.want(h.as(&other, "GET", "/overview", "", nil), http.StatusForbidden, "forbidden")
	h.want(h.operator("GET", "/overview?x=y", "", nil), http.StatusUnprocessableEntity, "malformed")
}
