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

func TestEncryptedTokensOfASharedSecretAreRead(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	secret, other := newSecret(), newSecret()
	with := func(change func(*verify.Config)) *verify.Verifier {
		return f.verifier(func(c *verify.Config) {
			decrypting(t)(c)
			c.SharedSecrets = [][]byte{secret}
			change(c)
		})
	}
	both := func(*verify.Config) {}
	to := func(i int, inner string) string {
		return forCurve(t, &p256Keys()[i].PublicKey, map[string]any{"kid": nil}).seal(t, inner)
	}
	signed := f.shared(jose.HS256, "a", secret, nil)
	public := jwk(t, jose.JSONWebKey{Key: p256Keys()[0].Public(), KeyID: "ec"})
	for what, c := range map[string]struct {
		change func(*verify.Config)
		token  string
		good   bool
	}{
		"both":                          {both, to(0, signed), true},
		"both, HS256 alone":             {func(c *verify.Config) { c.Algorithm = "HS256" }, to(0, signed), true},
		"both, two secrets":             {func(c *verify.Config) { c.SharedSecrets = [][]byte{other, secret} }, to(0, signed), true},
		"both, by a key of the set":     {both, to(0, f.token(nil)), true},
		"going over":                    {func(c *verify.Config) { c.AcceptUnencrypted = true }, signed, true},
		"only signed":                   {both, signed, false},
		"HS256 alone, a key of the set": {func(c *verify.Config) { c.Algorithm = "HS256" }, to(0, f.token(nil)), false},
		"RS256 alone":                   {func(c *verify.Config) { c.Algorithm = "RS256" }, to(0, signed), false},
		"no secret":                     {func(c *verify.Config) { c.SharedSecrets = nil }, to(0, signed), false},
		"another secret":                {func(c *verify.Config) { c.SharedSecrets = [][]byte{other} }, to(0, signed), false},
		"no key":                        {func(c *verify.Config) { c.DecryptionKeys = nil }, to(0, signed), false},
		"to another key":                {both, to(1, signed), false},
		"another jti inside":            {both, to(0, f.shared(jose.HS256, "a", secret, map[string]any{"jti": "t2"})), false},
		"by the public half of its key": {both, to(0, f.shared(jose.HS256, "ec", public, nil)), false},
		"HS384 inside":                  {both, to(0, f.shared(jose.HS384, "a", append(secret, secret...), nil)), false},
		"for another API":               {both, to(0, f.shared(jose.HS256, "a", secret, map[string]any{"aud": "https://other.test"})), false},
		"nested twice":                  {both, to(0, to(0, signed)), false},
	} {
		if got, err := with(c.change).Verify(t.Context(), c.token); (err == nil) != c.good || err != nil && !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}
