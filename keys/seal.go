package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// sealKeyBytes is the length of a key of the ring Seals.
const sealKeyBytes = 32

func newSealKey(r Record, key []byte) (*signingKey, error) {
	unreadable := fmt.Errorf("the key %s of the ring %s cannot be read", r.KID, r.Ring)
	if len(key) != sealKeyBytes {
		return nil, unreadable
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, unreadable
	}
	// Random nonces: of four thousand million texts under one key two may have the same
	// with a probability of 2^-32, and the ring rotates.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, unreadable
	}
	return &signingKey{kid: r.KID, ring: r.Ring, from: r.SignsFrom, by: A256GCM, aead: aead}, nil
}

// Seal encrypts a text with the key of the ring Seals that is in use now. It can be opened
// with the same bound bytes alone, which it does not contain.
func (k *Keyring) Seal(text, bound []byte) (sealed string, err error) {
	sk, err := k.signing(Seals)
	if err != nil {
		return "", err
	}
	return sk.kid + "." + base64.RawURLEncoding.EncodeToString(sk.aead.Seal(nil, nil, text, bound)), nil
}

// Unseal returns the text that Seal encrypted, and the kid of the key. What it refuses is
// ErrInvalidToken: what was sealed elsewhere, with other bound bytes, or under a key that is
// gone or, as far as this process knows yet, was withdrawn. If the master key does not open
// the key, that is ErrMasterKey: it says nothing about the text.
func (k *Keyring) Unseal(sealed string, bound []byte) (Verified, error) {
	kid, encoded, ok := strings.Cut(sealed, ".")
	if !ok || len(sealed) > MaxTokenLength {
		return Verified{}, fmt.Errorf("%w: it is not what this server seals", ErrInvalidToken)
	}
	held := k.held.Load()
	sk := held.signer(Seals, kid)
	if sk == nil && slices.Contains(held.unopened, kid) {
		return Verified{}, fmt.Errorf("%w: it does not open the key %s of the ring %s", ErrMasterKey, kid, Seals)
	}
	if sk == nil {
		return Verified{}, ErrUnknownKey
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return Verified{}, fmt.Errorf("%w: it is not in its one spelling", ErrInvalidToken)
	}
	text, err := sk.aead.Open(nil, nil, raw, bound)
	if err != nil {
		return Verified{}, fmt.Errorf("%w: it was not sealed like this", ErrInvalidToken)
	}
	return Verified{kid, text}, nil
}
