package verify_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

// streamed starts a verifier whose stream has said hello, with id 10.
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

// expect checks what a verifier makes of a token.
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

func TestWhatTheStreamSaysOfListsThatAreNotHeldIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		v, s := f.streamed(nil)
		uri, l := f.addList(1)
		s.set(11, uri, 3)
		f.acked("L1 11")
		// A cache on the way has the list as it was before.
		l.issuedAt = time.Now().Add(-time.Second)
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
		expect(t, v, f.listed(uri, 4), nil)
		f.stop()
		gone := strings.Replace(uri, "status/1", "status/2", 1)
		expect(t, v, f.listed(gone, 3), verify.ErrUnavailable)
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
		// What comes after it is applied meanwhile.
		expect(t, v, f.listed(uri, 5), verify.ErrRevoked)
		for range 10 {
			time.Sleep(2 * time.Second)
			s.heartbeat()
		}
		f.notAcked()
		// The list is older than may be, however often something is heard.
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
		// hello may have an id of what is still to come. If the next cut came
		// right after it, going on from there would lose that.
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
		for got := ""; got != "L3 13"; { // what came at once is acknowledged at once
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

// The server is back, and has told that it is, but not yet what it did
// meanwhile.
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
		// As long as something is heard, nothing is polled, but in the beginning.
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
		// It dies without a sign. What it would have said is seen in time, and
		// tokens are accepted throughout.
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

func TestAStreamThatMakesNoSenseIsBegunAnew(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"set that is no JSON":  "event: set\nid: 11\ndata: abc\n\n",
		"negative index":       "event: set\nid: 11\ndata: {\"set\":[{\"uri\":\"x\",\"idx\":[-1]}]}\n\n",
		"id that is no number": "event: set\nid: x\ndata: {}\n\n",
		"second hello":         "event: hello\nid: 11\ndata: {\"listener\":\"x\"}\n\n",
		"endless line":         "data: " + strings.Repeat("x", 5<<20) + "\n\n",
		"endless event":        strings.Repeat("data: "+strings.Repeat("x", 1<<10)+"\n", 5<<10) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newIssuer(t)
				uri, l := f.addList(1)
				v, s := f.streamed(nil)
				expect(t, v, f.listed(uri, 3), nil)
				f.revoke(l, 3)
				s.out <- text
				s = <-f.streams
				if s.last != "" {
					t.Errorf("resumed from %q", s.last)
				}
				s.hello(12, "L2")
				f.acked("L2 12")
				expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
			})
		})
	}
}

func TestEventsOfKindsAndListsThatAreUnknownAreLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, _ := f.addList(1)
		v, s := f.streamed(nil)
		s.out <- "event: news\r\nid: 11\r\ndata: a\r\ndata: b\r\nretry: 5\r\n\r\n"
		f.acked("L1 11")
		s.set(12, "https://evil.example/list", 1)
		f.acked("L1 12")
		s.set(13, uri, 3)
		f.acked("L1 13")
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
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
		// A connection that breaks is not a verifier that leaves: it comes back.
		close(s.cut)
		again := <-f.streams
		if again.instance != s.instance {
			t.Errorf("%q came back as %q", s.instance, again.instance)
		}
		again.hello(10, "L2")
		f.acked("L2 10")
		// It claims no more than what it has applied.
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
		// Nor does it hold its process up where nobody listens.
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

// The list comes from an instance that does not know yet what the one that
// streams has known since before it said hello.
func TestAListFromAnInstanceThatIsBehindIsMadeUpForSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		v, s := f.streamed(nil)
		expect(t, v, f.listed(uri, 3), nil)
		time.Sleep(2 * time.Second)
		f.revoke(l, 3) // now the other knows it, and the stream does not say it
		for range 2 {
			s.heartbeat()
			time.Sleep(2 * time.Second)
		}
		expect(t, v, f.listed(uri, 3), verify.ErrRevoked)
	})
}

// A list that says up to which change it goes is taken at its word: it is not
// acknowledged before it goes far enough, and not fetched again once it does.
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

func TestAStreamThatIsNoneIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"something else":      func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"nothing":             func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"an error":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"no hello":            sse("event: reload\nid: 3\ndata: {}\n\n"),
		"a hello of nobody":   sse("event: hello\nid: 3\ndata: {}\n\n"),
		"a hello without id":  sse("event: hello\ndata: {\"listener\":\"L\"}\n\n"),
		"a hello and the end": sse("event: hello\nid: 3\ndata: {\"listener\":\"L\"}\n\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newIssuer(t)
				uri, _ := f.addList(1)
				f.answers["/realm/events"] = answer
				v := f.verifier(streaming)
				time.Sleep(5 * time.Minute)
				if n := f.count("/realm/events"); n < 7 || n > 100 {
					t.Errorf("%d attempts in five minutes", n)
				}
				if s := v.State(); !s.Ready || s.StreamConnected || !strings.Contains(s.Why, "the status stream is down") {
					t.Errorf("state %+v", s)
				}
				expect(t, v, f.listed(uri, 3), nil)
			})
		})
	}
}

func sse(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.Write([]byte(text))
	}
}
