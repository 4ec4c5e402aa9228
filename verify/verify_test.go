package verify_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/verify"
)

func TestAGoodTokenIsReadInFull(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	v := f.verifier(nil)
	for name, changes := range map[string]map[string]any{
		"as it is":         nil,
		"for two APIs":     {"aud": []string{"https://other.example", audience}},
		"with a fraction":  {"exp": float64(time.Now().Unix()) + 60.5},
		"with more claims": {"colour": "red"},
	} {
		got, err := v.Verify(t.Context(), f.token(changes))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Subject != "minji" || got.ClientID != "shop" || got.ID != "t1" || got.GrantID != "g1" || got.ContextClass != "1" ||
			!slices.Equal(got.Scopes, []string{"read", "write"}) || !slices.Equal(got.Roles, []string{"admin"}) ||
			got.Issuer != f.url || got.AuthenticatedAt.IsZero() || !slices.Contains(got.Audience, audience) {
			t.Errorf("%s: read %+v", name, got)
		}
		var more struct {
			Colour string `json:"colour"`
		}
		if err := got.Decode(&more); err != nil || changes["colour"] != nil && more.Colour != "red" {
			t.Errorf("%s: further claims %+v, %v", name, more, err)
		}
	}
	for _, typ := range []string{"AT+JWT", "application/at+jwt", "Application/At+Jwt"} {
		if _, err := v.Verify(t.Context(), sign(t, "k0", typ, f.claims(nil))); err != nil {
			t.Errorf("typ %s: %v", typ, err)
		}
	}
	if s := v.State(); !s.Ready || s.Why != "" || s.Verified != 7 || s.Keys != 1 {
		t.Errorf("state %+v", s)
	}
}

func TestTokensOfTypJWTAreTakenOnlyWhereTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	plain, both := f.verifier(nil), f.verifier(func(c *verify.Config) { c.AcceptJWT = true })
	for typ, want := range map[string][2]bool{
		"at+jwt": {true, true}, "JWT": {false, true}, "jwt": {false, true}, "application/jwt": {false, true}, "statuslist+jwt": {false, false}, "rt+jwt": {false, false},
	} {
		for i, v := range []*verify.Verifier{plain, both} {
			if _, err := v.Verify(t.Context(), sign(t, "k0", typ, f.claims(nil))); (err == nil) != want[i] || err != nil && !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("typ %s, JWT accepted %t: %v", typ, i == 1, err)
			}
		}
	}
	// An ID token is refused for what it says, whomever it is for.
	for what, changes := range map[string]map[string]any{
		"as they are":         {"aud": "shop", "client_id": nil, "jti": nil},
		"for the API":         {"client_id": nil, "jti": nil},
		"without a jti":       {"jti": nil},
		"without a client_id": {"client_id": nil},
		"for a client":        {"aud": "shop"},
	} {
		if _, err := both.Verify(t.Context(), sign(t, "k0", "JWT", f.claims(changes))); !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("an ID token %s: %v", what, err)
		}
	}
}

func TestWhatIsNoTokenForThisAPIIsRefused(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	v := f.verifier(nil)
	now := time.Now()
	good := f.token(nil)
	parts := strings.Split(good, ".")
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	rsaKey := jose.SigningKey{Algorithm: jose.RS256, Key: rsaKeys()[0]}
	header := func(more map[string]any) string {
		h := map[string]any{"kid": "k0", "typ": "at+jwt"}
		for k, v := range more {
			h[k] = v
		}
		return signWith(t, rsaKey, h, payload)
	}
	// A key that the token brings along.
	jwk := jose.JSONWebKey{Key: rsaKeys()[1].Public(), KeyID: "k0"}
	// The public key taken for the secret of an HMAC (RFC 8725 section 2.1).
	der, _ := x509.MarshalPKIXPublicKey(rsaKeys()[0].Public())
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"k0","typ":"at+jwt"}`)) + "." + parts[1]
	mac := hmac.New(sha256.New, der)
	mac.Write([]byte(signed))
	raw := func(text string) string { return sign(t, "k0", "at+jwt", text) }
	b, _ := json.Marshal(f.claims(nil))
	members := strings.TrimSuffix(string(b), "}")
	// The last character of a 256-byte signature holds two unused bits.
	last := strings.IndexByte(alphabet, good[len(good)-1])

	for name, c := range map[string]struct {
		token string
		want  error
		why   string
	}{
		"nothing":                 {"", verify.ErrInvalid, "form"},
		"one part":                {"abc", verify.ErrInvalid, "form"},
		"two parts":               {parts[0] + "." + parts[1], verify.ErrInvalid, "form"},
		"four parts":              {good + ".", verify.ErrInvalid, "form"},
		"five parts":              {"a.b.c.d.e", verify.ErrInvalid, "form"},
		"too long":                {strings.Repeat("a", 16<<10) + "." + good, verify.ErrInvalid, "form"},
		"padding":                 {good + "=", verify.ErrInvalid, "form"},
		"line break":              {good + "\n", verify.ErrInvalid, "form"},
		"line break inside":       {parts[0] + ".\r\n" + parts[1] + "." + parts[2], verify.ErrInvalid, "form"},
		"another spelling":        {good[:len(good)-1] + string(alphabet[last|1]), verify.ErrInvalid, "form"},
		"JSON serialisation":      {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, verify.ErrInvalid, "form"},
		"header that is no JSON":  {"YWJj." + parts[1] + "." + parts[2], verify.ErrInvalid, "form"},
		"header with two algs":    {encode(`{"alg":"RS256","alg":"none","kid":"k0","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2], verify.ErrInvalid, "form"},
		"alg none":                {encode(`{"alg":"none","kid":"k0","typ":"at+jwt"}`) + "." + parts[1] + ".", verify.ErrInvalid, "header"},
		"alg HS256":               {signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), verify.ErrInvalid, "header"},
		"alg PS256":               {signWith(t, jose.SigningKey{Algorithm: jose.PS256, Key: rsaKeys()[0]}, map[string]any{"kid": "k0", "typ": "at+jwt"}, payload), verify.ErrInvalid, "header"},
		"alg in lower case":       {encode(`{"alg":"rs256","kid":"k0","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2], verify.ErrInvalid, "header"},
		"ID token":                {header(map[string]any{"typ": "JWT"}), verify.ErrInvalid, "header"},
		"status list":             {header(map[string]any{"typ": "statuslist+jwt"}), verify.ErrInvalid, "header"},
		"no typ":                  {signWith(t, rsaKey, map[string]any{"kid": "k0"}, payload), verify.ErrInvalid, "header"},
		"jwk":                     {signWith(t, jose.SigningKey{Algorithm: jose.RS256, Key: rsaKeys()[1]}, map[string]any{"kid": "k0", "typ": "at+jwt", "jwk": jwk}, payload), verify.ErrInvalid, "header"},
		"jku":                     {header(map[string]any{"jku": "https://evil.example/jwks"}), verify.ErrInvalid, "header"},
		"x5u":                     {header(map[string]any{"x5u": "https://evil.example/cert"}), verify.ErrInvalid, "header"},
		"x5c":                     {encode(`{"alg":"RS256","kid":"k0","typ":"at+jwt","x5c":["AAAA"]}`) + "." + parts[1] + "." + parts[2], verify.ErrInvalid, "header"},
		"crit":                    {encode(`{"alg":"RS256","kid":"k0","typ":"at+jwt","crit":["b64"],"b64":false}`) + "." + parts[1] + "." + parts[2], verify.ErrInvalid, "header"},
		"kid of no key":           {signWith(t, rsaKey, map[string]any{"kid": "other", "typ": "at+jwt"}, payload), verify.ErrInvalid, "unknown_key"},
		"no kid":                  {signWith(t, rsaKey, map[string]any{"typ": "at+jwt"}, payload), verify.ErrInvalid, "unknown_key"},
		"another key's signature": {signWith(t, jose.SigningKey{Algorithm: jose.RS256, Key: rsaKeys()[1]}, map[string]any{"kid": "k0", "typ": "at+jwt"}, payload), verify.ErrInvalid, "signature"},
		"no signature":            {parts[0] + "." + parts[1] + ".", verify.ErrInvalid, "signature"},
		"another payload":         {parts[0] + "." + encode(`{"sub":"boss"}`) + "." + parts[2], verify.ErrInvalid, "signature"},
		"claims that are no JSON": {raw("abc"), verify.ErrInvalid, "claims"},
		"a claim twice":           {raw(members + `,"sub":"boss"}`), verify.ErrInvalid, "claims"},
		"a further claim twice":   {raw(members + `,"x":1,"x":2}`), verify.ErrInvalid, "claims"},
		"sub in capitals":         {raw(strings.Replace(string(b), `"sub"`, `"SUB"`, 1)), verify.ErrInvalid, "claims"},
		"exp that is a string":    {f.token(map[string]any{"exp": "2030"}), verify.ErrInvalid, "claims"},
		"exp beyond all time":     {f.token(map[string]any{"exp": 1e30}), verify.ErrInvalid, "claims"},
		"exp before all time":     {f.token(map[string]any{"exp": -1}), verify.ErrInvalid, "claims"},
		"no exp":                  {f.token(map[string]any{"exp": nil}), verify.ErrInvalid, "claims"},
		"no iat":                  {f.token(map[string]any{"iat": nil}), verify.ErrInvalid, "claims"},
		"no sub":                  {f.token(map[string]any{"sub": nil}), verify.ErrInvalid, "claims"},
		"no client_id":            {f.token(map[string]any{"client_id": nil}), verify.ErrInvalid, "claims"},
		"no jti":                  {f.token(map[string]any{"jti": nil}), verify.ErrInvalid, "claims"},
		"bound to a key":          {f.token(map[string]any{"cnf": map[string]string{"jkt": "x"}}), verify.ErrInvalid, "claims"},
		"no iss":                  {f.token(map[string]any{"iss": nil}), verify.ErrInvalid, "issuer"},
		"iss with a slash":        {f.token(map[string]any{"iss": f.url + "/"}), verify.ErrInvalid, "issuer"},
		"no aud":                  {f.token(map[string]any{"aud": nil}), verify.ErrInvalid, "audience"},
		"another aud":             {f.token(map[string]any{"aud": "https://other.example"}), verify.ErrInvalid, "audience"},
		"aud with ours inside":    {f.token(map[string]any{"aud": audience + ".evil.example"}), verify.ErrInvalid, "audience"},
		"aud of numbers":          {f.token(map[string]any{"aud": []int{1}}), verify.ErrInvalid, "claims"},
		"expired":                 {f.token(map[string]any{"exp": now.Add(-31 * time.Second).Unix()}), verify.ErrExpired, "expired"},
		"iat in the future":       {f.token(map[string]any{"iat": now.Add(2 * time.Minute).Unix()}), verify.ErrInvalid, "not_yet_valid"},
		"nbf in the future":       {f.token(map[string]any{"nbf": now.Add(2 * time.Minute).Unix()}), verify.ErrInvalid, "not_yet_valid"},
	} {
		t.Run(name, func(t *testing.T) {
			before := v.State().Refused[c.why]
			got, err := v.Verify(t.Context(), c.token)
			if !errors.Is(err, c.want) || got != nil {
				t.Fatalf("%+v, %v; want %v", got, err, c.want)
			}
			if !errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrRevoked) {
				t.Errorf("%v is of the wrong kind", err)
			}
			if v.State().Refused[c.why] != before+1 {
				t.Errorf("%v was counted otherwise than as %s: %v", err, c.why, v.State().Refused)
			}
		})
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestSkewIsAllowedForAndNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newIssuer(t)
		v, strict := f.verifier(nil), f.verifier(func(c *verify.Config) { c.Skew = -1 })
		token := f.token(map[string]any{"exp": time.Now().Add(time.Minute).Unix()})
		time.Sleep(time.Minute)
		if _, err := strict.Verify(t.Context(), token); !errors.Is(err, verify.ErrExpired) {
			t.Errorf("at exp, without skew: %v", err)
		}
		time.Sleep(30*time.Second - time.Nanosecond)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("within the skew: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrExpired) {
			t.Errorf("after it: %v", err)
		}
	})
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	good := verify.Config{Issuer: "https://id.example.com", Audience: audience}
	for name, change := range map[string]func(*verify.Config){
		"Issuer is not set":            func(c *verify.Config) { c.Issuer = "" },
		"Issuer is not an http":        func(c *verify.Config) { c.Issuer = "https://id.example.com?a=b" },
		"Issuer is http":               func(c *verify.Config) { c.Issuer = "http://id.example.com" },
		"Audience is not set":          func(c *verify.Config) { c.Audience = "" },
		`Algorithm "none"`:             func(c *verify.Config) { c.Algorithm = "none" },
		`Algorithm "HS256"`:            func(c *verify.Config) { c.Algorithm = "HS256" },
		"Skew is 10m":                  func(c *verify.Config) { c.Skew = 10 * time.Minute },
		"StatusStream needs ClientID":  streaming,
		"Status is none of":            func(c *verify.Config) { c.Status = 7 },
		"MaxStaleness is 1ms":          func(c *verify.Config) { c.MaxStaleness = time.Millisecond },
		"MaxKeyAge is 720h":            func(c *verify.Config) { c.MaxKeyAge = 720 * time.Hour },
		"MaxListBytes":                 func(c *verify.Config) { c.MaxListBytes = -1 },
		"Resource.ID is not an https ": func(c *verify.Config) { c.Resource.ID = "orders" },
	} {
		c := good
		change(&c)
		if _, err := verify.New(t.Context(), c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v; want %q", err, name)
		}
	}
}

func TestAWarmVerifierMakesNoRequest(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]func(*verify.Config){"none": nil, "poll": polling, "stream": streaming} {
		// Time stands still while it checks, so that nothing is due meanwhile.
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
			// The list was fetched as well, before any token pointed to it.
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

		// A key that came a moment ago is found out by asking.
		time.Sleep(10 * time.Second)
		f.with(func() { f.published = []string{"k0", "k1"} })
		for _, token := range []string{old(), next()} {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Errorf("both keys are published: %v", err)
			}
		}
		// One that is withdrawn is gone with the next refresh.
		f.with(func() { f.published = []string{"k1"} })
		time.Sleep(300 * time.Second)
		if _, err := v.Verify(t.Context(), old()); !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("by a withdrawn key: %v", err)
		}
		if _, err := v.Verify(t.Context(), next()); err != nil {
			t.Errorf("by the other: %v", err)
		}
		// All of them withdrawn is no reason to call tokens invalid, or valid.
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
			// The second time the server is not there, and it is just as bounded.
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
			// What is tried again by itself comes on top when the server is away.
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

func TestKeysOfAnotherKindOrSizeAreNotTaken(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	n := base64.RawURLEncoding.EncodeToString(rsaKeys()[0].N.Bytes())
	for name, set := range map[string]string{
		"for encryption":    `{"keys":[{"kty":"RSA","kid":"k0","use":"enc","e":"AQAB","n":"` + n + `"}]}`,
		"for another alg":   `{"keys":[{"kty":"RSA","kid":"k0","alg":"PS256","e":"AQAB","n":"` + n + `"}]}`,
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
	// One of a kind that nobody knows yet does not take the others with it.
	f.with(func() {
		f.answers["/realm/jwks"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"keys":[{"kty":"XYZ","kid":"new"},{"kty":"RSA","kid":"k0","e":"AQAB","n":"` + n + `"}]}`))
		}
	})
	if _, err := f.verifier(nil).Verify(t.Context(), f.token(nil)); err != nil {
		t.Error(err)
	}
}

func TestAnyOneAsymmetricAlgorithmCanBePinned(t *testing.T) {
	t.Parallel()
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	keys := map[jose.SignatureAlgorithm]crypto.Signer{
		jose.RS256: rsaKeys()[0], jose.RS512: rsaKeys()[0], jose.PS256: rsaKeys()[0],
		jose.ES256: p256, jose.ES384: p384, jose.EdDSA: ed,
	}
	f := newIssuer(t)
	f.with(func() {
		f.answers["/realm/jwks"] = func(w http.ResponseWriter, _ *http.Request) {
			var set jose.JSONWebKeySet
			for alg, key := range keys {
				set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: string(alg)})
			}
			json.NewEncoder(w).Encode(set)
		}
	})
	payload, _ := json.Marshal(f.claims(nil))
	for pinned := range keys {
		v := f.verifier(func(c *verify.Config) { c.Algorithm = string(pinned) })
		for alg, key := range keys {
			token := signWith(t, jose.SigningKey{Algorithm: alg, Key: key}, map[string]any{"kid": string(alg), "typ": "at+jwt"}, payload)
			if _, err := v.Verify(t.Context(), token); (err == nil) != (alg == pinned) || err != nil && !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("%s where %s is pinned: %v", alg, pinned, err)
			}
		}
	}
}

func FuzzVerify(fz *testing.F) {
	f := newIssuer(fz)
	v := f.verifier(nil)
	good := f.token(nil)
	for _, s := range []string{"", ".", "..", "...", good, good + "=", "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30.", strings.Repeat(".", 20000)} {
		fz.Add(s)
	}
	fz.Fuzz(func(t *testing.T, token string) {
		got, err := v.Verify(t.Context(), token)
		if (err == nil) != (got != nil) || err == nil && token != good {
			t.Errorf("%q: %+v, %v", token, got, err)
		}
	})
}
