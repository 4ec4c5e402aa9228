package verify

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// decryptionKey is a private key of this API, and the only algorithm for which it is used.
type decryptionKey struct {
	key       any
	kid       string
	algorithm jose.KeyAlgorithm
}

// maxDecryptionKeys bounds how many keys a stranger's token can have tried.
const maxDecryptionKeys = 8

// contentEncryption is the only one that is accepted.
const contentEncryption = jose.A256GCM

// decryptionKeys reads Config.DecryptionKeys.
func (f *faults) decryptionKeys(list [][]byte) (keys []decryptionKey) {
	if len(list) > maxDecryptionKeys {
		f.add("DecryptionKeys are %d, more than %d", len(list), maxDecryptionKeys)
		return nil
	}
	for i, raw := range list {
		// The library's own error could quote the key.
		key, why := parseDecryptionKey(raw)
		if why != "" {
			f.add("DecryptionKeys[%d] %s", i, why)
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// parseDecryptionKey reads a private JWK. If it cannot be used, the text says why.
func parseDecryptionKey(raw []byte) (key decryptionKey, why string) {
	var k jose.JSONWebKey
	if k.UnmarshalJSON(raw) != nil {
		return decryptionKey{}, "is not a JWK (RFC 7517) that can be read"
	}
	switch private := k.Key.(type) {
	case *rsa.PrivateKey:
		if bits := private.N.BitLen(); bits < 2048 || bits > 8192 {
			return decryptionKey{}, fmt.Sprintf("is an RSA key of %d bits, not from 2048 to 8192", bits)
		}
		key.algorithm = jose.RSA_OAEP_256
	case *ecdsa.PrivateKey:
		if private.Curve != elliptic.P256() {
			return decryptionKey{}, "is not on the curve P-256"
		}
		if d, err := private.ECDH(); err != nil || !bytes.Equal(d.PublicKey().Bytes(), uncompressed(&private.PublicKey)) {
			return decryptionKey{}, "has halves that do not belong together"
		}
		key.algorithm = jose.ECDH_ES
	default:
		return decryptionKey{}, "is not the private key of RSA or of the curve P-256"
	}
	if k.Use != "" && k.Use != "enc" {
		return decryptionKey{}, "is for another use than enc"
	}
	// The library ignores key_ops (RFC 7517 section 4.3).
	var further struct {
		Operations []string `json:"key_ops"`
	}
	if json.Unmarshal(raw, &further) != nil {
		return decryptionKey{}, "has key_ops that are none"
	}
	if slices.Contains(further.Operations, "sign") || slices.Contains(further.Operations, "verify") {
		return decryptionKey{}, "is for signatures, by its key_ops"
	}
	if k.Algorithm != "" && k.Algorithm != string(key.algorithm) {
		return decryptionKey{}, "is for another algorithm than " + string(key.algorithm)
	}
	key.key, key.kid = k.Key, k.KeyID
	return key, ""
}

func uncompressed(k *ecdsa.PublicKey) []byte {
	b, _ := k.Bytes() // nil for a point that is not on the curve
	return b
}

// encryptedHeader is the protected header of an encrypted token (RFC 7516 section 4).
type encryptedHeader struct {
	Algorithm   string `json:"alg"`
	Encryption  string `json:"enc"`
	ContentType string `json:"cty"`
	KeyID       string `json:"kid"`
	ID          string `json:"jti"`

	// A header with one of these is refused: what was compressed could be a thousand times
	// as large, and for the others see header.
	Zip  json.RawMessage `json:"zip"`
	JWK  json.RawMessage `json:"jwk"`
	JKU  json.RawMessage `json:"jku"`
	X5C  json.RawMessage `json:"x5c"`
	X5U  json.RawMessage `json:"x5u"`
	Crit json.RawMessage `json:"crit"`
}

// unwrapped returns the signed token of a text that was presented: what is inside, if this
// API has keys to decrypt with. id is then the `jti` in the header, which must be that of
// the signed token.
func (c *Config) unwrapped(token string) (signed, id string, err error) {
	switch {
	case len(c.decryption) == 0:
		return token, "", nil
	case strings.Count(token, ".") == 4:
		return c.decrypted(token)
	case c.AcceptUnencrypted:
		return token, "", nil
	}
	return "", "", invalid(byEncryption, "it is not encrypted")
}

// decrypted opens a compact JWE. It looks at the whole header before it uses a key.
func (c *Config) decrypted(token string) (signed, id string, err error) {
	parts := strings.Split(token, ".")
	for _, part := range parts {
		if !canonical(part) {
			return "", "", invalid(byForm, "it is not base64url in its one spelling")
		}
	}
	var h encryptedHeader
	if raw, err := base64.RawURLEncoding.DecodeString(parts[0]); err != nil || json.Unmarshal(raw, &h) != nil {
		return "", "", invalid(byForm, "its header cannot be read")
	}
	if why := h.refused(); why != "" {
		return "", "", invalid(byEncryption, why)
	}
	// The initialization vector of AES-GCM has 12 bytes, the tag 16 (RFC 7518 section 5.3).
	// Where the key is agreed on, there is none to be sent (section 4.6).
	if direct := h.Algorithm == string(jose.ECDH_ES); direct != (parts[1] == "") || len(parts[2]) != 16 || parts[3] == "" || len(parts[4]) != 22 {
		return "", "", invalid(byForm, "a part of it has the wrong length")
	}
	jwe, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.KeyAlgorithm(h.Algorithm)}, []jose.ContentEncryption{contentEncryption})
	if err != nil {
		return "", "", invalid(byEncryption, "it is not a JWE")
	}
	for _, key := range c.decryption {
		if string(key.algorithm) != h.Algorithm || h.KeyID != "" && key.kid != "" && h.KeyID != key.kid {
			continue
		}
		if inner, err := jwe.Decrypt(key.key); err == nil {
			return string(inner), h.ID, nil
		}
	}
	return "", "", invalid(byEncryption, "no key of this API opens it")
}

// refused says why a header is not accepted; empty if it is.
func (h *encryptedHeader) refused() string {
	switch {
	case h.Algorithm != string(jose.RSA_OAEP_256) && h.Algorithm != string(jose.ECDH_ES):
		return "its key is not encrypted by an algorithm that is accepted"
	case h.Encryption != string(contentEncryption):
		return "it is not encrypted with " + string(contentEncryption)
	case !isType(h.ContentType, "JWT"):
		// RFC 7519 section 5.2.
		return "its content is not said to be a JWT"
	case h.ID == "":
		return "its header has no jti"
	case h.Zip != nil || h.JWK != nil || h.JKU != nil || h.X5C != nil || h.X5U != nil || h.Crit != nil:
		return "its header has a field that is not accepted"
	}
	return ""
}
