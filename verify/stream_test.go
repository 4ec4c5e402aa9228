package verify_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

// streamed starts a verifier. Its stream has sent hello with id 10.
func (f *issuer) streamed(change func(*verify.Config)) (*verify.Verifier, *fakeStream) {
	f.t.Helper()
	v := f.verifier(func(c *verify.Config) {
		streaming(c)
		if change != nil {
			change(c)
		}
	})
	s := <-f.streams
	if s.last != "" || s.name != "test" {
		f.t.Errorf("the first connection resumes %q as %q", s.last, s.name)
	}
	s.hello(10, "L1")
	f.acked("L1 10")
	return v, s
}

func TestWhatTheStreamSaysOfListsThatAreNotHeldIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		v, s := f.streamed(nil)
		uri, l := f.addList(1)
		s.set(11, uri, 3)
		f.acked("L1 11")
		// A cache on the network still has the former list.
		l.issuedAt = time.Now().Add(-time.Second)
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
		expect(t, v, f.listed(uri, 4), nil)
		f.stop()
		gone := strings.Replace(uri, "status/1", "status/2", 1)
		expect(t, v, f.listed(gone, 3), verify.ErrUnavailable)
	})
}

func TestACutConnectionIsResumedWithoutAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, _ := f.addList(1)
		v, s := f.streamed(nil)
		s.set(11, uri, 3)
		f.acked("L1 11")
		close(s.cut)
		s = <-f.streams
		if s.last != "11" {
			t.Fatalf("resumed from %q", s.last)
		}
		// hello may contain the id of a later event. If the connection broke right
		// after hello, and the verifier resumed from that id, it would miss the
		// event.
		s.hello(13, "L2")
		f.acked("L2 11")
		close(s.cut)
		s = <-f.streams
		if s.last != "11" {
			t.Fatalf("resumed from %q, though 12 and 13 were not seen", s.last)
		}
		s.hello(13, "L3")
		s.set(12, uri, 4)
		s.set(13, uri, 5)
		for got := ""; got != "L3 13"; { // events that arrive together may be acknowledged together
			got = <-f.acks
		}
		for _, index := range []int{3, 4, 5} {
			expect(t, v, f.listed(uri, index), verify.ErrRevoked)
		}
		if st := v.State(); st.LastEventID != 13 || !st.StreamConnected || st.Why != "" {
			t.Errorf("state %+v", st)
		}
	})
}

// TestAResumedStreamVouchesForNothingBeforeItHasCaughtUp: the server has said hello after a
// reconnect, but it has not yet sent the changes of the meantime.
func TestAResumedStreamVouchesForNothingBeforeItHasCaughtUp(t *testing.T) {
	t.Parallel()
	for name, catchUp := range map[string]func(s *fakeStream, uri string){
		"by a set":        func(s *fakeStream, uri string) { s.set(12, uri, 900) },
		"by a heartbeat":  func(s *fakeStream, _ string) { s.heartbeat() },
		"nothing was set": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newIssuer(t)
				uri, _ := f.addList(1)
				v, s := f.streamed(nil)
				expect(t, v, f.listed(uri, 4), nil)
				f.with(func() {
					f.answers["/realm/status/1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
				})
				f.stop()
				close(s.cut)
				time.Sleep(time.Minute)
				f.start()
				s = <-f.streams
				if catchUp == nil {
					s.hello(10, "L2")
				} else {
					s.hello(12, "L2")
					synctest.Wait()
					expect(t, v, f.listed(uri, 4), verify.ErrUnavailable)
					catchUp(s, uri)
				}
				synctest.Wait()
				expect(t, v, f.listed(uri, 4), nil)
			})
		})
	}
}

func TestAReloadAfterACutLeavesListsAsOldAsTheyAre(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, _ := f.addList(1)
		v, s := f.streamed(nil)
		expect(t, v, f.listed(uri, 4), nil)
		f.with(func() {
			f.answers["/realm/status/1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
		})
		f.stop()
		close(s.cut)
		time.Sleep(time.Minute)
		f.start()
		s = <-f.streams
		s.hello(50, "L2")
		s.reload(50)
		synctest.Wait()
		expect(t, v, f.listed(uri, 4), verify.ErrUnavailable)
		f.with(func() { clear(f.answers) })
		time.Sleep(10 * time.Second)
		expect(t, v, f.listed(uri, 4), nil)
	})
}

func TestAServerWhoseCountBeganAnewIsNotResumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		v, s := f.streamed(nil)
		expect(t, v, f.listed(uri, 3), nil)
		f.revoke(l, 3)
		close(s.cut)
		s = <-f.streams
		s.hello(2, "L2")
		f.acked("L2 2")
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
	})
}

func TestASilentStreamIsGivenUpAndListsArePolledMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		v, s := f.streamed(nil)
		token := f.listed(uri, 3)
		// While the stream is alive, nothing is polled, except at the beginning.
		for range 10 {
			s.heartbeat()
			time.Sleep(2 * time.Second)
		}
		s.heartbeat()
		before := f.count("/realm/status/1")
		for range 20 {
			time.Sleep(2 * time.Second)
			s.heartbeat()
			expect(t, v, token, nil)
		}
		if n := f.count("/realm/status/1") - before; n > 1 {
			t.Errorf("%d lists were fetched beside a stream that lives", n)
		}
		// The stream falls silent without an error. Revocations are still noticed
		// in time, and tokens are accepted throughout.
		synctest.Wait()
		silent := time.Now()
		for range 8 {
			time.Sleep(time.Second)
			expect(t, v, token, nil)
		}
		f.revoke(l, 3)
		time.Sleep(10 * time.Second)
		expect(t, v, token, verify.ErrRevoked)
		expect(t, v, f.listed(uri, 4), nil)
		<-s.gone
		if d := time.Since(silent); d < 40*time.Second || d > 41*time.Second {
			t.Errorf("it was given up after %s", d)
		}
		s = <-f.streams
		s.hello(10, "L2")
		f.acked("L2 10")
		if st := v.State(); !st.StreamConnected || st.StreamFailures != 1 {
			t.Errorf("state %+v", st)
		}
	})
}

func TestARefusedStreamIsTriedSlowlyAndListsArePolled(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		synctest.Test(t, func(t *testing.T) {
			f := newIssuer(t)
			uri, l := f.addList(1)
			f.answers["/realm/events"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
			v := f.verifier(streaming)
			token := f.listed(uri, 3)
			for range 600 {
				time.Sleep(time.Second)
				expect(t, v, token, nil)
			}
			if n := f.count("/realm/events"); n < 10 || n > 21 {
				t.Errorf("%d attempts in ten minutes", n)
			}
			if s := v.State(); !s.Ready || s.StreamConnected || !strings.Contains(s.Why, "the server refuses") {
				t.Errorf("state %+v", s)
			}
			f.revoke(l, 3)
			time.Sleep(10 * time.Second)
			expect(t, v, token, verify.ErrRevoked)
		})
	}
}

// TestAListFromAnInstanceThatIsBehindIsMadeUpForSoon: the list comes from an instance that
// lags behind. It lacks a revocation that the streaming instance knew before its hello.
func TestAListFromAnInstanceThatIsBehindIsMadeUpForSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		v, s := f.streamed(nil)
		expect(t, v, f.listed(uri, 3), nil)
		time.Sleep(2 * time.Second)
		f.revoke(l, 3) // now the lagging instance knows it, and the stream does not send it
		for range 2 {
			s.heartbeat()
			time.Sleep(2 * time.Second)
		}
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
	})
}

// TestAListThatSaysHowFarItGoesIsWaitedFor: a list may say up to which change it goes. The
// verifier does not acknowledge a change before the list goes that far, and then does not
// fetch the list again.
func TestAListThatSaysHowFarItGoesIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		far := 10
		f.with(func() { l.change = func(claims map[string]any) { claims["change"] = far } })
		v, s := f.streamed(nil)
		expect(t, v, f.listed(uri, 3), nil)
		s.reload(20)
		time.Sleep(time.Second)
		f.notAcked()
		f.revoke(l, 3)
		f.with(func() { far = 20 })
		f.acked("L1 20")
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
		fetched := f.count("/realm/status/1")
		for range 3 {
			time.Sleep(2 * time.Second)
			s.heartbeat()
		}
		synctest.Wait()
		if n := f.count("/realm/status/1") - fetched; n != 0 {
			t.Errorf("%d lists were fetched although the stream vouches for the one that is held", n)
		}
	})
}

func TestASecretIsSentToTheIssuerAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		f.answers["/realm/events"] = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, f.url+"/elsewhere", http.StatusTemporaryRedirect)
		}
		f.verifier(streaming)
		time.Sleep(time.Minute)
		if f.count("/realm/events") == 0 || f.count("/realm/elsewhere") != 0 {
			t.Errorf("%d requests were redirected, %d followed", f.count("/realm/events"), f.count("/realm/elsewhere"))
		}
	})
}
