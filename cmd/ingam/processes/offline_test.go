package processes

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/storage/storagetest/between"
	"github.com/ingam/ingam/verify"
)

// verifier returns a verifier of the library verify, with which a resource server checks
// tokens by itself.
func (d *deployment) verifier(c verify.Config) *verify.Verifier {
	d.t.Helper()
	c.Issuer, c.Audience, c.Logger = d.issuer, cmp.Or(c.Audience, "https://api.test"), slog.New(slog.DiscardHandler)
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
				// No waiting is needed: these verifiers have acknowledged
				// the cut.
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

		// When a disabled client is enabled, its tokens are valid again.
		d.must("client", "disable", "service")
		eventually(t, "the disabled client's token is refused", 10*time.Second, func() bool {
			_, err := streaming.Verify(t.Context(), after)
			return errors.Is(err, verify.ErrRevoked)
		})
		d.must("client", "enable", "service")
		eventually(t, "the enabled client's tokens are taken", 30*time.Second, func() bool {
			_, err1 := streaming.Verify(t.Context(), after)
			_, err2 := streaming.Verify(t.Context(), s.token("service", secret))
			// The verifier that polls may still have the list from before. In
			// that list all indices of the client are set, also those of its
			// next tokens.
			_, err3 := polling.Verify(t.Context(), after)
			return err1 == nil && err2 == nil && err3 == nil
		})
		// Verifiers also learn that a key is withdrawn.
		d.must("key", "withdraw", kidOf(t, after), "--force", "--reason", "test")
		eventually(t, "what the withdrawn key signed is refused", 30*time.Second, func() bool {
			_, err := streaming.Verify(t.Context(), after)
			return errors.Is(err, verify.ErrInvalid)
		})
		before = s.token("service", secret)
		accept("signed by the next key", before)
		cut("a client, once more", []string{before}, "--client", "service")
		after = s.token("service", secret)

		// The server is down. Verifiers use what they know, until it is older than
		// MaxStaleness.
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
				t.Errorf("a revoked token is not refused: %v", err)
			}
		}
		// Verifiers learn of a cut that is made meanwhile as soon as the server is
		// back.
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

// TestVerifiersThatListenOutliveARestoredDatabase checks a database that is replaced by an
// older copy. It gives out the same change numbers again, and verifiers that listen must
// not take the next cut for one that they have applied already.
func TestVerifiersThatListenOutliveARestoredDatabase(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start()
		secret, api := d.client("service"), d.client("api")
		token := s.token("service", secret)
		for range 20 { // these changes will be lost
			s.post("/oauth2/revoke", "service", secret, url.Values{"token": {s.token("service", secret)}})
		}
		v := d.verifier(verify.Config{Status: verify.StatusStream, ClientID: "api", ClientSecret: api, Name: "one"})
		newest := uint64(storagetest.Count(t, d.database, "SELECT n FROM change_seq"))
		eventually(t, "all is acknowledged", 30*time.Second, func() bool { return v.State().AckedEventID >= newest })
		storagetest.Exec(t, d.database, "DELETE FROM changes WHERE number > (SELECT n FROM change_seq) - 15")
		storagetest.Exec(t, d.database, "UPDATE change_seq SET n = n - 15")
		eventually(t, "it is noticed", 30*time.Second, func() bool { return v.State().LastEventID <= newest-15 })
		e := d.command(token, nil, "revoke", "--token-stdin", "--wait=30s")
		if e.status != done || !strings.Contains(e.stdout, "applied by 1 verifier") {
			t.Errorf("%d %q %q", e.status, e.stdout, e.stderr)
		}
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("%v after it was acknowledged", err)
		}
	})
}

// TestAServerThatKnowsNothingVouchesForNothing checks a server that cannot read cuts. It
// must neither tell listeners that it is alive, nor sign a status list as current.
func TestAServerThatKnowsNothingVouchesForNothing(t *testing.T) {
	t.Parallel()
	for _, e := range storagetest.Servers() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			direct := started.New(t, e)
			through, relay := between.NewRelay(t, direct)
			d := deploymentAt(t, direct)
			good := d.startAt(freeAddress(t))
			bad := d.startAt(freeAddress(t), "INGAM_DATABASE="+through)
			// The issuer's address is that of a proxy in front of the bad
			// server.
			to, err := url.Parse(bad.url)
			if err != nil {
				t.Fatal(err)
			}
			front := &http.Server{
				Addr: strings.TrimPrefix(d.issuer, "http://"), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
				Handler: &httputil.ReverseProxy{
					FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
					ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
				},
			}
			go front.ListenAndServe()
			t.Cleanup(func() { front.Close() })
			eventually(t, "the proxy serves", 10*time.Second, func() bool {
				resp, err := http.Get(d.issuer + "/health/live")
				if err == nil {
					resp.Body.Close()
				}
				return err == nil
			})
			secret, api := d.client("service"), d.client("api")
			token := good.token("service", secret)
			listening := d.verifier(verify.Config{Status: verify.StatusStream, ClientID: "api", ClientSecret: api, MaxStaleness: 5 * time.Second})
			polling := d.verifier(verify.Config{Status: verify.StatusPoll, MaxStaleness: 5 * time.Second})
			for _, v := range []*verify.Verifier{listening, polling} {
				eventually(t, "the token is taken", 30*time.Second, func() bool {
					_, err := v.Verify(t.Context(), token)
					return err == nil
				})
			}
			relay.Stop()
			// The verifiers do not know whether the token is revoked, because
			// the server cannot tell them.
			for name, v := range map[string]*verify.Verifier{"listens": listening, "polls": polling} {
				eventually(t, "nothing is known to the one that "+name, time.Minute, func() bool {
					_, err := v.Verify(t.Context(), token)
					return errors.Is(err, verify.ErrUnavailable)
				})
			}
			// This does not change while the server runs without its database.
			if got := bad.listen(t, "api", api, "late", ""); got.status != http.StatusServiceUnavailable {
				t.Errorf("a stream is opened: %d", got.status)
			}
			if _, err := listening.Verify(t.Context(), token); !errors.Is(err, verify.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			if err := relay.Start(); err != nil {
				t.Fatal(err)
			}
			good.post("/oauth2/revoke", "service", secret, url.Values{"token": {token}})
			for _, v := range []*verify.Verifier{listening, polling} {
				eventually(t, "the cut is known", time.Minute, func() bool {
					_, err := v.Verify(t.Context(), token)
					return errors.Is(err, verify.ErrRevoked)
				})
			}
		})
	}
}
