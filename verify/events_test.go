package verify_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

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
