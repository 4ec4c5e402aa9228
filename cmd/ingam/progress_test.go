package main

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgressIsOfWhatTakesLong: what is done within a second is not told, and whatever is
// told is gone at the end.
func TestProgressIsOfWhatTakesLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := newProgress(&out) // no terminal
		p.part("token", 0.5)
		time.Sleep(time.Minute)
		p.end()
		p.to = &out
		p.say("short")
		time.Sleep(time.Second / 2)
		p.end()
		time.Sleep(time.Minute)
		if out.Len() > 0 {
			t.Errorf("%q", out.String())
		}
		p.part("token", 0.1)
		p.part("token", 0.2)
		time.Sleep(2 * time.Second)
		p.begin("within")()
		p.part("token", 0.504)
		p.end()
		p.end()
		if want := clearLine + "token, 20 %" + clearLine + "token, 50 %" + clearLine; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}

// slow answers requests after some time.
type slow time.Duration

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(time.Duration(s))
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

// TestWaitingForTheAdminAPIIsTold: at a terminal, whichever way the requests go.
func TestWaitingForTheAdminAPIIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		api := newAdminAPI(&terminal{stderr: &out}, slow(3*time.Second), "http://localhost")
		api.progress.to = &out
		for _, r := range []request{{method: http.MethodGet, path: "/clients"}, {method: http.MethodDelete, path: "/clients/app"}} {
			if _, err := api.do(t.Context(), r, nil); err != nil {
				t.Fatal(err)
			}
		}
		if want := clearLine + "waiting for the server" + clearLine + clearLine + "waiting until every server must know of it" + clearLine; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}
