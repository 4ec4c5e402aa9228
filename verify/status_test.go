package verify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

func TestARevokedTokenIsRefusedByStatusesOfAnySize(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{1, 2, 4, 8} {
		f := newIssuer(t)
		uri, l := f.addList(1)
		l.bits = bits
		l.bytes[bits] = 1 << (bits - 1) // index 8, the highest bit of its status
		l.bytes[9*bits/8] |= 1 << (9 * bits % 8)
		v := f.verifier(patient)
		for index, want := range map[int]error{7: nil, 8: verify.ErrRevoked, 9: verify.ErrRevoked, 10: nil, 1000/bits - 1: nil, 1000 / bits: verify.ErrInvalid} {
			_, err := v.Verify(t.Context(), f.listed(uri, index))
			if !errors.Is(err, want) || want != nil && !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("%d bits, index %d: %v, want %v", bits, index, err, want)
			}
		}
	}
}

func TestATokenWhoseStatusCannotBeLookedUpIsRefused(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	uri, _ := f.addList(1)
	v := f.verifier(patient)
	for name, changes := range map[string]map[string]any{
		"no status":          nil,
		"no list":            {"status": map[string]any{}},
		"no index":           {"status": map[string]any{"status_list": map[string]any{"uri": uri}}},
		"no uri":             {"status": map[string]any{"status_list": map[string]any{"idx": 1}}},
		"index out of range": status(uri, 1000),
		"index far out":      status(uri, uint64(1)<<63),
		"negative index":     status(uri, -1),
		"index that wraps":   status(uri, json.RawMessage("18446744073709551616")),
		"another origin":     status("http://127.0.0.1:8081/realm/status/1", 1),
		"another scheme":     status("https://127.0.0.1:8080/realm/status/1", 1),
		"an address inside":  status("http://169.254.169.254/latest/meta-data", 1),
		"a file":             status("file:///etc/passwd", 1),
		"user in it":         status("http://a@127.0.0.1:8080/realm/status/1", 1),
		"origin as user":     status("http://127.0.0.1:8080@evil.example/", 1),
		"a fragment":         status(uri+"#x", 1),
		"relative":           status("/realm/status/1", 1),
	} {
		if _, err := v.Verify(t.Context(), f.token(changes)); !errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := v.Verify(t.Context(), f.listed(uri, 999)); err != nil {
		t.Errorf("the last index: %v", err)
	}
}

func TestOnlyTokensThatTheIssuerHasSignedCauseAListToBeFetched(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	v := f.verifier(patient)
	uri, _ := f.addList(7)
	token := f.listed(uri, 1)
	forged := token[:strings.LastIndex(token, ".")+1] + strings.Repeat("A", 342)
	if _, err := v.Verify(t.Context(), forged); !errors.Is(err, verify.ErrInvalid) || f.count("/realm/status/7") != 0 {
		t.Errorf("%v; %d fetches", err, f.count("/realm/status/7"))
	}
}

func TestAListThatWasIssuedLongAgoCountsAsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		l.issuedAt = time.Now().Add(-time.Minute)
		l.change = func(map[string]any) {}
		v := f.verifier(polling)
		if _, err := v.Verify(t.Context(), f.listed(uri, 1)); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if s := v.State(); s.Ready || s.StatusAge < 60 {
			t.Errorf("state %+v", s)
		}
	})
}

func TestPollingSeesARevocationWithinMaxStaleness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, l := f.addList(1)
		v := f.verifier(polling)
		token, other := f.listed(uri, 3), f.listed(uri, 4)
		for range 120 {
			time.Sleep(time.Second)
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatalf("not revoked: %v", err)
			}
			if s := v.State(); s.StatusAge > 4 {
				t.Fatalf("what is known is %v s old", s.StatusAge)
			}
		}
		f.revoke(l, 3)
		time.Sleep(10 * time.Second)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("revoked: %v", err)
		}
		if _, err := v.Verify(t.Context(), other); err != nil {
			t.Errorf("another: %v", err)
		}
	})
}

func TestWithoutTheIssuerStatusesFailClosedOrOpen(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{false, true} {
		for name, mode := range map[string]func(*verify.Config){"poll": polling, "stream": streaming} {
			t.Run(fmt.Sprintf("%s, open %t", name, open), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newIssuer(t)
					uri, l := f.addList(1)
					unseen := strings.Replace(uri, "status/1", "status/2", 1)
					f.revoke(l, 3)
					v := f.verifier(func(c *verify.Config) { mode(c); c.FailOpen = open; c.MaxKeyAge = 24 * time.Hour })
					good, bad := f.listed(uri, 4), f.listed(uri, 3)
					check := func(when, token string, want error) {
						t.Helper()
						if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) {
							t.Errorf("%s: %v, want %v", when, err, want)
						}
					}
					check("up, good", good, nil)
					f.stop()
					time.Sleep(5 * time.Second)
					check("down for a little while", good, nil)
					check("down for a little while, revoked", bad, verify.ErrRevoked)
					time.Sleep(30 * time.Second)
					want := verify.ErrUnavailable
					if open {
						want = nil
					}
					check("down", good, want)
					check("down, revoked", bad, verify.ErrRevoked)
					check("down, a list that was never seen", f.listed(unseen, 1), want)
					s := v.State()
					if s.Ready != open || s.StatusAge < 20 {
						t.Errorf("state %+v", s)
					}
					if open != strings.Contains(s.Why, "not known to be revoked") || open != (s.FailedOpen > 0) {
						t.Errorf("the state does not say which: %+v", s)
					}
					f.start()
					time.Sleep(15 * time.Second)
					check("up again", good, nil)
				})
			})
		}
	}
}
