package verify_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingam/ingam/verify"
)

func TestAWarmVerifierMakesNoRequest(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]func(*verify.Config){"none": nil, "poll": polling, "stream": streaming} {
		// Time stands still during the check, so that no fetch becomes due.
		synctest.Test(t, func(t *testing.T) {
			f := newIssuer(t)
			uri, _ := f.addList(1)
			token := f.listed(uri, 5)
			warm, requests := false, 0
			transport := f.client.Transport
			f.client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				f.with(func() {
					if warm {
						requests++
					}
				})
				return transport.RoundTrip(r)
			})
			v := f.verifier(mode)
			if name == "stream" {
				(<-f.streams).hello(10, "L1")
				f.acked("L1 10")
			}
			// The list was fetched too, before any token referred to it.
			synctest.Wait()
			f.with(func() { warm = true })
			for range 100 {
				expect(t, v, token, nil)
			}
			f.with(func() { warm = false })
			if requests != 0 {
				t.Errorf("%s: %d requests", name, requests)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAVerifierStartsWithoutItsIssuerAndWorksOnceThatDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		uri, _ := f.addList(1)
		f.stop()
		v := f.verifier(polling)
		token := f.listed(uri, 1)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("without keys: %v", err)
		}
		if s := v.State(); s.Ready || !strings.Contains(s.Why, "could not be fetched yet") {
			t.Errorf("state %+v", s)
		}
		f.start()
		time.Sleep(35 * time.Second)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("with them: %v", err)
		}
		if s := v.State(); !s.Ready || s.Why != "" {
			t.Errorf("state %+v", s)
		}
	})
}

func TestARequestDoesNotWaitForKeysForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		v := f.verifier(nil)
		time.Sleep(10 * time.Second)
		f.with(func() {
			f.answers["/realm/jwks"] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		})
		begun := time.Now()
		if _, err := v.Verify(t.Context(), sign(t, "k1", "at+jwt", f.claims(nil))); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if d := time.Since(begun); d != 3*time.Second {
			t.Errorf("it took %s", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if _, err := v.Verify(ctx, sign(t, "k1", "at+jwt", f.claims(nil))); !errors.Is(err, verify.ErrUnavailable) || time.Since(begun) > time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}
