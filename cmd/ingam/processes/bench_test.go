package processes

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"

	"github.com/ingam/ingam/cmd/ingam/load"
	"github.com/ingam/ingam/storage/storagetest"
)

// BenchmarkServer measures what ingam bench does not: people who sign in, storms,
// revocations, starts, a million grants, memory. The server is as it is run in production: a
// release build in a process of its own, with the default settings, which logs each request
// to a file. The unit of its CPU time is S, the time of one RSA-2048 signature, which makes
// machines comparable. The results are in docs/performance.md.
func BenchmarkServer(b *testing.B) {
	binary := release(b)
	b.Run("SignIn", func(b *testing.B) { benchmarkSignIn(b, binary) })
	b.Run("RefusedSignIn", func(b *testing.B) { benchmarkRefusedSignIn(b, binary) })
	b.Run("Storm", func(b *testing.B) { benchmarkStorm(b, binary) })
	b.Run("Revocation", func(b *testing.B) { benchmarkRevocation(b, binary) })
	b.Run("Ready", func(b *testing.B) { benchmarkReady(b, binary) })
	b.Run("MillionGrants", func(b *testing.B) {
		for _, e := range storagetest.Engines() {
			b.Run(e.Name, func(b *testing.B) { benchmarkMillionGrants(b, binary, e.NewURL(b)) })
		}
	})
	b.Run("HundredThousandTokens", func(b *testing.B) { benchmarkHundredThousandTokens(b, binary) })
}

// benchmarkSignIn checks a password and begins a login session.
func benchmarkSignIn(b *testing.B, binary string) {
	s := newReleased(b, binary, "").start()
	s.d.user("minji")
	ask := s.target.Form("/login", url.Values{"username": {"minji"}, "password": {goodPassword}})
	b.Run("password", func(b *testing.B) {
		s.load(b, load.Repeat(ask, connections), load.Answer{Status: http.StatusSeeOther})
	})
	hasher, err := argon2.New(argon2.WithVariantID(), argon2.WithM(19*1024), argon2.WithT(2), argon2.WithP(1))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("argon2id-alone", func(b *testing.B) {
		for b.Loop() {
			if _, err := hasher.Hash(goodPassword); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchmarkRefusedSignIn measures a refused sign-in, which must cost the same for every
// user name.
func benchmarkRefusedSignIn(b *testing.B, binary string) {
	d := newReleased(b, binary, "")
	d.settings = []string{"INGAM_THROTTLE_SIGN_IN_FAILURES=1000", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1"}
	s := d.start()
	d.signInApp("mobile")
	d.user("minji")
	d.user("gone")
	d.must("user", "disable", "gone")
	for _, c := range []struct{ who, user, password string }{
		{"unknown", "nobody", "wrong"}, {"wrong", "minji", "wrong"}, {"disabled", "gone", goodPassword},
	} {
		b.Run(c.who, func(b *testing.B) {
			body := fmt.Sprintf(`{"id":%q,"pw":%q,"client_id":"mobile"}`, c.user, c.password)
			var texts []string
			for i := range b.N + connections {
				texts = append(texts, s.target.Post("/login", "application/json", body, "X-Forwarded-For", fmt.Sprintf("10.1.%d.%d", i/250, i%250)))
			}
			s.load(b, load.Each(texts, connections), load.Answer{Status: http.StatusUnauthorized, Begins: `{"error":"invalid_grant"`})
		})
	}
}

// benchmarkReady starts the server again and again on a database that already has its
// schema and keys.
func benchmarkReady(b *testing.B, binary string) {
	d := newReleased(b, binary, "")
	d.start().stop()
	b.Run("restart", func(b *testing.B) {
		var took []time.Duration
		for range b.N {
			began := time.Now()
			s := d.launch()
			for !s.isReady() {
				time.Sleep(time.Millisecond)
			}
			took = append(took, time.Since(began))
			b.StopTimer()
			s.stop()
			b.StartTimer()
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(milliseconds(slices.Min(took)), "ms-min")
		b.ReportMetric(milliseconds(median(took)), "ms-median")
	})
}

// benchmarkMillionGrants measures with a million grants how long a start and a cut take:
// from the start until the server is ready and until it has the status lists, and from a
// cut of all grants until all are listed.
func benchmarkMillionGrants(b *testing.B, binary, database string) {
	d := newReleased(b, binary, database)
	d.settings = []string{"INGAM_STATUS_LIST_SIZE=4194304"}
	d.user("minji")
	a := d.webClient("web")
	s := d.start()
	token := a.tokens(s.server, s.person(), "minji").Access
	path, index := statusOf(b, token)
	s.stop()
	storagetest.DoubleGrants(b, d.database, 20)
	last := index + 1<<20 - 1

	var ready, lists []time.Duration
	for range b.N {
		began := time.Now()
		s = d.launch()
		for !s.isReady() {
			time.Sleep(time.Millisecond)
		}
		ready = append(ready, time.Since(began))
		for s.get(path).status != http.StatusOK {
			time.Sleep(time.Millisecond)
		}
		lists = append(lists, time.Since(began))
		b.StopTimer()
		s.stop()
		b.StartTimer()
	}
	s = d.start()
	d.must("revoke", "--user", "minji")
	cut := time.Now()
	// There is no list while it takes longer to read a cut than an old list may be
	// served.
	for s.get(path).status != http.StatusOK || !s.bit(b, path, index) || !s.bit(b, path, last) {
		time.Sleep(10 * time.Millisecond)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(median(ready)), "ms-ready")
	b.ReportMetric(milliseconds(median(lists)), "ms-lists")
	b.ReportMetric(milliseconds(time.Since(cut)), "ms-listed")
}

// benchmarkHundredThousandTokens measures what remains after issuing: in memory, and in
// the database.
func benchmarkHundredThousandTokens(b *testing.B, binary string) {
	const tokens = 100_000
	s := newReleased(b, binary, "").start()
	ask := s.target.Form("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, "Authorization", load.Basic("app", s.d.client("app")))
	send := func(n int) {
		if _, err := (load.Plan{Wires: s.connect(b), Series: load.Repeat(ask, connections), Want: issues, Requests: n}).Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	send(connections)
	stored := s.stored()
	b.ResetTimer()
	send(tokens)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(s.memory("VmRSS"), "MB-resident")
	b.ReportMetric(s.memory("VmHWM"), "MB-peak")
	b.ReportMetric(float64(s.stored()-stored)/tokens, "stored-B/token")
}
