package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/web/admin"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// logged returns a house whose audit log has n events, one a minute from noon on, by two
// actors in turn.
func logged(t testing.TB, n int) *house {
	t.Helper()
	h := newHouse(t)
	events := make([]audit.Event, n)
	for i := range events {
		events[i] = audit.Event{
			At: noon.Add(time.Duration(i) * time.Minute), Actor: []audit.Actor{"cli:a", "cli:b"}[i%2],
			Action: audit.TokenCut, Subject: strconv.Itoa(i), Reason: "<b>\u202e" + strconv.Itoa(i), Details: map[string]string{"a": "&", "b": ""},
		}
	}
	if err := h.store.Record(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheAuditLogIsListedByWhatIsAsked(t *testing.T) {
	t.Parallel()
	h := logged(t, 6)
	for query, want := range map[string]string{
		"":                            "5 4 3 2 1 0",
		"?order=oldest":               "0 1 2 3 4 5",
		"?actor=cli:b":                "5 3 1",
		"?actor=a&order=oldest":       "0 2 4",
		"?subject=3":                  "3",
		"?action=cut.token&subject=3": "3",
		"?action=client.create":       "",
		"?no_subject=true":            "",
		"?no_subject=true&subject=2":  "2",
		"?since=2026-01-01T12:04:00Z": "5 4",
		"?since=2026-01-01T14:03:00.000%2B02:00&until=2026-01-01T12:05:00Z": "4 3",
		"?after=4&order=oldest": "4 5",
	} {
		a := h.operator("GET", "/audit"+query, "", nil)
		if got := strings.Join(a.items("subject"), " "); a.status != http.StatusOK || got != want || a.body["next_cursor"] != nil {
			t.Errorf("%s: %q instead of %q: %s", query, got, want, a.text)
		}
	}
	first := h.operator("GET", "/audit?subject=0", "", nil)
	var page admin.Page[admin.Event]
	if err := json.Unmarshal([]byte(first.text), &page); err != nil {
		t.Fatal(err)
	}
	e := page.Items[0]
	if e.ID != 1 || *e.At != "2026-01-01T12:00:00.000Z" || e.Actor != "cli:a" || e.Action != "cut.token" || e.Reason != "<b>\u202e0" || e.Details["a"] != "&" {
		t.Errorf("%+v", e)
	}
}

func TestUsersAndClientsAreFoundInTheAuditLogByName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.want(h.operator("POST", "/clients", newApp, nil), http.StatusCreated, "")
	by := audit.User("u")
	if err := h.store.CreateUser(t.Context(), accounts.User{ID: "u", Username: "minji"}, audit.Event{At: noon, Actor: by, Action: audit.UserCreated, Subject: "u"}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{"subject=Minji": "u", "subject=App": "app", "actor=user:minji": "u", "actor=minji": "u", "actor=client:minji": "", "actor=test": "app"} {
		a := h.operator("GET", "/audit?"+query, "", nil)
		if got := strings.Join(a.items("subject"), " "); got != want {
			t.Errorf("%s: %s", query, a.text)
		}
	}
	if a := h.operator("GET", "/audit?subject=u", "", nil); !slices.Equal(a.items("subject_name"), []string{"minji"}) || !slices.Equal(a.items("actor_name"), []string{"minji"}) {
		t.Errorf("%s", a.text)
	}
}

func TestTheAuditLogComesInPages(t *testing.T) {
	t.Parallel()
	h := logged(t, 5)
	for order, want := range map[string]string{"newest": "4 3 2 1 0", "oldest": "0 1 2 3 4"} {
		var seen []string
		for cursor, pages := "", 0; ; pages++ {
			a := h.operator("GET", "/audit?limit=2&order="+order+"&cursor="+queryOf(cursor), "", nil)
			h.want(a, http.StatusOK, "")
			seen = append(seen, a.items("subject")...)
			if cursor, _ = a.body["next_cursor"].(string); cursor == "" {
				if pages != 2 {
					t.Errorf("%d pages", pages+1)
				}
				break
			}
			for _, other := range []string{"&actor=a", "&no_subject=true", "&since=2026-01-01T12:00:00Z"} {
				h.want(h.operator("GET", "/audit?limit=2&order="+order+other+"&cursor="+queryOf(cursor), "", nil), http.StatusUnprocessableEntity, "cursor")
			}
			stranger := administration.NewCaller("user:u", administration.AuditRead)
			h.want(h.as(&stranger, "GET", "/audit?limit=2&order="+order+"&cursor="+queryOf(cursor), "", nil), http.StatusUnprocessableEntity, "cursor")
		}
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("%s: %s", order, got)
		}
	}
}

func TestWhatIsWrongWithAnAuditQueryIsPointedAt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for query, want := range map[string]string{"since=yesterday": "since", "until=1": "until", "after=-1": "after", "order=random": "order", "limit=0": "limit", "user=x": "user", "actor=a&actor=b": "actor"} {
		for _, path := range []string{"/audit?", "/audit/export?"} {
			if path == "/audit/export?" && (want == "order" || want == "limit") {
				continue
			}
			a := h.operator("GET", path+query, "", nil)
			if a.status != http.StatusUnprocessableEntity || !slices.Equal(a.pointers(), []string{want}) {
				t.Errorf("%s%s: %d %s", path, query, a.status, a.text)
			}
		}
	}
}

// exported sends a request for an export, and returns the answer as it was written.
func (h *house) exported(ctx context.Context, query string, w http.ResponseWriter) {
	h.Helper()
	ctx = administration.With(ctx, administration.Operator("cli:test"))
	h.handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", issuer+admin.Path+admin.ExportPath+query, nil))
}

func TestTheAuditLogIsExportedInLines(t *testing.T) {
	t.Parallel()
	const many = 2*audit.AtOnce + 7
	h := logged(t, many)
	for query, want := range map[string]int{"": many, "?actor=a": (many + 1) / 2, "?after=1000": many - 1000, "?subject=nobody": 0} {
		w := httptest.NewRecorder()
		h.exported(t.Context(), query, w)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("%d %v", w.Code, w.Header())
		}
		last, n := int64(0), 0
		for line := range strings.Lines(w.Body.String()) {
			var e admin.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.ID <= last || !strings.HasSuffix(line, "}\n") {
				t.Fatalf("%q after %d: %v", line, last, err)
			}
			last = e.ID
			n++
		}
		if n != want {
			t.Errorf("%s: %d lines instead of %d", query, n, want)
		}
	}
}

// leaver reads a part of an answer, and then hangs up.
type leaver struct {
	*httptest.ResponseRecorder
	left int
	gone func()
}

func (l *leaver) Write(b []byte) (int, error) {
	if l.left--; l.left < 0 {
		l.gone()
		return 0, errors.New("gone")
	}
	return l.ResponseRecorder.Write(b)
}

// TestAnExportEndsWhenNobodyReadsIt: newHouse fails the test if that is taken for a fault.
func TestAnExportEndsWhenNobodyReadsIt(t *testing.T) {
	t.Parallel()
	h := logged(t, 3*audit.AtOnce)
	for _, after := range []int{0, 1, audit.AtOnce, audit.AtOnce + 1} {
		ctx, hangUp := context.WithCancel(t.Context())
		w := &leaver{httptest.NewRecorder(), after, hangUp}
		h.exported(ctx, "", w)
		if n := strings.Count(w.Body.String(), "\n"); n != after {
			t.Errorf("%d lines instead of %d", n, after)
		}
	}
	// The connection can also be found to be gone between two parts.
	ctx, hangUp := context.WithCancel(t.Context())
	w := &leaver{httptest.NewRecorder(), 10 * audit.AtOnce, nil}
	q := &flushed{w, hangUp}
	h.exported(ctx, "", q)
	if n := strings.Count(w.Body.String(), "\n"); n != audit.AtOnce {
		t.Errorf("%d lines", n)
	}
}

// flushed hangs up when the first part was sent.
type flushed struct {
	*leaver
	hangUp func()
}

func (f *flushed) FlushError() error {
	f.hangUp()
	return nil
}

func TestTheAuditLogIsForThoseWhoMayReadIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	reader, other := administration.NewCaller("user:u", administration.AuditRead), administration.NewCaller("user:u", administration.ClientsWrite, administration.KeysRead)
	for _, path := range []string{"/audit", "/audit/export"} {
		h.want(h.as(&other, "GET", path, "", nil), http.StatusForbidden, "forbidden")
		h.want(h.as(nil, "GET", path, "", nil), http.StatusUnauthorized, "unauthorized")
	}
	h.want(h.as(&reader, "GET", "/audit", "", nil), http.StatusOK, "")
}

// TestAnExportThatFailsBreaksOff: what was sent must not look complete.
func TestAnExportThatFailsBreaksOff(t *testing.T) {
	t.Parallel()
	h := logged(t, 3*audit.AtOnce)
	var fault error
	h.handler = admin.New(admin.Parts{
		Issuer: issuer, Now: time.Now, Failed: func(_ context.Context, err error) { fault = err },
		Audit: administration.NewAudit(h.store, accounts.NewUsers(h.store, nil, time.Now), nil, nil),
	}, "/base")
	w := &flushed{&leaver{httptest.NewRecorder(), 10 * audit.AtOnce, nil}, func() { h.store.Close() }}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler || fault == nil || strings.Count(w.Body.String(), "\n") != audit.AtOnce {
			t.Errorf("%v, %v, %d lines", p, fault, strings.Count(w.Body.String(), "\n"))
		}
	}()
	h.exported(t.Context(), "", w)
}

// TestAnExportEndsWithTheRightToIt: who may read it is asked again while it is written.
func TestAnExportEndsWithTheRightToIt(t *testing.T) {
	t.Parallel()
	h := logged(t, 3*audit.AtOnce)
	asked, now := 0, noon
	h.handler = admin.New(admin.Parts{
		Issuer: issuer, Now: func() time.Time { now = now.Add(time.Minute); return now }, Failed: func(context.Context, error) {},
		Bearer: func(context.Context, string) (administration.Caller, error) {
			if asked++; asked > 2 {
				return administration.NewCaller("user:u"), nil
			}
			return administration.NewCaller("user:u", administration.AuditRead), nil
		},
		Audit: administration.NewAudit(h.store, accounts.NewUsers(h.store, nil, time.Now), nil, nil),
	}, "/base")
	w := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != http.ErrAbortHandler || strings.Count(w.Body.String(), "\n") != 2*audit.AtOnce {
			t.Errorf("%v, %d lines", p, strings.Count(w.Body.String(), "\n"))
		}
	}()
	r := httptest.NewRequestWithContext(t.Context(), "GET", issuer+admin.Path+admin.ExportPath, nil)
	r.Header.Set("Authorization", "Bearer x")
	h.handler.ServeHTTP(w, r)
}
