package verify_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

// acked waits for an acknowledgement.
func (f *issuer) acked(want string) {
	f.t.Helper()
	select {
	case got := <-f.acks:
		if got != want {
			f.t.Errorf("acknowledged %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		f.t.Errorf("%s was not acknowledged", want)
	}
}

func (f *issuer) notAcked() {
	f.t.Helper()
	synctest.Wait()
	select {
	case got := <-f.acks:
		f.t.Errorf("acknowledged %q", got)
	default:
	}
}

// expect checks the result of verifying a token.
func expect(t *testing.T, v *verify.Verifier, token string, want error) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestWhatTheStreamSaysHoldsAtOnceAndIsAcknowledgedAfterwards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, _ := f.addList(1)
		v, s := f.streamed(nil)
		token := f.listed(uri, 3)
		expect(t, v, token, nil)
		fetched := f.count("/realm/status/1")
		s.set(11, uri, 3, 5000)
		f.acked("L1 11")
		expect(t, v, token, verify.ErrRevoked)
		expect(t, v, f.listed(uri, 4), nil)
		if n := f.count("/realm/status/1") - fetched; n != 0 {
			t.Errorf("%d lists were fetched for it", n)
		}
		synctest.Wait()
		if st := v.State(); !st.Ready || !st.StreamConnected || st.LastEventID != 11 || st.AckedEventID != 11 || st.Events != 2 || st.Acks != 2 {
			t.Errorf("state %+v", st)
		}
	})
}

func TestASetInPartsIsAcknowledgedWithItsLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, _ := f.addList(1)
		v, s := f.streamed(nil)
		s.set(0, uri, 3)
		s.set(0, uri, 4)
		f.notAcked()
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
		s.set(11, uri, 5)
		f.acked("L1 11")
		expect(t, v, f.listed(uri, 4), verify.ErrRevoked)
		expect(t, v, f.listed(uri, 5), verify.ErrRevoked)
	})
}

func TestReloadFetchesEveryListBeforeItIsAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		v, s := f.streamed(nil)
		expect(t, v, f.listed(uri, 3), nil)
		// The list cannot be fetched for a while.
		f.with(func() {
			f.answers["/realm/status/1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
		})
		f.revoke(l, 3)
		s.reload(20)
		s.set(21, uri, 5)
		f.notAcked()
		// Later changes are applied in the meantime.
		expect(t, v, f.listed(uri, 5), verify.ErrRevoked)
		for range 10 {
			time.Sleep(2 * time.Second)
			s.heartbeat()
		}
		f.notAcked()
		// The list is too old now, although the stream is alive.
		expect(t, v, f.listed(uri, 4), verify.ErrUnavailable)
		f.with(func() { clear(f.answers) })
		f.acked("L1 21")
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
		expect(t, v, f.listed(uri, 5), verify.ErrRevoked)
		expect(t, v, f.listed(uri, 4), nil)
	})
}

func TestAListThatIsGoneHoldsNoAcknowledgementUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		f.addList(1)
		_, s := f.streamed(nil)
		f.with(func() { clear(f.lists) })
		s.reload(20)
		f.acked("L1 20")
	})
}

func TestAVerifierThatClosesSaysThatItLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		v, s := f.streamed(nil)
		replica, other := f.streamed(nil)
		if s.instance == "" || s.instance == other.instance {
			t.Errorf("replicas call themselves %q and %q", s.instance, other.instance)
		}
		// A verifier whose connection breaks has not left: it comes back.
		close(s.cut)
		again := <-f.streams
		if again.instance != s.instance {
			t.Errorf("%q came back as %q", s.instance, again.instance)
		}
		again.hello(10, "L2")
		f.acked("L2 10")
		// It acknowledges no more than it has applied.
		f.with(func() {
			f.answers["/realm/status/1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
		})
		f.revoke(l, 3)
		expect(t, v, f.listed(uri, 4), nil)
		again.reload(20)
		f.notAcked()
		v.Close()
		f.acked("L2 10 leaving true")
		v.Close()
		f.notAcked()
		// Close does not wait long if the server cannot be reached.
		f.stop()
		begun := time.Now()
		replica.Close()
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestAListenerThatTheServerForgotConnectsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, _ := f.addList(1)
		v, s := f.streamed(nil)
		f.with(func() { f.answers["/realm/ack"] = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) } })
		begun := time.Now()
		s.set(11, uri, 3)
		s = <-f.streams
		if s.last != "11" || time.Since(begun) > 2*time.Second {
			t.Errorf("resumed from %q after %s", s.last, time.Since(begun))
		}
		f.with(func() { clear(f.answers) })
		s.hello(11, "L2")
		f.acked("L2 11")
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
	})
}

func TestFailingAcknowledgementsAreTriedAgainAndHoldNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, _ := f.addList(1)
		v, s := f.streamed(nil)
		f.with(func() { f.answers["/realm/ack"] = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) } })
		for i := range 50 {
			s.set(11+i, uri, i)
		}
		synctest.Wait()
		for i := range 50 {
			expect(t, v, f.listed(uri, i), verify.ErrRevoked)
		}
		time.Sleep(5 * time.Second)
		if st := v.State(); st.AckFailures == 0 || st.AckFailures > 10 || st.AckedEventID != 10 {
			t.Errorf("state %+v", st)
		}
		f.with(func() { clear(f.answers) })
		f.acked("L1 60")
	})
}
