package verify_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

func TestAnOlderListIsAReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		v := f.verifier(polling)
		old := time.Now()
		time.Sleep(time.Minute)
		f.revoke(l, 3)
		time.Sleep(10 * time.Second)
		if _, err := v.Verify(t.Context(), f.listed(uri, 3)); !errors.Is(err, verify.ErrRevoked) {
			t.Fatalf("revoked: %v", err)
		}
		// An attacker on the network replays the list of a minute ago. It is signed
		// and has not expired.
		f.with(func() { l.issuedAt, l.bytes = old, make([]byte, 125) })
		time.Sleep(15 * time.Second)
		if _, err := v.Verify(t.Context(), f.listed(uri, 3)); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("with the old list: %v", err)
		}
		if _, err := v.Verify(t.Context(), f.listed(uri, 4)); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("another token with the old list: %v", err)
		}
	})
}

// TestAListIsOlderByItsChangeAndItsTime has servers whose clocks differ, an attacker who
// replays lists, and a database that was restored.
func TestAListIsOlderByItsChangeAndItsTime(t *testing.T) {
	t.Parallel()
	// Each list is served until it has been fetched a few times.
	type served struct {
		change, ago int
		revoked     bool
		// taken is whether the list is accepted; otherwise the former list stays.
		taken bool
	}
	for name, c := range map[string]struct {
		lists    []served
		restored int // lines in the log
	}{
		"two clocks": {lists: []served{
			{7, 0, false, true}, {7, 5, false, true}, {8, 6, true, true}, {8, 1, true, true}, {8, 6, true, true}, {9, 5, true, true},
		}},
		"a replay": {lists: []served{{7, 0, false, true}, {8, 0, true, true}, {7, 60, false, false}, {8, 0, true, true}}},
		"a replay that one clock is behind of": {lists: []served{
			{7, 0, false, true}, {8, 0, true, true}, {9, 8, true, true}, {7, 30, false, false},
		}},
		"a restored database": {lists: []served{{7, 0, false, true}, {8, 0, true, true}, {3, 0, false, true}, {4, 2, true, true}}, restored: 1},
		"a replay from before it was restored": {lists: []served{
			{8, 0, false, true}, {3, 0, false, true}, {4, 0, true, true}, {8, 60, false, false}, {4, 0, true, true},
		}, restored: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newIssuer(t)
				uri, l := f.addList(1)
				var log bytes.Buffer
				serve := func(s served) {
					f.with(func() {
						l.bytes = make([]byte, 125)
						if s.revoked {
							l.bytes[0] = 1 << 3
						}
						l.change = func(claims map[string]any) {
							at := time.Now().Add(-time.Duration(s.ago) * time.Second)
							claims["change"], claims["iat"], claims["exp"] = s.change, at.Unix(), at.Add(time.Hour).Unix()
						}
					})
				}
				serve(c.lists[0])
				v := f.verifier(func(c *verify.Config) { polling(c); c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				token := f.listed(uri, 3)
				var revoked bool
				for i, s := range c.lists {
					serve(s)
					before := v.State().ListFailures
					for range 8 {
						time.Sleep(time.Second)
						_, _ = v.Verify(t.Context(), f.listed(uri, 4))
					}
					if failed := v.State().ListFailures > before; failed == s.taken {
						t.Errorf("list %d: refused is %t", i, failed)
					}
					if s.taken {
						revoked = s.revoked
						if _, err := v.Verify(t.Context(), f.listed(uri, 4)); err != nil {
							t.Errorf("list %d, another token: %v", i, err)
						}
					}
					if _, err := v.Verify(t.Context(), token); errors.Is(err, verify.ErrRevoked) != revoked {
						t.Errorf("list %d: %v", i, err)
					}
				}
				v.Close()
				if n := strings.Count(log.String(), "restored"); n != c.restored {
					t.Errorf("%d lines say that it was restored, want %d:\n%s", n, c.restored, log.String())
				}
			})
		})
	}
}

func TestAListIsAskedForOnceByManyRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		v := f.verifier(polling)
		uri, _ := f.addList(1)
		token := f.listed(uri, 1)
		errs := make(chan error, 50)
		for range cap(errs) {
			go func() { _, err := v.Verify(t.Context(), token); errs <- err }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := f.count("/realm/status/1"); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestAListThatNoTokenPointsToIsNotFetchedForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		f.revoke(l, 3)
		v := f.verifier(polling)
		time.Sleep(20 * time.Minute)
		before := f.count("/realm/status/1")
		time.Sleep(time.Hour)
		if n := f.count("/realm/status/1") - before; n != 0 {
			t.Errorf("%d fetches of a list that is not used", n)
		}
		if s := v.State(); !s.Ready || s.Lists != 0 {
			t.Errorf("state %+v", s)
		}
		// The first token that needs the list has it fetched again. From then on,
		// revocations in it are known even without the server.
		if _, err := v.Verify(t.Context(), f.listed(uri, 4)); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		f.stop()
		if _, err := v.Verify(t.Context(), f.listed(uri, 3)); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("revoked: %v", err)
		}
	})
}
