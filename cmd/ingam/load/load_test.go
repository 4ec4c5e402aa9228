package load

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPercentilesAreValuesThatWereMeasured(t *testing.T) {
	t.Parallel()
	thousand := make([]time.Duration, 1000)
	for i := range thousand {
		thousand[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		of   []time.Duration
		p    float64
		want time.Duration
	}{
		{nil, 0.5, 0}, {thousand[:1], 0.5, 1}, {thousand[:1], 0.999, 1}, {thousand[:2], 0.5, 1}, {thousand[:3], 0.5, 2},
		{thousand, 0.5, 500}, {thousand, 0.99, 990}, {thousand, 0.999, 999}, {thousand, 1, 1000}, {thousand, 0, 1}, {thousand[:100], 0.999, 100},
	} {
		if got := Percentile(c.of, c.p); got != c.want {
			t.Errorf("percentile %g of %d values is %d, want %d", c.p, len(c.of), got, c.want)
		}
	}
}

// serve returns a server and one connection to it.
func serve(t *testing.T, answer http.HandlerFunc) (Target, *Wire) {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	to, err := To(u)
	if err != nil {
		t.Fatal(err)
	}
	wires, err := to.Dial(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(wires) })
	return to, wires[0]
}

func TestOneAnswerEndsWhereTheNextBegins(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long ", 10_000)
	to, w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			fmt.Fprint(w, long)
		case "/chunks":
			fmt.Fprint(w, "one ")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "two")
		case "/not-modified":
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		case "/form":
			id, secret, _ := r.BasicAuth()
			fmt.Fprint(w, r.Host == to(r) && r.Method == http.MethodPost, " ", r.PostFormValue("a"), " ", id, " ", secret)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		}
	})
	for range 2 {
		for _, c := range []struct {
			text   string
			status int
			want   string
		}{
			{to.Get("/long"), 200, long},
			{to.Get("/chunks"), 200, "one two"},
			{to.Get("/not-modified", "If-None-Match", `"x"`), 304, ""},
			{to.Form("/form", url.Values{"a": {"1&2"}}, "Authorization", Basic("app:1", "s")), 200, "true 1&2 app%3A1 s"},
			{to.Get("/none"), 204, ""},
		} {
			line, _, _ := strings.Cut(c.text, "\r\n")
			if body, err := w.Exchange(c.text, Answer{Status: c.status}); err != nil || string(body) != c.want {
				t.Errorf("%s: %q, %v", line, body, err)
			}
		}
	}
}

// TestAServerMayCloseConnections, if it says so: nginx does so after 1000 requests.
func TestAServerMayCloseConnections(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	to, w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%3 == 0 {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprint(w, "answer")
	})
	r, err := Plan{Wires: []*Wire{w}, Series: Repeat(to.Get("/"), 1), Want: Answer{Status: 200, Begins: "answer"}, Requests: 20}.Run(t.Context())
	if err != nil || r.Requests() != 20 || asked.Load() != 20 {
		t.Errorf("%d of 20 requests, of which %d arrived: %v", r.Requests(), asked.Load(), err)
	}
	for !w.ending {
		if _, err := w.Exchange(to.Get("/"), Answer{Status: 200}); err != nil {
			t.Fatal(err)
		}
	}
	Close([]*Wire{w})
	if _, err := w.Exchange(to.Get("/"), Answer{Status: 200}); !errors.Is(err, context.Canceled) {
		t.Errorf("a closed wire opens again: %v", err)
	}
}

// TestAnAnswerThatIsTooLongIsRefused, before there is room for it.
func TestAnAnswerThatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	to, w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/told" {
			w.Header().Set("Content-Length", fmt.Sprint(mostBody+1))
			return
		}
		for range mostBody>>10 + 1 {
			w.Write(make([]byte, 1<<10))
		}
	})
	if _, err := w.Exchange(to.Get("/chunks"), Answer{Status: 200}); err == nil {
		t.Error("in chunks it is accepted, without its end")
	}
	wires, err := to.Dial(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(wires)
	if _, err := wires[0].Exchange(to.Get("/told"), Answer{Status: 200}); err == nil || cap(wires[0].body) > 0 {
		t.Errorf("%d bytes: %v", cap(wires[0].body), err)
	}
}

// to returns the host that a request is sent to.
func to(r *http.Request) string {
	return r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }).String()
}

func TestAnUnexpectedAnswerTellsItsCodeAndNothingElse(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"error":"invalid_client","error_description":"SECRET"}`: "invalid_client",
		`{"access_token":"SECRET"}`:                               "",
		`{"error":"SECRET"}`:                                      "",
		"SECRET":                                                  "",
	} {
		to, w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, body)
		})
		_, err := w.Exchange(to.Get("/"), Answer{Status: http.StatusOK})
		unexpected, ok := errors.AsType[*UnexpectedError](err)
		if !ok || unexpected.Status != 401 || unexpected.Code != want || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", body, err)
		}
		if _, err := w.Exchange(to.Get("/"), Answer{Status: 401, Begins: "something else"}); err == nil {
			t.Errorf("%s is taken for something else", body)
		}
	}
}

func TestARunSendsWhatItWasToldAndMeasuresIt(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	to, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, asked.Add(1)) })
	signer, err := StandardSigner()
	if err != nil {
		t.Fatal(err)
	}
	wires, err := to.Dial(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(wires)
	var cpu time.Duration
	var parts []float64
	plan := Plan{
		Wires: wires, Series: Repeat(to.Get("/"), 3), Want: Answer{Status: 200}, Requests: 25, Signers: []crypto.Signer{signer},
		CPU:      func() (time.Duration, error) { cpu += time.Second; return cpu, nil },
		Progress: func(part float64) { parts = append(parts, part) },
	}
	r, err := plan.Run(t.Context())
	if err != nil || r.Requests() != 25 || asked.Load() != 25 {
		t.Fatalf("%d requests, %d answers: %v", r.Requests(), asked.Load(), err)
	}
	if r.CPU != rounds*time.Second || r.Elapsed <= 0 || r.Rate() <= 0 || len(r.Signatures) != 1 || r.Signatures[0] <= 0 || !slices.IsSorted(r.Latencies) {
		t.Errorf("%+v", r)
	}
	if len(parts) != rounds || parts[rounds-1] != 1 {
		t.Errorf("progress: %v", parts)
	}

	plan.Requests, plan.Series = 100, Each([]string{to.Get("/a"), to.Get("/b")}, 3)
	if r, err := plan.Run(t.Context()); err != nil || r.Requests() != 2 {
		t.Errorf("of two requests %d were sent: %v", r.Requests(), err)
	}
	plan.Requests, plan.Series, plan.Duration = 1_000_000_000, Repeat(to.Get("/"), 3), 50*time.Millisecond
	if r, err := plan.Run(t.Context()); err != nil || r.Requests() == 0 {
		t.Errorf("in 50 ms, %d: %v", r.Requests(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	plan.Series[0].Took = func([]byte) error { cancel(); return nil }
	plan.Duration = time.Hour
	if _, err := plan.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was given up ends with %v", err)
	}
}

func TestTheFirstErrorEndsARun(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	to, w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	_, err := Plan{Wires: []*Wire{w}, Series: Repeat(to.Get("/"), 1), Want: Answer{Status: 200}, Requests: 1000}.Run(t.Context())
	if _, ok := errors.AsType[*UnexpectedError](err); !ok || !strings.Contains(err.Error(), "status 503") || asked.Load() != 3 {
		t.Errorf("%d requests: %v", asked.Load(), err)
	}
}

func TestOnlyServersOfHTTPAreSpokenTo(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"ftp://a.test", "a.test", "https://", "//a.test"} {
		u, err := url.Parse(wrong)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := To(u); err == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
	for at, want := range map[string]string{"https://a.test": "a.test:443", "http://a.test": "a.test:80", "https://a.test:8443/b": "a.test:8443", "http://[::1]:1": "[::1]:1"} {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := To(u); err != nil || got.address != want {
			t.Errorf("%s is at %s: %v", at, got.address, err)
		}
	}
}

func TestAServerWithTLSMustHaveTheNameThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.Host) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	to, err := To(u)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Dial(t.Context(), 1); err == nil {
		t.Error("a certificate of nobody is accepted")
	}
	to.tls.RootCAs = x509.NewCertPool()
	to.tls.RootCAs.AddCert(s.Certificate())
	wires, err := to.Dial(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(wires)
	if body, err := wires[1].Exchange(to.Get("/"), Answer{Status: 200}); err != nil || string(body) != "HTTP/1.1 "+u.Host {
		t.Errorf("%q %v", body, err)
	}
	to.tls.ServerName = "other.test"
	if _, err := to.Dial(t.Context(), 1); err == nil {
		t.Error("a certificate of another server is accepted")
	}
}

func TestTheCPUTimeOfAProcessGrowsWithItsWork(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is no such clock here")
	}
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := StandardSigner()
	if err != nil {
		t.Fatal(err)
	}
	s := stopwatch{signer: signer}
	if err := s.measure(); err != nil {
		t.Fatal(err)
	}
	var signing time.Duration
	for _, took := range s.took {
		signing += took
	}
	after, err := CPU(os.Getpid())
	if err != nil || signing <= 0 || after-before < signing {
		t.Errorf("the process used %s, of which signatures %s: %v", after-before, signing, err)
	}
	if _, err := CPU(LargestPID); err == nil {
		t.Error("a process that is not there used CPU time")
	}
}
