package signin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// refused writes the events about refusals, and returns their subject, reason, count and
// addresses.
func (h house) refused() (lines []string) {
	h.Helper()
	if err := h.signIn.WriteRefusals(h.Context()); err != nil {
		h.Fatal(err)
	}
	events, err := storagetest.Events(h.Context(), h.store, audit.Query{Action: audit.SignInRefused})
	if err != nil {
		h.Fatal(err)
	}
	for _, ev := range events {
		if ev.Actor != audit.Server || ev.Details["since"] == "" {
			h.Errorf("%+v", ev)
		}
		line := strings.Join([]string{ev.Subject, ev.Reason, ev.Details["count"], ev.Details["addresses"]}, "|")
		if n := ev.Details["from_further_addresses"]; n != "" {
			line += " and " + n
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTheAuditLogSaysWhoWasNotSignedInAndWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2)
	h.user("minji", "minji@example.com")
	h.user("gone", "")
	if err := h.users.Disable(t.Context(), "gone", nil, "", "test"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ typed, password, from string }{
		{"minji", "wrong", "192.0.2.1"}, {"MINJI@example.com", "wrong", "192.0.2.1"},
		{"minji", secret, "192.0.2.1"}, // throttled
		{"minji", "wrong", "192.0.2.2"}, {"minji", secret, "192.0.2.3"},
		{"gone", secret, "192.0.2.4"},
		{"a-pasted-secret", "wrong", "192.0.2.5"}, {"another-pasted-secret", "wrong", "192.0.2.6"},
	} {
		_, err := h.try(c.typed, c.password, c.from)
		var tooMany *throttle.TooManyError
		if err != nil && !errors.Is(err, signin.ErrWrong) && !errors.As(err, &tooMany) {
			t.Error(err)
		}
	}
	want := []string{
		"minji|throttled|1|192.0.2.1", "minji|wrong|3|192.0.2.1 192.0.2.2", "gone|disabled|1|192.0.2.4", "|unknown|2|192.0.2.5 192.0.2.6",
	}
	if d := cmp.Diff(want, h.refused()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, h.refused()); d != "" {
		t.Errorf("once more: %s", d)
	}
}

// TestAnAttackFillsNoAuditLog: neither many addresses nor many users make many rows.
func TestAnAttackFillsNoAuditLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1000)
	for i := range 210 {
		h.user(fmt.Sprint("user", i), "")
	}
	attack := func() {
		t.Helper()
		for i := range 210 {
			if _, err := h.try(fmt.Sprint("user", i), "wrong", fmt.Sprint("192.0.2.", i)); !errors.Is(err, signin.ErrWrong) {
				t.Fatal(err)
			}
		}
	}
	attack()
	// If the refusals cannot be written, they are kept and further ones are added.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var fault *storage.Fault
	if err := h.signIn.WriteRefusals(gone); !errors.As(err, &fault) && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	attack()
	events := h.refused()
	if len(events) != 201 {
		t.Errorf("%d events", len(events))
	}
	var others int
	for _, line := range events {
		if strings.HasPrefix(line, "|") {
			others++
			if want := "|wrong|20|192.0.2.200 192.0.2.201 192.0.2.202 192.0.2.203 192.0.2.204 and 10"; line != want {
				t.Errorf("%s, not %s", line, want)
			}
		}
	}
	if others != 1 {
		t.Errorf("%d events of further users", others)
	}
}
