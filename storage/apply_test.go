package storage_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestAnApplicationThatFailsInTheMiddleLeavesNothing, whichever of its statements fails. (On
// servers some of them stand for all, since each fault costs a connection.)
func TestAnApplicationThatFailsInTheMiddleLeavesNothing(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		url, rec := storagetest.Migrated(t, e), &storagetest.Recorder{}
		s, err := storage.Open(t.Context(), url, storage.Options{Wrap: rec.Wrap, MaxOpen: 8})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		past := storagetest.Open(t, url)
		if err := past.CreateUser(t.Context(), accounts.User{ID: "u", Username: "u", CreatedAt: time.Now()}, event()); err != nil {
			t.Fatal(err)
		}
		stored := func() string {
			t.Helper()
			apis, err := past.APIs(t.Context())
			clients, err2 := past.Clients(t.Context())
			marks, err3 := past.Applied(t.Context())
			events, err4 := storagetest.Events(t.Context(), past, audit.Query{})
			u, err5 := past.User(t.Context(), "u")
			n, err6 := past.ChangeNumber(t.Context())
			if err := errors.Join(err, err2, err3, err4, err5, err6); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(apis, clients, marks, len(events), u.Roles, n)
		}
		before, failed, step := stored(), 0, 1
		if e.Kind != storage.SQLite {
			step = 5
		}
		for n := 1; ; n += step {
			left, last := n, ""
			rec.FailWith(func(statement string) error {
				if left--; left != 0 || strings.HasPrefix(statement, "ROLLBACK") {
					return nil
				}
				last = statement
				return errors.New("broken")
			})
			_, err := storagetest.NewApply(t, s).Apply(t.Context(), administration.Operator(audit.Operator("test")), storagetest.Filed(), true, "", "")
			rec.FailWith(nil)
			if last == "COMMIT" || last == "" && err == nil { // which is committed all the same
				break
			}
			if last == "" {
				continue
			}
			if failed++; err == nil {
				t.Fatalf("nothing fails where this does: %s", last)
			}
			if now := stored(); now != before {
				t.Fatalf("after the fault of %s: %s\nbefore: %s", last, now, before)
			}
		}
		if now := stored(); failed < 40/step || now == before {
			t.Errorf("after %d faults: %s", failed, now)
		}
	})
}
