package verify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
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
	// An ID token is refused because of its content, whatever its audience is.
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
	// The token contains its own key.
	jwk := jose.JSONWebKey{Key: rsaKeys()[1].Public(), KeyID: "k0"}
	// The public key is used as the secret of an HMAC (RFC 8725 section 2.1).
	der, _ := x509.MarshalPKIXPublicKey(rsaKeys()[0].Public())
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"k0","typ":"at+jwt"}`)) + "." + parts[1]
	mac := hmac.New(sha256.New, der)
	mac.Write([]byte(signed))
	raw := func(text string) string { return sign(t, "k0", "at+jwt", text) }
	b, _ := json.Marshal(f.claims(nil))
	members := strings.TrimSuffix(string(b), "}")
	// The last character of a 256-byte signature has four unused bits.
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
