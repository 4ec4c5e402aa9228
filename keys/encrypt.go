package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// ErrEncryptionKey: a text is no key that tokens can be encrypted to. The error says why,
// and repeats nothing of the text, which may hold a private key.
var ErrEncryptionKey = errors.New("not a key to encrypt to")

// EncryptionKey is a public key of somebody who alone is to read what is encrypted to it.
type EncryptionKey struct {
	public jose.JSONWebKey
}

// ParseEncryptionKey reads a public JWK (RFC 7517): RSA of 2048 to 8192 bits, which is for
// RSA-OAEP-256, or P-256, which is for ECDH-ES. Anything else is ErrEncryptionKey.
func ParseEncryptionKey(text []byte) (EncryptionKey, error) {
	refuse := func(why string, a ...any) (EncryptionKey, error) {
		return EncryptionKey{}, fmt.Errorf("%w: "+why, append([]any{ErrEncryptionKey}, a...)...)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return refuse("it is not a JWK (RFC 7517), which is a JSON object")
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if members[secret] != nil {
			return refuse("it is a private key, which its owner alone should have; give the public half")
		}
	}
	var k jose.JSONWebKey
	if k.UnmarshalJSON(text) != nil {
		return refuse("it is not a JWK (RFC 7517) that can be read")
	}
	algorithm := jose.ECDH_ES
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		algorithm = jose.RSA_OAEP_256
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 {
			return refuse("it is an RSA key of %d bits, not of 2048 to 8192", bits)
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return refuse("it is on the curve %s, not on P-256", key.Curve.Params().Name)
		}
	default:
		return refuse("it is neither an RSA key nor one on the curve P-256")
	}
	switch {
	case k.Use != "" && k.Use != "enc":
		return refuse("its use is not enc")
	case forSignatures(members["key_ops"]):
		return refuse("its key_ops are for signatures, or cannot be read")
	case k.Algorithm != "" && k.Algorithm != string(algorithm):
		return refuse("its alg is not %s, which is what such a key is for here", algorithm)
	case len(k.KeyID) > 128 || strings.ContainsFunc(k.KeyID, func(r rune) bool { return r <= ' ' || r > '~' }):
		return refuse("its kid has more than 128 characters, or others than visible ASCII characters")
	}
	return EncryptionKey{jose.JSONWebKey{Key: k.Key, KeyID: k.KeyID, Algorithm: string(algorithm), Use: "enc"}}, nil
}

// forSignatures reports whether `key_ops` (RFC 7517 section 4.3) are for signatures, too, or
// are none. A key that also signs should not be encrypted to: one use could be played off
// against the other.
func forSignatures(operations json.RawMessage) bool {
	var list []string
	if operations != nil && json.Unmarshal(operations, &list) != nil {
		return true
	}
	return slices.Contains(list, "sign") || slices.Contains(list, "verify")
}

// Try returns ErrEncryptionKey if nothing can be encrypted to the key.
func (e EncryptionKey) Try() error {
	if _, err := e.Encrypt([]byte("a trial"), nil); err != nil {
		return fmt.Errorf("%w: nothing can be encrypted to it", ErrEncryptionKey)
	}
	return nil
}

// KeyID returns the `kid`, which may be empty, and Algorithm the one `alg` that the key is
// for.
func (e EncryptionKey) KeyID() string     { return e.public.KeyID }
func (e EncryptionKey) Algorithm() string { return e.public.Algorithm }

// Thumbprint returns the SHA-256 thumbprint (RFC 7638).
func (e EncryptionKey) Thumbprint() string {
	sum, err := e.public.Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err) // public keys can be written
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// JSON returns the key as a JWK, with nothing in it that is not needed.
func (e EncryptionKey) JSON() string {
	b, err := e.public.MarshalJSON()
	if err != nil {
		panic(err) // public keys can be written
	}
	return string(b)
}

// Encrypt encrypts a signed token (RFC 7519 section 5.2), as a JWE in compact serialisation
// with A256GCM. further are more members of the protected header.
func (e EncryptionKey) Encrypt(token []byte, further map[string]string) (string, error) {
	o := (&jose.EncrypterOptions{}).WithContentType("JWT")
	for name, value := range further {
		o.WithHeader(jose.HeaderKey(name), value)
	}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{
		Algorithm: jose.KeyAlgorithm(e.public.Algorithm), Key: e.public.Key, KeyID: e.public.KeyID,
	}, o)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	jwe, err := encrypter.Encrypt(token)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return jwe.CompactSerialize()
}
