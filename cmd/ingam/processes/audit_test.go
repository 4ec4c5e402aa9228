package processes

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
)

// verifiedJSON is what ingam audit verify says.
type verifiedJSON struct {
	Checked int
	Flaws   []map[string]any
	Head    *struct {
		Number int
		Digest string
	}
	Unchained int
}

// chained waits until the whole audit log is chained, and returns what is verified then.
func (d *deployment) chained() (v verifiedJSON) {
	d.t.Helper()
	eventually(d.t, "the audit log is chained", time.Minute, func() bool {
		e := d.command("", nil, "audit", "verify", "--json")
		v = verifiedJSON{}
		if err := json.Unmarshal([]byte(e.stdout), &v); err != nil {
			d.t.Fatalf("%v: %s%s", err, e.stdout, e.stderr)
		}
		if (len(v.Flaws) > 0) != (e.status != done) {
			d.t.Fatalf("the exit status is %d with %v", e.status, v.Flaws)
		}
		return v.Unchained == 0
	})
	return v
}

// TestWhoeverChainsCanDieAtAnyStep kills a server at each step of chaining. Another one goes
// on, and there is neither a gap nor a number twice.
func TestWhoeverChainsCanDieAtAnyStep(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.must("migrate", "up")
		for i, step := range []struct {
			before string
			// inside says that the step is of the transaction that chains, and after that
			// the statement has run.
			inside, after bool
		}{
			{before: "UPDATE leases", after: true},
			{before: "UPDATE leases", inside: true, after: true},
			{before: "UPDATE audit_events SET number", inside: true, after: true},
			{before: "INSERT INTO audit_heads", inside: true, after: true},
			{before: "COMMIT", inside: true},
			{before: "", inside: true}, // whatever comes after the COMMIT
		} {
			storagetest.Exec(t, d.database, "UPDATE leases SET until_ms = 0") // that of the one before
			d.client(fmt.Sprint("app", i))
			r := &storagetest.Recorder{}
			var s *server
			var mu sync.Mutex
			inside, committed, launched := false, false, make(chan struct{})
			die := func(after bool) func(string) error {
				return func(statement string) error {
					<-launched
					mu.Lock()
					defer mu.Unlock()
					statement = strings.Join(strings.Fields(strings.NewReplacer("`", "", `"`, "").Replace(statement)), " ")
					if !after && strings.HasPrefix(statement, "UPDATE leases SET fence = fence + 1") {
						inside = true
					}
					if after == step.after && inside == step.inside && (step.before != "" || committed) && strings.HasPrefix(strings.ToUpper(statement), strings.ToUpper(step.before)) {
						s.cmd.Process.Kill()
						return errors.New("dead")
					}
					committed = committed || inside && statement == "COMMIT"
					return nil
				}
			}
			r.FailWith(die(false))
			r.FailAfter(die(true))
			s = d.launch(freeAddress(t), "INGAM_TEST_ASKS="+storagetest.Answer(t, r, time.Now))
			close(launched)
			select {
			case <-s.waited:
			case <-time.After(time.Minute):
				t.Fatalf("the server does not come to step %d", i)
			}
		}
		storagetest.Exec(t, d.database, "UPDATE leases SET until_ms = 0")
		first, second := d.startAt(freeAddress(t)), d.startAt(freeAddress(t))
		v := d.chained()
		if n := storagetest.Count(t, d.database, "SELECT COUNT(*) FROM audit_events"); len(v.Flaws) > 0 || v.Checked != n || v.Head.Number != n {
			t.Errorf("of %d events: %+v", n, v)
		}
		// Who ends as they should has chained what there is, and leaves the lease.
		first.stop()
		d.client("last")
		second.stop()
		if v := d.chained(); len(v.Flaws) > 0 {
			t.Errorf("%+v", v)
		}
	})
}

// TestTheAuditLogIsVerifiedByAStranger does what docs/audit.md says.
func TestTheAuditLogIsVerifiedByAStranger(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.must("migrate", "up")
	s := d.start()
	d.client("app")
	v := d.chained()
	head := strings.TrimSpace(d.must("audit", "head"))
	if want := fmt.Sprintf("%d:%s", v.Head.Number, v.Head.Digest); head != want {
		t.Fatalf("%s, want %s", head, want)
	}
	d.must("audit", "verify", "--head", head)
	file := filepath.Join(d.dir, "audit.ndjson")
	if err := os.WriteFile(file, []byte(d.must("audit", "export")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.stop()
	storagetest.Exec(t, d.database, "UPDATE audit_events SET reason = 'another' WHERE number = 2")
	e := d.command("", nil, "audit", "verify", "--head", head)
	if e.status == done || !strings.HasPrefix(e.stdout, "event 2 (id ") {
		t.Errorf("%d: %s%s", e.status, e.stdout, e.stderr)
	}
	storagetest.Exec(t, d.database, "DELETE FROM audit_events WHERE number > 1")
	storagetest.Exec(t, d.database, "DELETE FROM audit_heads WHERE number > 1")
	if e := d.command("", nil, "audit", "verify", "--head", head); e.status == done || !strings.Contains(e.stdout, "cut_off") {
		t.Errorf("%d: %s%s", e.status, e.stdout, e.stderr)
	}
}
