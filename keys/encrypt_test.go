package keys_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/keys"
)

func jwkOf(t *testing.T, k jose.JSONWebKey) string {
	t.Helper()
	b, err := k.MarshalJSON()
	must(t, err)
	return string(b)
}

func TestEncryptionKeysAreRead(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	// As browsers write such keys.
	for _, ops := range []string{`[]`, `["deriveKey","deriveBits"]`, `["encrypt","wrapKey"]`} {
		jwk := strings.Replace(jwkOf(t, jose.JSONWebKey{Key: p256.Public()}), "{", `{"ext":true,"key_ops":`+ops+`,`, 1)
		if _, err := keys.ParseEncryptionKey([]byte(jwk)); err != nil {
			t.Errorf("%s: %v", ops, err)
		}
	}
	for want, c := range map[string]struct {
		private any
		jwk     jose.JSONWebKey
	}{
		"ECDH-ES":      {p256, jose.JSONWebKey{Key: p256.Public(), KeyID: "a"}},
		"RSA-OAEP-256": {stock()[0], jose.JSONWebKey{Key: stock()[0].Public(), Use: "enc", Algorithm: "RSA-OAEP-256"}},
	} {
		key, err := keys.ParseEncryptionKey([]byte(jwkOf(t, c.jwk)))
		must(t, err)
		again, err := keys.ParseEncryptionKey([]byte(key.JSON()))
		must(t, err)
		if again.JSON() != key.JSON() || again.Thumbprint() != key.Thumbprint() || key.Algorithm() != want || key.KeyID() != c.jwk.KeyID || len(key.Thumbprint()) != 43 {
			t.Errorf("%s: %s %s", want, key.JSON(), key.Thumbprint())
		}
		token, err := key.Encrypt([]byte("signed"), map[string]string{"jti": "t"})
		must(t, err)
		var header struct{ Alg, Enc, Cty, Kid, Jti string }
		must(t, json.Unmarshal(decode(t, strings.Split(token, ".")[0]), &header))
		if header.Alg != want || header.Enc != "A256GCM" || header.Cty != "JWT" || header.Kid != c.jwk.KeyID || header.Jti != "t" {
			t.Errorf("%+v", header)
		}
		jwe, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.KeyAlgorithm(want)}, []jose.ContentEncryption{jose.A256GCM})
		must(t, err)
		if inside, err := jwe.Decrypt(c.private); err != nil || string(inside) != "signed" {
			t.Errorf("%s: %q %v", want, inside, err)
		}
	}
}

func TestWhatNothingShouldBeEncryptedToIsRefused(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	rsaKey := func(bits, e int) string {
		n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
		return jwkOf(t, jose.JSONWebKey{Key: &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: e}})
	}
	public := jose.JSONWebKey{Key: p256.Public()}
	with := func(use, alg, kid string) string {
		return jwkOf(t, jose.JSONWebKey{Key: p256.Public(), Use: use, Algorithm: alg, KeyID: kid})
	}
	private := jwkOf(t, jose.JSONWebKey{Key: p256})
	scalar, err := p256.Bytes()
	must(t, err)
	secret := base64.RawURLEncoding.EncodeToString(scalar)
	if !strings.Contains(private, secret) {
		t.Fatal(private)
	}
	good := jwkOf(t, public)
	for what, c := range map[string]struct{ text, why string }{
		"nothing":                {"", "a JSON object"},
		"no JSON":                {"-----BEGIN PUBLIC KEY-----", "a JSON object"},
		"half":                   {good[:len(good)/2], "a JSON object"},
		"a list":                 {"[" + good + "]", "a JSON object"},
		"a key set":              {`{"keys":[` + good + `]}`, "can be read"},
		"a private key":          {private, "private"},
		"a private RSA key":      {jwkOf(t, jose.JSONWebKey{Key: stock()[0]}), "private"},
		"half a private key":     {strings.Replace(good, "{", `{"d":"`+secret+`",`, 1), "private"},
		"a symmetric key":        {`{"kty":"oct","k":"` + secret + `"}`, "private"},
		"RSA of 1024 bits":       {rsaKey(1024, 65537), "1024 bits"},
		"RSA of 2047 bits":       {rsaKey(2047, 65537), "2047 bits"},
		"RSA of 8193 bits":       {rsaKey(8193, 65537), ""},
		"RSA with an exponent 1": {rsaKey(2048, 1), ""},
		"RSA with exponent 2":    {rsaKey(2048, 2), ""},
		"P-384":                  {jwkOf(t, jose.JSONWebKey{Key: p384.Public()}), "P-384, not on P-256"},
		"Ed25519":                {jwkOf(t, jose.JSONWebKey{Key: ed}), "neither"},
		"beside the curve":       {`{"kty":"EC","crv":"P-256","x":"` + secret + `","y":"` + secret + `"}`, "can be read"},
		"for signing":            {with("sig", "", ""), "use is not enc"},
		"to verify":              {strings.Replace(good, "{", `{"key_ops":["verify"],`, 1), "key_ops"},
		"to sign and encrypt":    {strings.Replace(good, "{", `{"key_ops":["deriveKey","sign"],`, 1), "key_ops"},
		"key_ops that are none":  {strings.Replace(good, "{", `{"key_ops":"deriveKey",`, 1), "key_ops"},
		"for ES256":              {with("", "ES256", ""), "alg is not ECDH-ES"},
		"for ECDH-ES+A256KW":     {with("enc", "ECDH-ES+A256KW", ""), "alg is not ECDH-ES"},
		"RSA for RSA-OAEP":       {jwkOf(t, jose.JSONWebKey{Key: stock()[0].Public(), Algorithm: "RSA-OAEP"}), "alg is not RSA-OAEP-256"},
		"a kid with a line":      {with("", "", "a\nb"), "kid"},
		"a long kid":             {with("", "", strings.Repeat("a", 129)), "kid"},
	} {
		key, err := keys.ParseEncryptionKey([]byte(c.text))
		if err == nil {
			err = key.Try()
		}
		if !errors.Is(err, keys.ErrEncryptionKey) || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
