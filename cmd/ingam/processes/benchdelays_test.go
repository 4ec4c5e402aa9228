package processes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/cmd/ingam/load"
	"github.com/ingam/ingam/verify"
)

// benchmarkStorm refreshes one grant over and over, first alone, and then during 500
// concurrent sign-ins with wrong passwords, each for another account and from another
// address.
func benchmarkStorm(b *testing.B, binary string) {
	const crowd = 500
	d := newReleased(b, binary, "")
	d.settings = []string{"INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1"}
	s := d.start()
	d.signInApp("mobile")
	d.user("minji")
	a := d.webClient("app")
	token := a.tokens(s.server, s.person(), "minji", "scope", "openid read").Refresh
	w := s.connect(b)[0]
	refresh := func() time.Duration {
		began := time.Now()
		body, err := w.Exchange(s.target.Form("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {a.id}, "refresh_token": {token}}), issues)
		took := time.Since(began)
		var set tokenSet
		if err == nil {
			err = json.Unmarshal(body, &set)
		}
		if err != nil {
			b.Fatal(err)
		}
		token = set.Refresh
		// There is a pause between two refreshes, as between those of many apps.
		time.Sleep(5 * time.Millisecond)
		return took
	}
	b.Run("alone", func(b *testing.B) {
		var took []time.Duration
		for range 300 * b.N {
			took = append(took, refresh())
		}
		reportDelays(b, took)
	})
	addresses := 0
	b.Run(fmt.Sprintf("beside-%d", crowd), func(b *testing.B) {
		var took []time.Duration
		var lookedAt, turnedAway atomic.Int64
		for range b.N {
			var storm sync.WaitGroup
			for range crowd {
				addresses++
				n := addresses
				storm.Go(func() {
					switch s.signInWrongly(b, n) {
					case http.StatusUnauthorized:
						lookedAt.Add(1)
					case http.StatusServiceUnavailable:
						turnedAway.Add(1)
					}
				})
			}
			over := make(chan struct{})
			go func() { storm.Wait(); close(over) }()
			for raging := true; raging; {
				took = append(took, refresh())
				select {
				case <-over:
					raging = false
				default:
				}
			}
		}
		reportDelays(b, took)
		b.ReportMetric(float64(lookedAt.Load())/float64(b.N), "looked-at")
		b.ReportMetric(float64(turnedAway.Load())/float64(b.N), "turned-away")
	})
}

// signInWrongly signs in with a wrong password, as the nth of a crowd of different users at
// different addresses, and returns the status of the answer.
func (s *measured) signInWrongly(b *testing.B, n int) (status int) {
	body := fmt.Sprintf(`{"id":"nobody%d","pw":"wrong","client_id":"mobile"}`, n)
	text := s.target.Post("/login", "application/json", body,
		"X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), "Connection", "close")
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		b.Error(err)
		return 0
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, text)
	answer, err := io.ReadAll(conn)
	if _, scanned := fmt.Sscanf(string(answer), "HTTP/1.1 %d ", &status); scanned != nil || status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
		b.Errorf("%v: %s", err, answer)
	}
	return status
}

// reportDelays reports percentiles of how long something took.
func reportDelays(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(load.Percentile(took, 0.5)), "ms-p50")
	b.ReportMetric(milliseconds(load.Percentile(took, 0.99)), "ms-p99")
	b.ReportMetric(milliseconds(load.Percentile(took, 1)), "ms-max")
}

// benchmarkRevocation revokes tokens and measures how long it takes until offline
// verifiers refuse them, each for itself: from the revocation request to the first
// refusal.
func benchmarkRevocation(b *testing.B, binary string) {
	for name, mode := range map[string]verify.Status{"poll": verify.StatusPoll, "stream": verify.StatusStream} {
		for _, verifiers := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("%s/%d", name, verifiers), func(b *testing.B) {
				s := newReleased(b, binary, "").start()
				secret, api := s.d.client("app"), s.d.client("api")
				s.token("app", secret) // this opens the status list that the verifiers fetch at their start
				all := make([]*verify.Verifier, verifiers)
				for i := range all {
					v, err := verify.New(b.Context(), verify.Config{
						Issuer: s.d.issuer, Audience: "https://api.test", Status: mode, ClientID: "api", ClientSecret: api,
						Name: fmt.Sprint("v", i), Logger: slog.New(slog.DiscardHandler),
					})
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(v.Close)
					all[i] = v
				}
				var mu sync.Mutex
				var delays []time.Duration
				for range b.N {
					token := s.token("app", secret)
					for _, v := range all {
						if _, err := v.Verify(b.Context(), token); err != nil {
							b.Fatal(err)
						}
					}
					cut := time.Now()
					if got := s.post("/oauth2/revoke", "app", secret, url.Values{"token": {token}}); got.status != http.StatusOK {
						b.Fatalf("%d %s", got.status, got.body)
					}
					var refusing sync.WaitGroup
					for _, v := range all {
						refusing.Go(func() {
							for {
								_, err := v.Verify(b.Context(), token)
								if errors.Is(err, verify.ErrRevoked) {
									mu.Lock()
									delays = append(delays, time.Since(cut))
									mu.Unlock()
									return
								}
								if err != nil {
									b.Error(err)
									return
								}
								// The pauses are long enough for a hundred verifiers on
								// two cores.
								time.Sleep(max(2*time.Millisecond, time.Duration(verifiers)*200*time.Microsecond))
							}
						})
					}
					refusing.Wait()
				}
				reportDelays(b, delays)
			})
		}
	}
}
