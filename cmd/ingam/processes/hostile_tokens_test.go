package processes

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
)

// ring opens the deployment's key rings in this process. With the real keys, tests can
// sign tokens that the server would never issue.
func (d *deployment) ring() *keys.Keyring {
	d.t.Helper()
	flags := pflag.NewFlagSet("ring", pflag.ContinueOnError)
	config.Flags(flags)
	cfg, err := config.Load(flags, d.environ())
	if err != nil {
		d.t.Fatal(err)
	}
	store, err := storage.Open(d.t.Context(), cfg.Database.Reveal(), storage.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { store.Close() })
	master, err := masterkey.Open(d.masterKey)
	if err != nil {
		d.t.Fatal(err)
	}
	ring := keys.New(store, master, keys.Policy{
		Bits: cfg.Keys.Bits, RotateEvery: cfg.Keys.RotateEvery.Std(), JWKSMaxAge: cfg.Keys.JWKSMaxAge.Std(), VerifierCache: cfg.Keys.VerifierCache.Std(),
		Staleness: cfg.Changes.Staleness.Std(), Skew: cfg.Tokens.Skew.Std(), LongestToken: cfg.Tokens.AccessTTL.Std(),
	}, time.Now)
	if err := ring.Reload(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	return ring
}

// claims returns the claims of a valid access token with some changes; a nil value
// removes a claim.
func (d *deployment) claims(changed map[string]any) []byte {
	d.t.Helper()
	now := time.Now().Unix()
	c := map[string]any{
		"iss": d.issuer, "sub": "app", "aud": "https://api.test", "exp": now + 600, "iat": now, "jti": rand.Text(),
		"client_id": "app", "scope": "read", "epoch": d.number(),
	}
	for name, value := range changed {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func encodePart(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// number returns the number of the last change.
func (d *deployment) number() changes.Number {
	d.t.Helper()
	store, err := storage.Open(d.t.Context(), d.database, storage.Options{MaxOpen: 1})
	if err != nil {
		d.t.Fatal(err)
	}
	defer store.Close()
	n, err := store.ChangeNumber(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// state returns the state that bad input must not change: the number of the last change,
// and the audit.
func (d *deployment) state() string {
	d.t.Helper()
	return fmt.Sprintf("change %d\n%s", d.number(), d.must("audit", "list", "--json"))
}

func TestTokensThatAreNotExactlyInOrderAreInactiveAndCutNothing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	secret := d.client("app")
	d.must("api", "create", "--audience", "https://other.test", "--name", "Other", "--scope", "read")
	ring := d.ring()
	sign := func(r keys.Ring, typ string, claims []byte) string {
		t.Helper()
		token, err := ring.Sign(r, typ, claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	signed := func(changed map[string]any) string { return sign(keys.Tokens, "at+jwt", d.claims(changed)) }

	good := s.token("app", secret)
	parts := strings.Split(good, ".")
	kid := kidOf(t, good)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := func(header string) string {
		input := encodePart([]byte(header)) + "." + parts[1]
		sum := sha256.Sum256([]byte(input))
		signature, err := rsa.SignPKCS1v15(nil, stranger, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return input + "." + encodePart(signature)
	}
	public := publishedKey(t, s, kid)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	hs256 := func(key []byte) string {
		input := encodePart(fmt.Appendf(nil, `{"alg":"HS256","kid":%q,"typ":"at+jwt"}`, kid)) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return input + "." + encodePart(mac.Sum(nil))
	}
	none := func(alg, signature string) string {
		return encodePart(fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, kid)) + "." + parts[1] + "." + signature
	}

	hostile := map[string]string{
		"expired":                            signed(map[string]any{"exp": time.Now().Unix() - 1}),
		"without an expiry":                  signed(map[string]any{"exp": nil}),
		"without an id":                      signed(map[string]any{"jti": nil}),
		"without a client":                   signed(map[string]any{"client_id": nil}),
		"of another issuer":                  signed(map[string]any{"iss": "https://issuer.test"}),
		"of an issuer that only looks alike": signed(map[string]any{"iss": d.issuer + "/"}),
		"of a client that is not there":      signed(map[string]any{"client_id": "ghost", "sub": "ghost"}),
		"made before its client's epoch":     signed(map[string]any{"epoch": 0}),
		"made under a change that was lost":  signed(map[string]any{"epoch": d.number() + 1}),
		"with a payload that is no JSON":     sign(keys.Tokens, "at+jwt", []byte("x")),
		"with a payload that is an array":    sign(keys.Tokens, "at+jwt", []byte("[]")),
		"of the type of a refresh token":     sign(keys.Tokens, "rt+jwt", d.claims(nil)),
		"of the type in its long form":       sign(keys.Tokens, "application/at+jwt", d.claims(nil)),
		"signed by the other ring":           sign(keys.Refresh, "at+jwt", d.claims(nil)),
		"forged under a true kid":            forged(fmt.Sprintf(`{"alg":"RS256","kid":%q,"typ":"at+jwt"}`, kid)),
		"forged under a kid of its own":      forged(`{"alg":"RS256","kid":"mine","typ":"at+jwt"}`),
		"forged without a kid":               forged(`{"alg":"RS256","typ":"at+jwt"}`),
		"forged with its key in the header": forged(fmt.Sprintf(`{"alg":"RS256","kid":%q,"typ":"at+jwt","jwk":{"kty":"RSA","n":%q,"e":"AQAB"}}`,
			kid, encodePart(stranger.N.Bytes()))),
		"forged with the address of its key": forged(fmt.Sprintf(`{"alg":"RS256","kid":%q,"typ":"at+jwt","jku":"%s/x"}`, kid, s.url)),
		"forged with a critical field":       forged(fmt.Sprintf(`{"alg":"RS256","kid":%q,"typ":"at+jwt","crit":["b64"],"b64":false}`, kid)),
		"forged as RS384":                    forged(fmt.Sprintf(`{"alg":"RS384","kid":%q,"typ":"at+jwt"}`, kid)),
		"forged as PS256":                    forged(fmt.Sprintf(`{"alg":"PS256","kid":%q,"typ":"at+jwt"}`, kid)),
		"unsigned":                           none("none", ""),
		"unsigned with a signature":          none("none", parts[2]),
		"unsigned as None":                   none("None", ""),
		"unsigned as nOnE":                   none("nOnE", ""),
		"HS256 with the key in PEM":          hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with the key in DER":          hs256(der),
		"HS256 with the modulus":             hs256(public.N.Bytes()),
		"HS256 with the key set":             hs256([]byte(s.get("/.well-known/jwks.json").body)),
		"HS256 with nothing":                 hs256(nil),
		"with another payload":               tamper(good),
		"with its parts in JSON":             fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]),
		"with five parts":                    good + ".x.y",
		"twice":                              good + good,
		"twice with a space":                 good + " " + good,
		"with padding":                       good + "==",
		"with padded parts":                  parts[0] + "=." + parts[1] + "." + parts[2],
		"with a line break":                  good + "\n",
		"with a line break inside":           good[:len(good)/2] + "\r\n" + good[len(good)/2:],
		"with a space before":                " " + good,
		"with a NUL":                         good + "\x00",
		"in the other alphabet":              parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(encodePart([]byte{0xfb, 0xff, 0xfe})+parts[2]),
		"of nothing but dots":                "..",
		"of 40 KB":                           good + strings.Repeat("A", 40<<10),
	}
	// RS256 with 2048 bits leaves four bits of the last character unused.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	for i := range 15 {
		hostile[fmt.Sprintf("in its other spelling %d", i+1)] = good[:len(good)-1] + string(alphabet[last^(i+1)])
	}
	for n := 1; n < len(good); n++ {
		hostile[fmt.Sprintf("truncated to %d", n)] = good[:n]
	}

	// These tokens are made in the same way as those above, and are active. So those
	// above are refused only for what is wrong with them.
	// (An access token may have the type JWT, for APIs whose verifiers want it. Its
	// claims show that it is an access token, and only this server can have signed
	// it.)
	if !s.active("app", secret, signed(nil)) || !s.active("app", secret, good) || !s.active("app", secret, sign(keys.Tokens, "JWT", d.claims(nil))) {
		t.Fatal("a good token is not active")
	}
	before := d.state()
	for name, token := range hostile {
		a := s.post("/oauth2/introspect", "app", secret, url.Values{"token": {token}})
		if a.status != http.StatusOK || a.body != `{"active":false}` || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("introspecting a token %s: %d %s", name, a.status, a.body)
		}
		if strings.HasPrefix(name, "of a client that is not there") || strings.HasPrefix(name, "made ") {
			continue // signed with the server's key, so revoking it may change the state
		}
		if a := s.post("/oauth2/revoke", "app", secret, url.Values{"token": {token}}); a.status != http.StatusOK || a.body != "" {
			t.Errorf("revoking a token %s: %d %s", name, a.status, a.body)
		}
	}
	for _, path := range []string{"/oauth2/introspect", "/oauth2/revoke"} {
		wantRefused(t, "no token", s.post(path, "app", secret, nil), http.StatusBadRequest, "invalid_request")
		wantRefused(t, "an empty token", s.post(path, "app", secret, url.Values{"token": {""}}), http.StatusBadRequest, "invalid_request")
		wantRefused(t, "a token that is not text", s.post(path, "app", secret, url.Values{"token": {good + "\xff"}}), http.StatusBadRequest, "invalid_request")
	}
	if after := d.state(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	if !s.active("app", secret, good) {
		t.Error("the good token died")
	}
	for name, token := range hostile {
		// A short token can occur in the log by chance, or as a part of a field's
		// name.
		if len(token) > 40 && strings.Contains(s.log.String(), token) {
			t.Errorf("the log holds the token %s", name)
		}
	}
}

func TestATokenIsShownOnlyToWhomItIsFor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	secret := d.client("app")
	d.must("api", "create", "--audience", "https://other.test", "--name", "Other", "--scope", "read")
	add := func(id string, more ...string) string {
		var created clientJSON
		d.mustJSON(&created, append([]string{"client", "create", "--id", id, "--name", id}, more...)...)
		return created.ClientSecret
	}
	api := add("api", "--audience", "https://api.test", "--auth", "client_secret_basic")
	other := add("other", "--grant", "client_credentials", "--scope", "read", "--audience", "https://other.test", "--auth", "client_secret_basic")
	poster := add("poster", "--auth", "client_secret_post")
	add("public", "--audience", "https://api.test", "--auth", "none")

	token := s.token("app", secret)
	for _, c := range []struct {
		id, secret string
		want       bool
	}{{"app", secret, true}, {"api", api, true}, {"other", other, false}} {
		if got := s.active(c.id, c.secret, token); got != c.want {
			t.Errorf("for %s the token is active: %t", c.id, got)
		}
	}
	a := s.post("/oauth2/introspect", "", "", url.Values{"token": {token}, "client_id": {"poster"}, "client_secret": {poster}})
	if a.status != http.StatusOK || a.json(t)["active"] != false {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantRefused(t, "a public client", s.post("/oauth2/introspect", "", "", url.Values{"token": {token}, "client_id": {"public"}}), http.StatusUnauthorized, "invalid_client")
	wantRefused(t, "nobody", s.post("/oauth2/introspect", "", "", url.Values{"token": {token}}), http.StatusUnauthorized, "invalid_client")

	before := d.state()
	wantRefused(t, "revoking another's token", s.post("/oauth2/revoke", "other", other, url.Values{"token": {token}}), http.StatusBadRequest, "invalid_grant")
	wantRefused(t, "revoking as the API", s.post("/oauth2/revoke", "api", api, url.Values{"token": {token}}), http.StatusBadRequest, "invalid_grant")
	wantRefused(t, "revoking with a wrong secret", s.post("/oauth2/revoke", "app", other, url.Values{"token": {token}}), http.StatusUnauthorized, "invalid_client")
	if after := d.state(); after != before || !s.active("app", secret, token) {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	if a := s.post("/oauth2/revoke", "app", secret, url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if s.active("app", secret, token) || s.active("api", api, token) {
		t.Error("a revoked token is active")
	}
}

// wantRefused checks the answer to a refused request (RFC 6749 section 5.2).
func wantRefused(t testing.TB, what string, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %s %s %s", what, a.status, a.header.Get("Content-Type"), a.header.Get("Cache-Control"), a.body)
		return
	}
	if got := a.json(t); got["error"] != code || got["error_description"] == "" {
		t.Errorf("%s: %s", what, a.body)
	}
	wantChallenge(t, what, a)
}

// wantChallenge checks that a 401, and no other status, has a challenge; it is HTTP
// Basic, for which browsers ask people for a password, only if the request used HTTP
// Basic.
func wantChallenge(t testing.TB, what string, a answer) {
	t.Helper()
	want := ""
	switch {
	case a.status != http.StatusUnauthorized:
	case a.basic:
		want = `Basic realm="ingam", charset="UTF-8"`
	default:
		want = `Bearer realm="ingam"`
	}
	if challenge := a.header.Values("WWW-Authenticate"); strings.Join(challenge, "; ") != want {
		t.Errorf("%s: %d with WWW-Authenticate %q, not %q", what, a.status, challenge, want)
	}
}

// publishedKey returns a key of the key set.
func publishedKey(t testing.TB, s *server, kid string) *rsa.PublicKey {
	t.Helper()
	var set struct{ Keys []struct{ Kid, N, E string } }
	if err := json.Unmarshal([]byte(s.get("/.well-known/jwks.json").body), &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if k.Kid == kid {
			n, err := base64.RawURLEncoding.DecodeString(k.N)
			if err != nil || k.E != "AQAB" {
				t.Fatal(k, err)
			}
			return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
		}
	}
	t.Fatalf("%s is not published", kid)
	return nil
}
