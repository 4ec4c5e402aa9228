package verify_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/verify"
)

func newSecret() []byte {
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
}

// shared is a token that is signed with a secret.
func (f *issuer) shared(alg jose.SignatureAlgorithm, kid string, secret []byte, changes map[string]any) string {
	f.t.Helper()
	payload, err := json.Marshal(f.claims(changes))
	if err != nil {
		f.t.Fatal(err)
	}
	return signWith(f.t, jose.SigningKey{Algorithm: alg, Key: secret}, map[string]any{"kid": kid, "typ": "at+jwt"}, payload)
}

func TestAnAPIAcceptsTokensOfItsOwnSecrets(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	first, second, other := newSecret(), newSecret(), newSecret()
	der, err := x509.MarshalPKIXPublicKey(&rsaKeys()[0].PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	none := f.verifier(nil)
	both := f.verifier(func(c *verify.Config) { c.SharedSecrets = [][]byte{first, second} })
	only := f.verifier(func(c *verify.Config) { c.SharedSecrets, c.Algorithm = [][]byte{second}, "HS256" })
	usual := f.verifier(func(c *verify.Config) { c.SharedSecrets, c.Algorithm = [][]byte{first}, "RS256" })
	for what, c := range map[string]struct {
		token                   string
		none, both, only, usual bool
	}{
		"the first":               {f.shared(jose.HS256, "a", first, nil), false, true, false, false},
		"the second":              {f.shared(jose.HS256, "b", second, nil), false, true, true, false},
		"under a kid of the set":  {f.shared(jose.HS256, "k0", second, nil), false, true, true, false},
		"a key of the set":        {f.token(nil), true, true, false, true},
		"another secret":          {f.shared(jose.HS256, "a", other, nil), false, false, false, false},
		"HS384":                   {f.shared(jose.HS384, "a", append(first, first...), nil), false, false, false, false},
		"HS512":                   {f.shared(jose.HS512, "a", append(first, first...), nil), false, false, false, false},
		"a public key in DER":     {f.shared(jose.HS256, "k0", der, nil), false, false, false, false},
		"a public key in PEM":     {f.shared(jose.HS256, "k0", inPEM, nil), false, false, false, false},
		"another API's":           {f.shared(jose.HS256, "b", second, map[string]any{"aud": "https://other.test"}), false, false, false, false},
		"another issuer's":        {f.shared(jose.HS256, "b", second, map[string]any{"iss": "https://other.test"}), false, false, false, false},
		"one that has no subject": {f.shared(jose.HS256, "b", second, map[string]any{"sub": ""}), false, false, false, false},
	} {
		for who, v := range map[string]struct {
			*verify.Verifier
			accepts bool
		}{"without secrets": {none, c.none}, "with both": {both, c.both}, "with one and no keys": {only, c.only}, "with one and RS256": {usual, c.usual}} {
			if _, err := v.Verify(t.Context(), c.token); (err == nil) != v.accepts || err != nil && !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("%s, %s: %v", what, who, err)
			}
		}
	}
}

func TestASecretSignsNoStatusList(t *testing.T) {
	t.Parallel()
	f, secret := newIssuer(t), newSecret()
	uri, list := f.addList(1)
	f.revoke(list, 3)
	v := f.verifier(func(c *verify.Config) {
		c.SharedSecrets, c.Algorithm, c.Status = [][]byte{secret}, "HS256", verify.StatusPoll
	})
	of := func(uri string, index int) string { return f.shared(jose.HS256, "a", secret, status(uri, index)) }
	if _, err := v.Verify(t.Context(), of(uri, 1)); err != nil {
		t.Errorf("one that stands: %v", err)
	}
	if _, err := v.Verify(t.Context(), of(uri, 3)); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("one that was revoked: %v", err)
	}
	const path = "/realm/status/2"
	forged, err := json.Marshal(map[string]any{
		"iss": f.url, "sub": strings.TrimSuffix(f.url, "/realm") + path, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "ttl": 5,
		"status_list": map[string]any{"bits": 1, "lst": pack(make([]byte, 125))},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.with(func() {
		f.answers[path] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/statuslist+jwt")
			io.WriteString(w, signWith(t, jose.SigningKey{Algorithm: jose.HS256, Key: secret}, map[string]any{"kid": "k0", "typ": "statuslist+jwt"}, forged))
		}
	})
	if _, err := v.Verify(t.Context(), of(strings.TrimSuffix(f.url, "/realm")+path, 1)); !errors.Is(err, verify.ErrUnavailable) {
		t.Errorf("by a list that a secret signed: %v", err)
	}
}

func TestASharedSecretHasTheLengthOfTheHash(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	for what, secrets := range map[string][][]byte{
		"empty": {{}}, "short": {newSecret()[:31]}, "short beside a good one": {newSecret(), []byte("secret")}, "three": {newSecret(), newSecret(), newSecret()},
	} {
		if _, err := verify.New(t.Context(), verify.Config{Issuer: f.url, Audience: "a", SharedSecrets: secrets}); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if _, err := verify.New(t.Context(), verify.Config{Issuer: f.url, Audience: "a", Algorithm: "HS256"}); err == nil {
		t.Error("HS256 without a secret is accepted")
	}
}
