package verify_test

import (
	"bytes"
	"compress/flate"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/verify"
)

// decrypting is a verifier with an RSA key and one of P-256.
func decrypting(t testing.TB) func(*verify.Config) {
	return func(c *verify.Config) {
		c.DecryptionKeys = [][]byte{
			jwk(t, jose.JSONWebKey{Key: rsaKeys()[2], KeyID: "rsa", Use: "enc", Algorithm: "RSA-OAEP-256"}),
			jwk(t, jose.JSONWebKey{Key: p256Keys()[0], KeyID: "ec"}),
		}
	}
}

func TestEncryptedTokensAreRead(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	v := f.verifier(decrypting(t))
	inner := f.token(nil)
	ours, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: p256Keys()[0].Public(), KeyID: "ec"},
		(&jose.EncrypterOptions{}).WithContentType("JWT").WithHeader("jti", "t1"))
	if err != nil {
		t.Fatal(err)
	}
	jwe, err := ours.Encrypt([]byte(inner))
	if err != nil {
		t.Fatal(err)
	}
	library, err := jwe.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	browsers := bytes.Replace(jwk(t, jose.JSONWebKey{Key: p256Keys()[0]}), []byte("{"), []byte(`{"ext":true,"key_ops":["deriveKey","deriveBits"],`), 1)
	if got, err := f.verifier(func(c *verify.Config) { c.DecryptionKeys = [][]byte{browsers} }).Verify(t.Context(), library); err != nil {
		t.Errorf("by a key of a browser: %+v, %v", got, err)
	}
	for what, token := range map[string]string{
		"RSA-OAEP-256":            forRSA(t, &rsaKeys()[2].PublicKey, map[string]any{"kid": "rsa"}).seal(t, inner),
		"ECDH-ES":                 forCurve(t, &p256Keys()[0].PublicKey, map[string]any{"kid": "ec"}).seal(t, inner),
		"without a kid":           forCurve(t, &p256Keys()[0].PublicKey, nil).seal(t, inner),
		"with a further field":    forCurve(t, &p256Keys()[0].PublicKey, map[string]any{"ing": "x"}).seal(t, inner),
		"cty in another spelling": forCurve(t, &p256Keys()[0].PublicKey, map[string]any{"cty": "application/jwt"}).seal(t, inner),
		"by the library":          library,
	} {
		if got, err := v.Verify(t.Context(), token); err != nil || got.ID != "t1" || got.Subject != "minji" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

func TestEncryptionIsNotLeftOut(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	plain, encrypted := f.token(nil), forCurve(t, &p256Keys()[0].PublicKey, nil).seal(t, f.token(nil))
	both := func(c *verify.Config) {
		decrypting(t)(c)
		c.AcceptUnencrypted = true
	}
	for what, c := range map[string]struct {
		change    func(*verify.Config)
		plain     bool
		encrypted bool
	}{
		"no keys":              {nil, true, false},
		"keys":                 {decrypting(t), false, true},
		"keys, and going over": {both, true, true},
	} {
		v := f.verifier(c.change)
		if _, err := v.Verify(t.Context(), plain); (err == nil) != c.plain || err != nil && !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("%s: one that is only signed: %v", what, err)
		}
		if _, err := v.Verify(t.Context(), encrypted); (err == nil) != c.encrypted || err != nil && !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("%s: one that is encrypted: %v", what, err)
		}
	}
}

func TestKeysOfAnAPIAreReplaced(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	inner := f.token(nil)
	keyed := func(kids ...string) *verify.Verifier {
		return f.verifier(func(c *verify.Config) {
			for i, kid := range kids {
				c.DecryptionKeys = append(c.DecryptionKeys, jwk(t, jose.JSONWebKey{Key: p256Keys()[i], KeyID: kid}))
			}
		})
	}
	to := func(i int, kid any) string {
		return forCurve(t, &p256Keys()[i].PublicKey, map[string]any{"kid": kid}).seal(t, inner)
	}
	for what, c := range map[string]struct {
		v     *verify.Verifier
		token string
		good  bool
	}{
		"the first":                    {keyed("a", "b"), to(0, "a"), true},
		"the second":                   {keyed("a", "b"), to(1, "b"), true},
		"the second, without a kid":    {keyed("a", "b"), to(1, nil), true},
		"a kid that is not known":      {keyed("a", "b"), to(0, "c"), false},
		"the kid of the other":         {keyed("a", "b"), to(0, "b"), false},
		"keys without a kid":           {keyed("", ""), to(1, "c"), true},
		"two keys of one kid":          {keyed("a", "a"), to(1, "a"), true},
		"a key that is not there now":  {keyed("a"), to(1, nil), false},
		"a key that is not there, kid": {keyed("a"), to(1, "b"), false},
	} {
		if _, err := c.v.Verify(t.Context(), c.token); (err == nil) != c.good || err != nil && !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatIsNoEncryptedTokenForThisAPIIsRefused(t *testing.T) {
	t.Parallel()
	f := newIssuer(t)
	v := f.verifier(decrypting(t))
	inner := f.token(nil)
	ec := func(changes map[string]any) sealing { return forCurve(t, &p256Keys()[0].PublicKey, changes) }
	sealed := func(changes map[string]any) string { return ec(changes).seal(t, inner) }
	oaep := forRSA(t, &rsaKeys()[2].PublicKey, nil)
	good := oaep.seal(t, inner)
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Fatalf("the token that the rest is forged from: %v", err)
	}
	parts := strings.Split(good, ".")
	part := func(of []string, i int, change func(string) string) string {
		changed := append([]string(nil), of...)
		changed[i] = change(changed[i])
		return strings.Join(changed, ".")
	}
	none := encode(`{"alg":"none","typ":"at+jwt"}`) + "." + strings.Split(inner, ".")[1] + "."
	claims, _ := json.Marshal(f.claims(nil))
	own := p256Keys()[1].Public()
	public := jose.JSONWebKey{Key: own}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	coordinate := func(n int64) string {
		return base64.RawURLEncoding.EncodeToString(big.NewInt(n).FillBytes(make([]byte, 32)))
	}
	epk := func(k map[string]any) string { return sealed(map[string]any{"epk": k}) }
	var other map[string]any
	json.Unmarshal(jwk(t, jose.JSONWebKey{Key: p384.Public()}), &other)
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression)
	w.Write([]byte(inner))
	w.Close()
	twice := ec(nil)
	header, _ := json.Marshal(twice.header)
	members := strings.TrimSuffix(string(header), "}")
	curveParts := strings.Split(sealed(nil), ".")

	for name, c := range map[string]struct{ token, why string }{
		"alg dir":                 {sealed(map[string]any{"alg": "dir"}), "encryption"},
		"alg A128KW":              {sealed(map[string]any{"alg": "A128KW"}), "encryption"},
		"alg RSA1_5":              {oaep.with(map[string]any{"alg": "RSA1_5"}).seal(t, inner), "encryption"},
		"alg RSA-OAEP with SHA-1": {oaep.with(map[string]any{"alg": "RSA-OAEP"}).seal(t, inner), "encryption"},
		"alg RSA-OAEP-512":        {oaep.with(map[string]any{"alg": "RSA-OAEP-512"}).seal(t, inner), "encryption"},
		"alg ECDH-ES+A256KW":      {sealed(map[string]any{"alg": "ECDH-ES+A256KW"}), "encryption"},
		"alg none":                {sealed(map[string]any{"alg": "none"}), "encryption"},
		"no alg":                  {sealed(map[string]any{"alg": nil}), "encryption"},
		"alg of another key":      {oaep.with(map[string]any{"alg": "ECDH-ES"}).seal(t, inner), "form"},
		"PBES2 with a huge count": {sealed(map[string]any{"alg": "PBES2-HS256+A128KW", "p2c": 1 << 40, "p2s": "AAAAAAAAAAAAAAAA"}), "encryption"},
		"enc A128CBC-HS256":       {sealed(map[string]any{"enc": "A128CBC-HS256"}), "encryption"},
		"enc A128GCM":             {sealed(map[string]any{"enc": "A128GCM"}), "encryption"},
		"no enc":                  {sealed(map[string]any{"enc": nil}), "encryption"},
		"no cty":                  {sealed(map[string]any{"cty": nil}), "encryption"},
		"cty of a key":            {sealed(map[string]any{"cty": "jwk+json"}), "encryption"},
		"cty that is a number":    {sealed(map[string]any{"cty": 1}), "form"},
		"no jti":                  {sealed(map[string]any{"jti": nil}), "encryption"},
		"another jti":             {sealed(map[string]any{"jti": "t2"}), "encryption"},
		"another jti inside":      {ec(nil).seal(t, f.token(map[string]any{"jti": "t2"})), "encryption"},
		"zip":                     {ec(map[string]any{"zip": "DEF"}).seal(t, packed.String()), "encryption"},
		"zip of nothing":          {sealed(map[string]any{"zip": ""}), "encryption"},
		"crit":                    {sealed(map[string]any{"crit": []string{"ing"}, "ing": "x"}), "encryption"},
		"jwk":                     {sealed(map[string]any{"jwk": public}), "encryption"},
		"jku":                     {sealed(map[string]any{"jku": "https://evil.example/jwks"}), "encryption"},
		"x5u":                     {sealed(map[string]any{"x5u": "https://evil.example/cert"}), "encryption"},
		"x5c":                     {sealed(map[string]any{"x5c": []string{"AAAA"}}), "encryption"},
		"no epk":                  {sealed(map[string]any{"epk": nil}), "encryption"},
		"epk on another curve":    {epk(other), "encryption"},
		"epk beside the curve":    {epk(map[string]any{"kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(1)}), "encryption"},
		"epk at infinity":         {epk(map[string]any{"kty": "EC", "crv": "P-256", "x": coordinate(0), "y": coordinate(0)}), "encryption"},
		"epk of another type":     {epk(map[string]any{"kty": "OKP", "crv": "X25519", "x": coordinate(9)}), "encryption"},
		"epk that is no key":      {sealed(map[string]any{"epk": "x"}), "encryption"},
		"to another P-256 key":    {forCurve(t, &p256Keys()[1].PublicKey, nil).seal(t, inner), "encryption"},
		"to another RSA key":      {forRSA(t, &rsaKeys()[1].PublicKey, nil).seal(t, inner), "encryption"},
		"nested twice":            {ec(nil).seal(t, sealed(nil)), "form"},
		"unsigned inside":         {ec(nil).seal(t, none), "header"},
		"claims inside":           {ec(nil).seal(t, string(claims)), "form"},
		"nothing inside":          {ec(nil).seal(t, ""), "form"},
		"another issuer's inside": {ec(nil).seal(t, sign(t, "k1", "at+jwt", f.claims(nil))), "unknown_key"},
		"for another API inside":  {ec(nil).seal(t, f.token(map[string]any{"aud": "https://other.example"})), "audience"},
		"an ID token inside":      {ec(nil).seal(t, sign(t, "k0", "JWT", f.claims(nil))), "header"},
		"a line break inside":     {ec(nil).seal(t, inner+"\n"), "form"},
		"another header":          {encode(members+`,"ing":"x"}`) + strings.TrimPrefix(good, parts[0]), "form"},
		"a field twice":           {twice.sealUnder(t, members+`,"jti":"t1"}`, inner), "form"},
		"a header that is none":   {twice.sealUnder(t, "abc", inner), "form"},
		"ECDH-ES with a key":      {part(curveParts, 1, func(string) string { return parts[1] }), "form"},
		"six parts":               {good + ".", "encryption"},
		"four parts":              {strings.Join(parts[:4], "."), "encryption"},
		"too long":                {ec(nil).seal(t, inner+strings.Repeat("A", 20000)), "form"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, v, c.token, c.why) })
	}
	for i := range parts {
		name := [...]string{"header", "key", "vector", "text", "tag"}[i]
		for how, change := range map[string]func(string) string{
			"empty":                  func(string) string { return "" },
			"cut short":              func(s string) string { return s[:len(s)-4] },
			"in half":                func(s string) string { return s[:len(s)/2] },
			"with a flipped bit":     func(s string) string { return flip(s) },
			"with a padding":         func(s string) string { return s + "=" },
			"with a line break":      func(s string) string { return s + "\n" },
			"longer by four letters": func(s string) string { return s + "AAAA" },
		} {
			t.Run(name+" "+how, func(t *testing.T) { refuses(t, v, part(parts, i, change), "") })
		}
	}
}

// flip changes the first character.
func flip(s string) string {
	return string(alphabet[(strings.IndexByte(alphabet, s[0])+1)%64]) + s[1:]
}

// refuses checks that a token is ErrInvalid, and counted for that reason; "" is any.
func refuses(t *testing.T, v *verify.Verifier, token, why string) {
	t.Helper()
	before := v.State().Refused[why]
	got, err := v.Verify(t.Context(), token)
	if !errors.Is(err, verify.ErrInvalid) || got != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if why != "" && v.State().Refused[why] != before+1 {
		t.Errorf("%v was counted otherwise than as %s: %v", err, why, v.State().Refused)
	}
}

func TestKeysThatCannotDecryptAreRefused(t *testing.T) {
	t.Parallel()
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	halves := *p256Keys()[0]
	halves.PublicKey = p256Keys()[1].PublicKey
	good := jwk(t, jose.JSONWebKey{Key: p256Keys()[0]})
	scalar, err := p256Keys()[0].Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secret := base64.RawURLEncoding.EncodeToString(scalar)
	for why, keys := range map[string][][]byte{
		"DecryptionKeys[1] is not a JWK":                  {good, []byte("abc")},
		"DecryptionKeys[0] is not a JWK":                  {good[:len(good)-2]},
		"is not the private key":                          {jwk(t, jose.JSONWebKey{Key: p256Keys()[0].Public()})},
		"is not the private key of RSA":                   {jwk(t, jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32))})},
		"is not on the curve P-256":                       {jwk(t, jose.JSONWebKey{Key: p384})},
		"has halves that do not belong together":          {jwk(t, jose.JSONWebKey{Key: &halves})},
		"is for another use than enc":                     {jwk(t, jose.JSONWebKey{Key: p256Keys()[0], Use: "sig"})},
		"is for signatures, by its key_ops":               {bytes.Replace(good, []byte("{"), []byte(`{"key_ops":["sign"],`), 1)},
		"has key_ops that are none":                       {bytes.Replace(good, []byte("{"), []byte(`{"key_ops":"sign",`), 1)},
		"is for another algorithm than ECDH-ES":           {jwk(t, jose.JSONWebKey{Key: p256Keys()[0], Algorithm: "ECDH-ES+A256KW"})},
		"is for another algorithm than RSA-OAEP-256":      {jwk(t, jose.JSONWebKey{Key: rsaKeys()[0], Algorithm: "RSA-OAEP"})},
		"DecryptionKeys are 9, more than 8":               {good, good, good, good, good, good, good, good, good},
		"AcceptUnencrypted is set without DecryptionKeys": nil,
	} {
		_, err := verify.New(t.Context(), verify.Config{
			Issuer: "https://id.example.com", Audience: audience, DecryptionKeys: keys, AcceptUnencrypted: keys == nil,
		})
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), secret) {
			t.Errorf("%v; want %q", err, why)
		}
	}
}
