package verify_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

// TestPublishedListsAreReadAsPublished uses the examples of draft-ietf-oauth-status-list.
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
