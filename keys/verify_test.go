package keys_test

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
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// forge signs a header and a payload with RS256 and any key.
func forge(t *testing.T, header, payload string, private *rsa.PrivateKey) string {
	t.Helper()
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	must(t, err)
	return input + "." + encode(signature)
}

func TestOnlyTokensThatWereSignedHereAreTaken(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	good := sign(t, k, keys.Tokens)
	parts := strings.Split(good, ".")
	v, err := k.Verify(keys.Tokens, good, "at+jwt")
	must(t, err)
	if string(v.Payload) != `{"a":1}` {
		t.Errorf("payload %s", v.Payload)
	}
	header := func(more string) string {
		return fmt.Sprintf(`{"alg":"RS256","kid":"%s"%s}`, v.KID, more)
	}
	stranger := stock()[0]
	// The forger's key is not one of stock, so it is not the key of this ring.
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	body, _ := k.JWKS()
	var set struct {
		Keys []struct{ Kid, N string }
	}
	must(t, json.Unmarshal(body, &set))
	n, err := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	must(t, err)
	public := &rsa.PublicKey{E: 65537}
	for _, p := range stock() {
		if encode(p.N.Bytes()) == set.Keys[0].N {
			public, stranger = &p.PublicKey, p
		}
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	hs256 := func(secret []byte) string {
		input := encode([]byte(`{"alg":"HS256","kid":"`+v.KID+`","typ":"at+jwt"}`)) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + encode(mac.Sum(nil))
	}

	// With the right key, forge makes a token that is accepted. So the tokens below are
	// refused only because of their keys.
	if _, err := k.Verify(keys.Tokens, forge(t, header(`,"typ":"at+jwt"`), `{"a":1}`, stranger), "at+jwt"); err != nil {
		t.Fatal(err)
	}

	bad := map[string]string{
		"empty":                       "",
		"two parts":                   parts[0] + "." + parts[1],
		"four parts":                  good + "." + parts[2],
		"five parts":                  good + "..",
		"no signature":                parts[0] + "." + parts[1] + ".",
		"alg none":                    encode([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".",
		"alg none with the signature": encode([]byte(`{"alg":"none","kid":"`+v.KID+`","typ":"at+jwt"}`)) + "." + parts[1] + "." + parts[2],
		"HS256 with the DER":          hs256(der),
		"HS256 with the PEM":          hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with the modulus":      hs256(n),
		"another key":                 forge(t, header(`,"typ":"at+jwt"`), `{"a":1}`, other),
		"another key, embedded": forge(t, header(fmt.Sprintf(`,"typ":"at+jwt","jwk":{"kty":"RSA","n":"%s","e":"AQAB"}`, encode(other.N.Bytes()))),
			`{"a":1}`, other),
		"a link to keys":         forge(t, header(`,"typ":"at+jwt","jku":"https://evil.example/jwks"`), `{"a":1}`, stranger),
		"a certificate":          forge(t, header(`,"typ":"at+jwt","x5c":["AAAA"]`), `{"a":1}`, stranger),
		"critical extension":     forge(t, header(`,"typ":"at+jwt","crit":["exp"],"exp":1`), `{"a":1}`, stranger),
		"unencoded payload":      forge(t, header(`,"typ":"at+jwt","crit":["b64"],"b64":false`), `{"a":1}`, stranger),
		"another typ":            forge(t, header(`,"typ":"JWT"`), `{"a":1}`, stranger),
		"no typ":                 forge(t, header(``), `{"a":1}`, stranger),
		"unknown kid":            forge(t, `{"alg":"RS256","kid":"x","typ":"at+jwt"}`, `{"a":1}`, stranger),
		"no kid":                 forge(t, `{"alg":"RS256","typ":"at+jwt"}`, `{"a":1}`, stranger),
		"the other ring":         sign(t, k, keys.Refresh),
		"payload changed":        parts[0] + "." + encode([]byte(`{"a":2}`)) + "." + parts[2],
		"padding":                good + "=",
		"leading space":          " " + good,
		"trailing line break":    good + "\n",
		"line break within":      good[:len(good)-10] + "\n" + good[len(good)-10:],
		"standard alphabet":      parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]) + "+",
		"JSON serialisation":     fmt.Sprintf(`{"protected":"%s","payload":"%s","signature":"%s"}`, parts[0], parts[1], parts[2]),
		"too long":               good + strings.Repeat("A", keys.MaxTokenLength),
		"bytes that are no text": "\xff\xfe.\x00.\x01",
	}
	last := good[len(good)-1]
	for _, c := range []byte(alphabet) {
		// Of the 63 others, 15 decode to the same bytes.
		if c != last {
			bad["last character "+string(c)] = good[:len(good)-1] + string(c)
		}
	}
	for what, token := range bad {
		v, err := k.Verify(keys.Tokens, token, "at+jwt")
		if !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%s: took %s, %v", what, v.Payload, err)
			continue
		}
		if len(token) > 40 && strings.Contains(err.Error(), token[20:40]) {
			t.Errorf("%s: the error repeats the token", what)
		}
	}
	for length := range good {
		if _, err := k.Verify(keys.Tokens, good[:length], "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("cut to %d of %d bytes: %v", length, len(good), err)
		}
	}
	if _, err := k.Verify(keys.Refresh, good, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
		t.Errorf("by the other ring: %v", err)
	}
}

func FuzzVerifyNeverPanicsAndTakesNothingElse(f *testing.F) {
	set, err := keys.ParseJWKS([]byte(`{"keys":[]}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJSUzI1NiJ9.e30.AA")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := set.Verify(token, "at+jwt"); !errors.Is(err, keys.ErrInvalidToken) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

func TestWhatWasFoundGoodIsNotTakenForMoreThanThatAndNotForLonger(t *testing.T) {
	t.Parallel()
	k, c := newRing(t)
	token := sign(t, k, keys.Tokens)
	want := func(what string, good bool, ring keys.Ring, token, typ string) {
		t.Helper()
		for range 2 { // the second answer may come from memory
			if _, err := k.Verify(ring, token, typ); (err == nil) != good || err != nil && !errors.Is(err, keys.ErrInvalidToken) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	want("a good token", true, keys.Tokens, token, "at+jwt")
	want("as another type", false, keys.Tokens, token, "rt+jwt")
	want("as one of the other ring", false, keys.Refresh, token, "at+jwt")
	last := strings.IndexByte(alphabet, token[len(token)-1])
	want("in another spelling", false, keys.Tokens, token[:len(token)-1]+string(alphabet[last^1]), "at+jwt")

	// The key is gone: by time alone, without a reload.
	other := sign(t, k, keys.Refresh)
	want("a token of the other ring", true, keys.Refresh, other, "at+jwt")
	must(t, k.Maintain(t.Context()))
	c.pass(policy.RotateEvery + policy.LongestToken + time.Hour)
	want("a token whose key is gone", false, keys.Tokens, token, "at+jwt")

	// The key is withdrawn.
	must(t, k.Maintain(t.Context()))
	token = sign(t, k, keys.Tokens)
	want("a token of the next key", true, keys.Tokens, token, "at+jwt")
	must(t, k.Withdraw(t.Context(), find(t, k, keys.Tokens, keys.Active).KID, keys.Intervention{Force: true}))
	want("a token whose key is withdrawn", false, keys.Tokens, token, "at+jwt")
}
