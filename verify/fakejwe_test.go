package verify_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// p256Keys are the keys of APIs that decrypt.
var p256Keys = sync.OnceValue(func() (keys [2]*ecdsa.PrivateKey) {
	for i := range keys {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[i] = k
	}
	return keys
})

// jwk writes a key as JSON.
func jwk(t testing.TB, k jose.JSONWebKey) []byte {
	t.Helper()
	b, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// agreed derives the key of ECDH-ES (RFC 7518 section 4.6.2) for an enc, of size bytes.
func agreed(t testing.TB, private *ecdh.PrivateKey, public *ecdh.PublicKey, enc, apu, apv string, size int) []byte {
	t.Helper()
	z, err := private.ECDH(public)
	if err != nil {
		t.Fatal(err)
	}
	info := []byte{0, 0, 0, 1}
	info = append(info, z...)
	for _, text := range []string{enc, apu, apv} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(text)))
		info = append(info, text...)
	}
	info = binary.BigEndian.AppendUint32(info, uint32(size*8))
	sum := sha256.Sum256(info)
	return sum[:size]
}

// sealing is how an encrypted token is written: with the standard library alone, so that
// the one that reads it is checked by another.
type sealing struct {
	header map[string]any
	cek    []byte
	// key is the encrypted key; empty for ECDH-ES.
	key []byte
}

// forCurve encrypts to a P-256 key; changes to the header may be nil to leave a field out.
func forCurve(t testing.TB, to *ecdsa.PublicKey, changes map[string]any) sealing {
	t.Helper()
	ephemeral, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := ephemeral.ECDH()
	public, _ := to.ECDH()
	var epk map[string]any
	json.Unmarshal(jwk(t, jose.JSONWebKey{Key: ephemeral.Public()}), &epk)
	s := sealing{
		header: map[string]any{"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "jti": "t1", "epk": epk},
		cek:    agreed(t, private, public, "A256GCM", "", "", 32),
	}
	return s.with(changes)
}

// forRSA encrypts to an RSA key.
func forRSA(t testing.TB, to *rsa.PublicKey, changes map[string]any) sealing {
	t.Helper()
	s := sealing{
		header: map[string]any{"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT", "jti": "t1"},
		cek:    make([]byte, 32),
	}
	rand.Read(s.cek)
	var err error
	if s.key, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, to, s.cek, nil); err != nil {
		t.Fatal(err)
	}
	return s.with(changes)
}

func (s sealing) with(changes map[string]any) sealing {
	s.header = maps.Clone(s.header)
	maps.Copy(s.header, changes)
	maps.DeleteFunc(s.header, func(_ string, v any) bool { return v == nil })
	return s
}

func (s sealing) seal(t testing.TB, content string) string {
	t.Helper()
	header, err := json.Marshal(s.header)
	if err != nil {
		t.Fatal(err)
	}
	return s.sealUnder(t, string(header), content)
}

// sealUnder writes a token whose header is any text.
func (s sealing) sealUnder(t testing.TB, header, content string) string {
	t.Helper()
	iv := make([]byte, 12)
	rand.Read(iv)
	return s.sealWith(t, iv, header, content)
}

func (s sealing) sealWith(t testing.TB, iv []byte, header, content string) string {
	t.Helper()
	block, err := aes.NewCipher(s.cek)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	protected := encode(header)
	sealed := gcm.Seal(nil, iv, []byte(content), []byte(protected))
	text, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
	b64 := base64.RawURLEncoding.EncodeToString
	return strings.Join([]string{protected, b64(s.key), b64(iv), b64(text), b64(tag)}, ".")
}
