package storage_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/storage"
)

func TestSilenceOnAConnectionIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set    func(net.Conn) error
		within time.Duration
	}{
		"without a deadline":     {func(net.Conn) error { return nil }, 30 * time.Second},
		"with a later deadline":  {func(c net.Conn) error { return c.SetDeadline(time.Now().Add(time.Hour)) }, 30 * time.Second},
		"with an earlier one":    {func(c net.Conn) error { return c.SetReadDeadline(time.Now().Add(time.Second)) }, time.Second},
		"with one that is gone":  {func(c net.Conn) error { return c.SetDeadline(time.Time{}) }, 30 * time.Second},
		"with one that was past": {func(c net.Conn) error { return c.SetDeadline(time.Unix(1, 0)) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				inner, far := net.Pipe()
				defer far.Close()
				conn := storage.Impatient(inner, 30*time.Second)
				defer conn.Close()
				if err := c.set(conn); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				if took := time.Since(began); took != c.within {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// TestADeadlineEndsAReadingThatGoesOn: when a context ends, the driver sets a deadline to
// end a read that is in progress.
func TestADeadlineEndsAReadingThatGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner, far := net.Pipe()
		defer far.Close()
		conn := storage.Impatient(inner, 30*time.Second)
		defer conn.Close()
		began := time.Now()
		time.AfterFunc(time.Second, func() { conn.SetDeadline(time.Unix(1, 0)) })
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}
