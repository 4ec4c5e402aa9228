package main

import (
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/verify"
)

// verifier is a resource server that asks nobody about a token.
func (d *deployment) verifier(c verify.Config) *verify.Verifier {
	d.t.Helper()
	c.Issuer, c.Audience, c.Logger = d.issuer, "https://api.test", slog.New(slog.DiscardHandler)
	v, err := verify.New(d.t.Context(), c)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(v.Close)
	return v
}

func TestVerifiersThatAskNobodyRefuseWhatWasCut(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		const brief = "INGAM_STATUS_MAX_AGE=1s"
		s, second := d.start(brief), d.startAt(freeAddress(t), brief)
		api, secret := d.client("api"), d.client("service")
		a := d.webClient("app")
		d.user("minji")
		streaming := d.verifier(verify.Config{Status: verify.StatusStream, ClientID: "api", ClientSecret: api, Name: "streaming", MaxStaleness: 5 * time.Second})
		open := d.verifier(verify.Config{Status: verify.StatusStream, ClientID: "api", ClientSecret: api, Name: "open", MaxStaleness: 2 * time.Second, FailOpen: true})
		polling := d.verifier(verify.Config{Status: verify.StatusPoll, MaxStaleness: 5 * time.Second})
		careless := d.verifier(verify.Config{})
		all := map[string]*verify.Verifier{"streaming": streaming, "open": open, "polling": polling, "careless": careless}
		accept := func(what, token string) {
			t.Helper()
			for name, v := range all {
				if got, err := v.Verify(t.Context(), token); err != nil || got.ClientID == "" {
					t.Errorf("%s: %s refuses: %v", what, name, err)
				}
			}
		}
		connected := func() {
			t.Helper()
			for _, v := range []*verify.Verifier{streaming, open} {
				eventually(t, "the verifier listens", 30*time.Second, func() bool { return v.State().StreamConnected && v.State().AckedEventID > 0 })
			}
		}
		cut := func(what string, tokens []string, args ...string) {
			t.Helper()
			out := d.must(append(append([]string{"revoke"}, args...), "--wait=30s")...)
			if !strings.Contains(out, "applied by 2 verifiers") {
				t.Errorf("%s: %q", what, out)
			}
			for _, token := range tokens {
				// At once: they have said so.
				for _, v := range []*verify.Verifier{streaming, open} {
					if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrRevoked) {
						t.Errorf("%s: %v after the verifier acknowledged it", what, err)
					}
				}
				eventually(t, what+" has reached the one that polls", 30*time.Second, func() bool {
					_, err := polling.Verify(t.Context(), token)
					return errors.Is(err, verify.ErrRevoked)
				})
				if _, err := careless.Verify(t.Context(), token); err != nil {
					t.Errorf("without a status: %v", err)
				}
			}
		}
		connected()
		grant := a.tokens(s, s.person(), "minji")
		next := a.refresh(second, grant.Refresh).tokens(t)
		own, other := s.token("service", secret), second.token("service", secret)
		for what, token := range map[string]string{"a grant's": grant.Access, "its next": next.Access, "a client's own": own, "another": other} {
			accept(what, token)
		}
		if got := s.post("/oauth2/revoke", "service", secret, url.Values{"token": {own}}); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		eventually(t, "the one token is refused", 10*time.Second, func() bool {
			_, err := streaming.Verify(t.Context(), own)
			return errors.Is(err, verify.ErrRevoked)
		})
		accept("its neighbour", other)
		cut("a user", []string{grant.Access, next.Access}, "--user", "minji")
		cut("a client", []string{other}, "--client", "service")
		before := s.token("service", secret)
		accept("a new one", before)
		cut("everything", []string{before}, "--all")
		after := s.token("service", secret)
		accept("one of after that", after)

		// A client that was disabled has its tokens back when it is enabled.
		d.must("client", "disable", "service")
		eventually(t, "the disabled client's token is refused", 10*time.Second, func() bool {
			_, err := streaming.Verify(t.Context(), after)
			return errors.Is(err, verify.ErrRevoked)
		})
		d.must("client", "enable", "service")
		eventually(t, "the enabled client's tokens are taken", 30*time.Second, func() bool {
			_, err1 := streaming.Verify(t.Context(), after)
			_, err2 := streaming.Verify(t.Context(), s.token("service", secret))
			return err1 == nil && err2 == nil
		})
		// A key that is withdrawn is told as well.
		d.must("key", "withdraw", kidOf(t, after), "--force", "--reason", "test")
		eventually(t, "what the withdrawn key signed is refused", 30*time.Second, func() bool {
			_, err := streaming.Verify(t.Context(), after)
			return errors.Is(err, verify.ErrInvalid)
		})
		before = s.token("service", secret)
		accept("signed by the next key", before)
		cut("a client, once more", []string{before}, "--client", "service")
		after = s.token("service", secret)

		// The server is away: what is known holds, for as long as it may.
		s.kill()
		eventually(t, "too old for the one that fails closed", time.Minute, func() bool {
			_, err := streaming.Verify(t.Context(), after)
			return errors.Is(err, verify.ErrUnavailable)
		})
		if st := streaming.State(); st.Ready || st.Why == "" {
			t.Errorf("%+v", st)
		}
		if _, err := open.Verify(t.Context(), after); err != nil || open.State().FailedOpen == 0 {
			t.Errorf("fails open: %v %+v", err, open.State())
		}
		for _, v := range []*verify.Verifier{streaming, open} {
			if _, err := v.Verify(t.Context(), before); !errors.Is(err, verify.ErrRevoked) {
				t.Errorf("what was revoked is not any more: %v", err)
			}
		}
		// A cut meanwhile is known as soon as the server is back.
		d.must("revoke", "--client", "service")
		s = d.start(brief)
		for _, v := range []*verify.Verifier{streaming, polling} {
			eventually(t, "the cut is known", time.Minute, func() bool {
				_, err := v.Verify(t.Context(), after)
				return errors.Is(err, verify.ErrRevoked)
			})
		}
		connected()
		last := s.token("service", secret)
		accept("after all", last)
		cut("once more", []string{last}, "--client", "service")
	})
}
