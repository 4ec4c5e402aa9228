package storage_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/storage/storagetest/between"
)

// behindRelay returns a Store that reaches its database through a Relay, and one that
// reaches it directly.
func behindRelay(t *testing.T, e storagetest.Engine) (through, past *storage.Store, r *between.Relay) {
	t.Helper()
	url := storagetest.Migrated(t, e)
	past = storagetest.Open(t, url)
	url, r = between.NewRelay(t, url)
	return storagetest.Open(t, url), past, r
}

// onEachServer runs a test on the engines that are reached over a network.
func onEachServer(t *testing.T, test func(t *testing.T, e storagetest.Engine)) {
	for _, e := range storagetest.Servers() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}

func mustBeFault(t *testing.T, err error) {
	t.Helper()
	if !isFault(err) {
		t.Fatalf("not a fault: %v", err)
	}
}

func isFault(err error) bool {
	var fault *storage.Fault
	return errors.As(err, &fault) && fault.Unavailable()
}

func event() audit.Event { return audit.Event{At: time.Now(), Actor: audit.Server} }

func TestADatabaseThatWentAwayIsAFaultUntilItIsBack(t *testing.T) {
	t.Parallel()
	onEachServer(t, func(t *testing.T, e storagetest.Engine) {
		s, _, r := behindRelay(t, e)
		ctx := t.Context()
		if err := s.CreateClient(ctx, clients.Client{ID: "a"}, event()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r.Stop()
			for name, read := range storagetest.Reads(ctx, s) {
				if err := read(); !isFault(err) {
					t.Errorf("%s while the database is away: %v", name, err)
				}
			}
			mustBeFault(t, s.CutClient(ctx, "a", event()))
			mustBeFault(t, s.CreateClient(ctx, clients.Client{ID: "b"}, event()))

			if err := r.Start(); err != nil {
				t.Fatal(err)
			}
			for name, read := range storagetest.Reads(ctx, s) {
				if err := read(); err != nil {
					t.Errorf("%s after the database was back: %v", name, err)
				}
			}
			if err := s.CutClient(ctx, "a", event()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAConnectionCutInTheMiddleIsNeverASuccessThatIsNone(t *testing.T) {
	t.Parallel()
	onEachServer(t, func(t *testing.T, e storagetest.Engine) {
		s, past, r := behindRelay(t, e)
		ctx := t.Context()
		acknowledged, faults := []string{}, 0
		// The connection is cut after more and more bytes, so at later and later
		// places in the transaction; every second time in the questions instead of
		// the answers.
		for i := range 80 {
			cut := []func(int) (heal func()){r.CutAnswers, r.CutQuestions}[i%2]
			heal := cut(i * i / 4)
			jti := fmt.Sprint("jti ", i)
			err := s.CutToken(ctx, jti, time.Now().Add(time.Hour), status.Ref{}, event())
			if err == nil {
				acknowledged = append(acknowledged, jti)
			} else {
				faults++
				mustBeFault(t, err)
			}
			heal()
		}
		if faults == 0 || len(acknowledged) == 0 {
			t.Errorf("%d faults and %d cuts: the test does not test what it should", faults, len(acknowledged))
		}
		for _, jti := range acknowledged {
			st, err := past.Standing(ctx, revocation.Question{JTI: jti})
			if err != nil || !st.TokenCut {
				t.Errorf("%s was acknowledged and does not hold: %v", jti, err)
			}
		}
		// A change that was not acknowledged happened completely or not at all.
		list, err := past.ChangesAfter(ctx, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		events, err := storagetest.Events(ctx, past, audit.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if len(events) != len(list) {
			t.Errorf("%d changes, %d events", len(list), len(events))
		}
		for i, c := range list {
			if c.Number != changes.Number(i+1) {
				t.Fatalf("number %d where %d was to come", c.Number, i+1)
			}
		}
		// The Store works again.
		for range 3 {
			if err := s.CutEverything(ctx, event()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWhatGaveWayToOthersIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statement string
		err       error
		failures  int
		succeeds  bool
	}{
		"serialization":   {"change_seq", &pgconn.PgError{Code: "40001"}, 1, true},
		"deadlock":        {"audit_events", &mysqldriver.MySQLError{Number: 1213}, 1, true},
		"lock wait":       {"change_seq", &mysqldriver.MySQLError{Number: 1205}, 1, true},
		"busy":            {"BEGIN", sqlite3.Error{Code: sqlite3.ErrBusy}, 7, true},
		"several times":   {"change_seq", &pgconn.PgError{Code: "40P01"}, 8, true},
		"for ever":        {"change_seq", &pgconn.PgError{Code: "40P01"}, 1000, false},
		"lock wait twice": {"change_seq", &pgconn.PgError{Code: "55P03"}, 2, false},
		"another reason":  {"change_seq", &pgconn.PgError{Code: "57P01"}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := recorded(t, storagetest.Engines()[0])
			failures := c.failures
			r.FailWith(func(statement string) error {
				if failures > 0 && strings.Contains(statement, c.statement) {
					failures--
					return c.err
				}
				return nil
			})
			err := s.CutClient(t.Context(), "a", event())
			r.FailWith(nil)
			if c.succeeds && err != nil || !c.succeeds && !isFault(err) {
				t.Fatal(err)
			}
			n, err := s.ChangeNumber(t.Context())
			if want := map[bool]changes.Number{true: 2, false: 1}[c.succeeds]; err != nil || n != want {
				t.Errorf("the number is %d, not %d: %v", n, want, err)
			}
		})
	}
}

// TestAListenerThatResumesTakesOnePlaceAlsoWhenItIsTriedAgain: otherwise its former
// connection would remain. It no longer acknowledges anything, but revocations would wait
// for it.
func TestAListenerThatResumesTakesOnePlaceAlsoWhenItIsTriedAgain(t *testing.T) {
	t.Parallel()
	s, r := recorded(t, storagetest.Engines()[0])
	if err := s.SaveListener(t.Context(), listeners.Listener{ID: "1", ClientID: "c", Name: "n"}, false); err != nil {
		t.Fatal(err)
	}
	failures := 1
	r.FailWith(func(statement string) error {
		if failures > 0 && strings.Contains(statement, "INSERT INTO status_listeners") {
			failures--
			return &mysqldriver.MySQLError{Number: 1213}
		}
		return nil
	})
	err := s.SaveListener(t.Context(), listeners.Listener{ID: "2", ClientID: "c", Name: "n"}, true)
	r.FailWith(nil)
	if err != nil || failures > 0 {
		t.Fatal(failures, err)
	}
	all, err := s.Listeners(t.Context(), time.Hour)
	if err != nil || len(all) != 1 || all[0].ID != "2" {
		t.Errorf("%+v %v", all, err)
	}
}

// TestAnAttemptIsTakenBackWhileOtherWritesWait: otherwise many people with right passwords
// would lock themselves out while an index is built.
func TestAnAttemptIsTakenBackWhileOtherWritesWait(t *testing.T) {
	t.Parallel()
	onEachServer(t, func(t *testing.T, e storagetest.Engine) {
		url := storagetest.Migrated(t, e)
		s := storagetest.Open(t, url)
		now := time.Now()
		tally, err := s.CountGuess(t.Context(), "a", now, now.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		release := storagetest.Lock(t, url, map[storage.Engine][]string{
			storage.PostgreSQL: {"BEGIN", "LOCK TABLE grants IN SHARE MODE"},
			storage.MySQL:      {"LOCK TABLES grants READ"},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var refreshes sync.WaitGroup
		for range 40 {
			refreshes.Go(func() { s.RotateGrant(ctx, "x", 1, grants.Refresh{}, status.Ref{}, status.Ref{}, now) })
		}
		for at := s.Pools()["statements"]; at.InUse < at.MaxOpenConnections; at = s.Pools()["statements"] {
			time.Sleep(5 * time.Millisecond)
		}
		// A sign-in waits this long for it.
		brief, over := context.WithTimeout(t.Context(), 3*time.Second)
		defer over()
		if err := s.UncountGuesses(brief, []throttle.Tally{tally}); err != nil {
			t.Error(err)
		}
		cancel()
		release()
		refreshes.Wait()
		if n := storagetest.Count(t, url, "SELECT n FROM guesses"); n != 0 {
			t.Errorf("%d are counted", n)
		}
	})
}

// TestAConflictIsTriedAgainWithinTheTimeOfTheRequest: this includes the conflict of a
// single statement.
func TestAConflictIsTriedAgainWithinTheTimeOfTheRequest(t *testing.T) {
	t.Parallel()
	s, r := recorded(t, storagetest.Engines()[0])
	fails, tried := 8, 0
	r.FailWith(func(statement string) error {
		if !strings.HasPrefix(statement, "UPDATE") {
			return nil
		}
		if tried++; tried > fails {
			return nil
		}
		return &mysqldriver.MySQLError{Number: 1213}
	})
	if _, err := s.SeeListeners(t.Context(), []string{"x"}); err != nil || tried != fails+1 {
		t.Errorf("tried %d times: %v", tried, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	fails, tried = 1<<30, 0
	r.FailWith(func(string) error {
		if tried++; tried == 5 {
			cancel()
		}
		return &mysqldriver.MySQLError{Number: 1213}
	})
	if _, err := s.SeeListeners(ctx, []string{"x"}); !isFault(err) || !errors.Is(err, context.Canceled) || tried > 6 {
		t.Errorf("tried %d times: %v", tried, err)
	}
}

// TestACommitWithoutAnAnswerIsAFaultAndNotRepeated: if the connection is lost at the
// commit, nobody knows whether the commit happened.
func TestACommitWithoutAnAnswerIsAFaultAndNotRepeated(t *testing.T) {
	t.Parallel()
	s, r := recorded(t, storagetest.Engines()[0])
	r.FailWith(func(statement string) error {
		if statement == "COMMIT" {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	mustBeFault(t, s.CutClient(t.Context(), "a", event()))
	if n, err := s.ChangeNumber(t.Context()); err != nil || n != 2 {
		t.Errorf("the number is %d: %v", n, err)
	}
}

func TestAFaultWhileSessionsEndEndsNone(t *testing.T) {
	t.Parallel()
	const many = 105
	s, r := recorded(t, storagetest.Engines()[0])
	ctx, now := t.Context(), time.Now()
	if err := s.CreateUser(ctx, accounts.User{ID: "u", Username: "u"}, event()); err != nil {
		t.Fatal(err)
	}
	u, err := s.User(ctx, "u")
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		id := fmt.Sprint("s", i)
		n := sessions.Session{ID: id, UserID: "u", UserEpoch: u.Epoch, CreatedAt: now, IdleAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}
		if err := s.BeginSession(ctx, n, sha256.Sum256([]byte(id)), sha256.Sum256([]byte(id)), event()); err != nil {
			t.Fatal(err)
		}
	}
	state := func() string {
		t.Helper()
		_, total, err1 := s.Sessions(ctx, "u", "", 1, now)
		n, err2 := s.ChangeNumber(ctx)
		events, err3 := storagetest.Events(ctx, s, audit.Query{})
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(total, " sessions, change ", n, ", ", len(events), " events")
	}
	before := state()
	failed := 0
	for at := 0; ; at++ {
		left, hit := at, false
		r.FailWith(func(statement string) error {
			if left--; left < 0 && statement != "COMMIT" {
				hit = true
				return io.ErrUnexpectedEOF
			}
			return nil
		})
		n, err := s.EndSessions(ctx, "u", "s7", event())
		r.FailWith(nil)
		if !hit {
			if err != nil || n != many-1 {
				t.Fatal(n, err)
			}
			break
		}
		failed++
		mustBeFault(t, err)
		if after := state(); n != 0 || after != before {
			t.Fatalf("statement %d failed, and %d ended: %s, not %s", at, n, after, before)
		}
	}
	// BEGIN, two statements for the numbers, one that finds the sessions, and two each
	// for the sessions, the changes and the events.
	if failed != 10 {
		t.Errorf("%d statements failed", failed)
	}
}

// TestAGrantBeginsWithItsEventOrNotAtAll: what nobody is told of must not have happened.
func TestAGrantBeginsWithItsEventOrNotAtAll(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		g := newGroupOn(t, e, 1)
		begins := func(id string) func() error {
			return func() error { return g.s.BeginGrant(g.Context(), g.grant(id), noon) }
		}
		fails := func(statement string) error {
			if strings.Contains(statement, "audit_events") {
				return errors.New("a fault in between")
			}
			return nil
		}
		before := g.log()
		nothing := func() {
			t.Helper()
			code, err := g.s.Code(t.Context(), hashOf("code of 0"))
			if err != nil || !code.UsedAt.IsZero() || code.GrantID != "" {
				t.Errorf("%+v %v", code, err)
			}
			for _, id := range []string{"redeemed", "begun"} {
				if _, err := g.s.Grant(t.Context(), id); !errors.Is(err, grants.ErrNotFound) {
					t.Errorf("%s: %v", id, err)
				}
			}
			if after := g.log(); after != before {
				t.Errorf("%d events, not %d", after, before)
			}
		}
		g.Ask(fails)
		mustBeFault(t, g.redeem("code of 0", "redeemed")())
		mustBeFault(t, begins("begun")())
		g.Ask(nil)
		nothing()
		if e.Kind == storage.SQLite { // and beside others in a transaction
			errs := g.together(fails, g.rotate("0"), g.redeem("code of 0", "redeemed"), begins("begun"))
			g.must(errs[0])
			mustBeFault(t, errs[1])
			mustBeFault(t, errs[2])
			nothing()
		}
		g.Take()
		for _, write := range []func() error{g.redeem("code of 0", "redeemed"), begins("begun")} {
			g.must(write())
			if got := g.count("BEGIN", "INSERT INTO grants", "audit_events", "COMMIT"); got != "BEGIN 1, INSERT INTO grants 1, audit_events 1, COMMIT 1" {
				t.Error(got)
			}
		}
		if after := g.log(); after != before+2 {
			t.Errorf("%d events, not %d", after, before+2)
		}
	})
}

// log returns how many events there are.
func (g *group) log() int {
	g.Helper()
	return storagetest.Count(g, g.url, "SELECT COUNT(*) FROM audit_events")
}

func TestAGuessIsTakenBackOnceOrIsAFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err        error
		failures   int
		after      bool
		succeeds   bool
		n          int64
		statements int
	}{
		"the engine refuses for a while":   {&pgconn.PgError{Code: "57P01"}, 3, false, true, 0, 4},
		"it does not stop refusing":        {&mysqldriver.MySQLError{Number: 1053}, 100, false, false, 1, 8},
		"the answer is lost":               {io.ErrUnexpectedEOF, 1, true, false, 0, 1},
		"the connection is lost before it": {io.ErrUnexpectedEOF, 1, false, false, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := recorded(t, storagetest.Engines()[0])
			now := time.Now()
			tally, err := s.CountGuess(t.Context(), "x", now, now.Add(-time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			failures, statements := c.failures, 0
			fail := func(statement string) error {
				if !strings.Contains(statement, "UPDATE guesses") {
					return nil
				}
				if statements++; failures == 0 {
					return nil
				}
				failures--
				return c.err
			}
			if r.FailWith(fail); c.after {
				r.FailWith(nil)
				r.FailAfter(fail)
			}
			if err := s.UncountGuesses(t.Context(), []throttle.Tally{tally}); c.succeeds && err != nil || !c.succeeds && !isFault(err) {
				t.Fatal(err)
			}
			r.FailWith(nil)
			r.FailAfter(nil)
			tally, err = s.CountGuess(t.Context(), "x", now, now.Add(-time.Hour))
			if err != nil || tally.N != c.n+1 || statements != c.statements {
				t.Errorf("%d statements, and %d are counted: %v", statements, tally.N-1, err)
			}
		})
	}
}

func TestADatabaseThatDoesNotAnswerIsAFaultInTime(t *testing.T) {
	t.Parallel()
	onEachServer(t, func(t *testing.T, e storagetest.Engine) {
		s, _, r := behindRelay(t, e)
		if err := s.CutEverything(t.Context(), event()); err != nil {
			t.Fatal(err)
		}
		heal := r.Silence()
		for name, call := range map[string]func(context.Context) error{
			"Standing": func(ctx context.Context) error {
				_, err := s.Standing(ctx, revocation.Question{})
				return err
			},
			"CutEverything": func(ctx context.Context) error { return s.CutEverything(ctx, event()) },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			err := call(ctx)
			cancel()
			mustBeFault(t, err)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, errors.Unwrap(err))
			}
		}
		heal()
		if err := s.CutEverything(t.Context(), event()); err != nil {
			t.Error(err)
		}
	})
}
