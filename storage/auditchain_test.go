package storage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestNothingToChainCostsOneRead: each instance asks once a second.
func TestNothingToChainCostsOneRead(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		rec := &storagetest.Recorder{}
		s, err := storage.Open(t.Context(), storagetest.Migrated(t, e), storage.Options{Wrap: rec.Wrap})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		c, _ := storagetest.Chain(s, time.Now)
		for range 2 {
			rec.Take()
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if ran := rec.Take(); len(ran) != 1 {
				t.Errorf("%q", ran)
			}
		}
	})
}

// BenchmarkChaining is the time to chain an event, among a thousand. The events are written
// outside of that time.
func BenchmarkChaining(b *testing.B) {
	for _, e := range storagetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			s := storagetest.New(b, e)
			c, _ := storagetest.Chain(s, time.Now)
			left := b.N
			for left > 0 {
				b.StopTimer()
				n := min(left, 1000)
				logEvents(b, s, n)
				left -= n
				b.StartTimer()
				if err := c.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkVerifying is the time to verify an event, of ten thousand.
func BenchmarkVerifying(b *testing.B) {
	for _, e := range storagetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			const n = 10_000
			s := storagetest.New(b, e)
			c, _ := storagetest.Chain(s, time.Now)
			logEvents(b, s, n)
			if err := c.Run(b.Context()); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				r, err := c.Check(b.Context(), chain.Place{}, chain.Mark{}, n)
				if err != nil || len(r.Flaws) > 0 || r.Checked != n {
					b.Fatal(r, err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func logEvents(t testing.TB, s *storage.Store, n int) {
	t.Helper()
	events := make([]audit.Event, n)
	for i := range events {
		events[i] = audit.Event{
			At: time.Now(), Actor: audit.User("QWERTYUIOPASDFGHJKLZXCVBNM"), Action: audit.SessionBegun, Subject: fmt.Sprint("session ", i),
			Details: map[string]string{"user": "QWERTYUIOPASDFGHJKLZXCVBNM", "address": "192.0.2.1", "client_id": "app"},
		}
	}
	if err := s.Record(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}
