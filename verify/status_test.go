package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

// The examples of draft-ietf-oauth-status-list.
func TestPublishedListsAreReadAsPublished(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Bits int               `json:"bits"`
			Size uint64            `json:"size"`
			List string            `json:"lst"`
			Set  map[uint64]uint32 `json:"set"`
		} `json:"vectors"`
	}
	if err := json.Unmarshal(body, &file); err != nil || len(file.Vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	for i, v := range file.Vectors {
		size, at, err := verify.Unpack(v.Bits, strings.Join(strings.Fields(v.List), ""), 16<<20)
		if err != nil || size < v.Size {
			t.Errorf("vector %d: %d statuses, %v; want %d", i, size, err, v.Size)
			continue
		}
		wrong := 0
		for index := range v.Size {
			if at(index) != v.Set[index] {
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("vector %d: %d statuses of %d are read wrongly", i, wrong, v.Size)
		}
	}
}

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

func TestAListThatIsNotTheIssuersWordIsNotTaken(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(f *issuer, l *fakeList){
		"broken signature":    func(_ *issuer, l *fakeList) { l.broken = true },
		"key that is unknown": func(_ *issuer, l *fakeList) { l.kid = "k2" },
		"an access token":     func(_ *issuer, l *fakeList) { l.typ = "at+jwt" },
		"another issuer":      func(_ *issuer, l *fakeList) { l.change = func(c map[string]any) { c["iss"] = "https://evil.example" } },
		"another list":        func(_ *issuer, l *fakeList) { l.change = func(c map[string]any) { c["sub"] = c["sub"].(string) + "0" } },
		"no sub":              func(_ *issuer, l *fakeList) { l.change = func(c map[string]any) { delete(c, "sub") } },
		"no iat":              func(_ *issuer, l *fakeList) { l.change = func(c map[string]any) { delete(c, "iat") } },
		"from the future": func(_ *issuer, l *fakeList) {
			l.change = func(c map[string]any) { c["iat"] = time.Now().Add(time.Hour).Unix() }
		},
		"expired": func(_ *issuer, l *fakeList) {
			l.change = func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }
		},
		"sizes that do not exist": func(_ *issuer, l *fakeList) { l.bits = 3 },
		"no list in it":           func(_ *issuer, l *fakeList) { l.change = func(c map[string]any) { delete(c, "status_list") } },
		"not base64":              func(_ *issuer, l *fakeList) { l.change = lst("===") },
		"not zlib":                func(_ *issuer, l *fakeList) { l.change = lst("AAAA") },
		"cut off":                 func(_ *issuer, l *fakeList) { l.change = lst(pack(make([]byte, 125))[:14]) },
		"bomb":                    func(_ *issuer, l *fakeList) { l.change = lst(pack(make([]byte, 2<<20))) },
		"too long": func(f *issuer, _ *fakeList) {
			f.answers["/realm/status/1"] = func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 5<<20)) }
		},
		"not there": func(f *issuer, _ *fakeList) { clear(f.lists) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newIssuer(t)
				uri, l := f.addList(1)
				spoil(f, l)
				v := f.verifier(func(c *verify.Config) { polling(c); c.MaxListBytes = 1 << 20 })
				time.Sleep(time.Minute)
				token := f.listed(uri, 1)
				if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrUnavailable) {
					t.Errorf("refused with %v", err)
				}
				if s := v.State(); s.Ready || s.Lists != 0 || s.ListFailures == 0 || s.Refused["unavailable"] != 1 {
					t.Errorf("state %+v", s)
				}
			})
		})
	}
}

func lst(s string) func(map[string]any) {
	return func(c map[string]any) { c["status_list"].(map[string]any)["lst"] = s }
}

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
		// Somebody on the way serves the list of a minute ago, which is signed
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

// TestAListIsOlderByItsChangeAndItsTime has servers whose clocks differ, one on
// the way that replays, and one whose database was restored.
func TestAListIsOlderByItsChangeAndItsTime(t *testing.T) {
	t.Parallel()
	// Each list is served until it has been fetched a few times.
	type served struct {
		change, ago int
		revoked     bool
		// taken: the list is; otherwise what the one before said stays.
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
		// It is there again for the first token that needs it, and what was
		// revoked is known without the server.
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
