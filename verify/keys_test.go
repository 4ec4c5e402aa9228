package verify_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

func TestMetadataOfAnotherIssuerAreNotTakenNorAddressesElsewhere(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m map[string]string){
		"another issuer":     func(m map[string]string) { m["issuer"] += "x" },
		"no key set":         func(m map[string]string) { delete(m, "jwks_uri") },
		"key set elsewhere":  func(m map[string]string) { m["jwks_uri"] = "http://127.0.0.1:8081/jwks" },
		"secret elsewhere":   func(m map[string]string) { m["status_events_endpoint"] = "https://evil.example/events" },
		"user in an address": func(m map[string]string) { m["jwks_uri"] = "http://a@127.0.0.1:8080/jwks" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newIssuer(t)
				f.answers["/.well-known/oauth-authorization-server/realm"] = func(w http.ResponseWriter, r *http.Request) {
					m := map[string]string{"issuer": f.url, "jwks_uri": f.url + "/jwks"}
					change(m)
					json.NewEncoder(w).Encode(m)
				}
				v := f.verifier(nil)
				if _, err := v.Verify(t.Context(), f.token(nil)); !errors.Is(err, verify.ErrUnavailable) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		f.answers["/realm/jwks"] = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, f.url+"/elsewhere", http.StatusFound)
		}
		v := f.verifier(nil)
		if _, err := v.Verify(t.Context(), f.token(nil)); !errors.Is(err, verify.ErrUnavailable) || f.count("/realm/elsewhere") != 0 {
			t.Errorf("%v; %d requests", err, f.count("/realm/elsewhere"))
		}
	})
}

func TestKeysRotateAndAreWithdrawn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		v := f.verifier(nil)
		old := func() string { return f.token(nil) }
		next := func() string { return sign(t, "k1", "at+jwt", f.claims(nil)) }

		// A key that was published a moment ago is found by fetching the key set.
		time.Sleep(10 * time.Second)
		f.with(func() { f.published = []string{"k0", "k1"} })
		for _, token := range []string{old(), next()} {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Errorf("both keys are published: %v", err)
			}
		}
		// A withdrawn key is gone after the next refresh.
		f.with(func() { f.published = []string{"k1"} })
		time.Sleep(300 * time.Second)
		if _, err := v.Verify(t.Context(), old()); !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("by a withdrawn key: %v", err)
		}
		if _, err := v.Verify(t.Context(), next()); err != nil {
			t.Errorf("by the other: %v", err)
		}
		// If all keys are withdrawn, it is unknown whether a token is valid.
		f.with(func() { f.published = nil })
		time.Sleep(300 * time.Second)
		if _, err := v.Verify(t.Context(), next()); !errors.Is(err, verify.ErrUnavailable) || v.State().Ready {
			t.Errorf("without a key: %v, %+v", err, v.State())
		}
	})
}

func TestKeysThatCannotBeRefreshedAreUsedForSoLongAndNoLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		v := f.verifier(nil)
		f.stop()
		time.Sleep(50 * time.Minute)
		if _, err := v.Verify(t.Context(), f.token(nil)); err != nil {
			t.Errorf("after 50 minutes: %v", err)
		}
		if s := v.State(); !s.Ready || !strings.Contains(s.Why, "cannot be refreshed") || s.KeyFailures == 0 || s.KeyAge < 3000 {
			t.Errorf("state %+v", s)
		}
		time.Sleep(11 * time.Minute)
		if _, err := v.Verify(t.Context(), f.token(nil)); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("after 61 minutes: %v", err)
		}
		if s := v.State(); s.Ready || !strings.Contains(s.Why, "too long") {
			t.Errorf("state %+v", s)
		}
		f.start()
		time.Sleep(30 * time.Second)
		if _, err := v.Verify(t.Context(), f.token(nil)); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

func TestHowOftenKeysAreFetchedIsBoundedOnBothSides(t *testing.T) {
	t.Parallel()
	for maxAge, want := range map[int][2]int{0: {12 * 60, 14 * 60}, 600: {6, 7}, 86400: {4, 5}} {
		synctest.Test(t, func(t *testing.T) {
			f := newIssuer(t)
			f.maxAge = maxAge
			f.verifier(nil)
			before := f.count("/realm/jwks")
			time.Sleep(time.Hour)
			if got := f.count("/realm/jwks") - before; got < want[0] || got > want[1] {
				t.Errorf("max-age %d: %d fetches in an hour, want from %d to %d", maxAge, got, want[0], want[1])
			}
		})
	}
}

func TestAFloodOfUnknownKeysCausesOneFetchAnInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		v := f.verifier(nil)
		time.Sleep(time.Minute)
		_, payload, _ := strings.Cut(f.token(nil), ".")
		for minute := range 2 {
			// In the second minute the server is unreachable. The number of
			// fetches is limited all the same.
			if minute == 1 {
				f.stop()
			}
			before := v.State().KeyFetches
			for second := range 10 {
				var wg sync.WaitGroup
				for i := range 50 {
					wg.Go(func() {
						h := encode(fmt.Sprintf(`{"alg":"RS256","typ":"at+jwt","kid":"%d-%d-%d"}`, minute, second, i))
						_, err := v.Verify(t.Context(), h+"."+payload)
						if want := []error{verify.ErrInvalid, verify.ErrUnavailable}[minute]; !errors.Is(err, want) && second > 5 {
							t.Errorf("%v, want %v", err, want)
						}
					})
				}
				wg.Wait()
				time.Sleep(time.Second)
			}
			// If the server is unreachable, the verifier's own retries are
			// added.
			if got, most := v.State().KeyFetches-before, []uint64{3, 6}[minute]; got > most {
				t.Errorf("500 unknown kids in ten seconds caused %d fetches, more than %d", got, most)
			}
		}
		f.start()
		time.Sleep(5 * time.Second)
		if _, err := v.Verify(t.Context(), f.token(nil)); err != nil {
			t.Errorf("a good token after it: %v", err)
		}
	})
}

func TestKeysOfAnotherKindOrSizeAreNotTaken(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	n := base64.RawURLEncoding.EncodeToString(rsaKeys()[0].N.Bytes())
	for name, set := range map[string]string{
		"for encryption":    `{"keys":[{"kty":"RSA","kid":"k0","use":"enc","e":"AQAB","n":"` + n + `"}]}`,
		"without kid":       `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + n + `"}]}`,
		"of 1024 bits":      `{"keys":[{"kty":"RSA","kid":"k0","e":"AQAB","n":"` + n[:171] + `"}]}`,
		"symmetric":         `{"keys":[{"kty":"oct","kid":"k0","k":"AAAA"}]}`,
		"two with one kid":  `{"keys":[{"kty":"RSA","kid":"k0","e":"AQAB","n":"` + n + `"},{"kty":"RSA","kid":"k0","e":"AQAB","n":"` + n + `"}]}`,
		"no key set at all": `{}`,
	} {
		f.with(func() {
			f.answers["/realm/jwks"] = func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(set)) }
		})
		v := f.verifier(nil)
		if _, err := v.Verify(t.Context(), f.token(nil)); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		v.Close()
	}
	// A key of an unknown type does not make the other keys unusable.
	f.with(func() {
		f.answers["/realm/jwks"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"keys":[{"kty":"XYZ","kid":"new"},{"kty":"RSA","kid":"k0","e":"AQAB","n":"` + n + `"}]}`))
		}
	})
	if _, err := f.verifier(nil).Verify(t.Context(), f.token(nil)); err != nil {
		t.Error(err)
	}
}
