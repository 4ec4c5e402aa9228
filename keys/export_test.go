package keys

import (
	"crypto/rsa"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// SetGenerator replaces how RSA keys are made.
func SetGenerator(f func(bits int) (*rsa.PrivateKey, error)) { generateRSA = f }

// Snapshot returns a number that changes when the rings in memory change.
func (k *Keyring) Snapshot() uint64 { return k.held.Load().number }

// Check checks a signature as Verify does, on a text with any header: published vectors are
// no tokens of ours. A key of the set also checks what names no key.
func (s KeySet) Check(signed string) (Verified, error) {
	jws, err := parseAny(signed, signatureAlgorithms...)
	if err != nil {
		return Verified{}, err
	}
	for _, key := range s.keys {
		s.keys[""] = key
	}
	return s.checkParsed(jws, signed, time.Time{})
}

// CheckShared is VerifyShared for a text with any header.
func (k *Keyring) CheckShared(s SharedSecret, signed string) (Verified, error) {
	secret, err := k.openShared(s)
	if err != nil {
		return Verified{}, err
	}
	jws, err := parseAny(signed, jose.HS256)
	if err != nil {
		return Verified{}, err
	}
	return s.check(jws, secret)
}

// SignBare signs with a key as it is stored. The header has no typ.
func (k *Keyring) SignBare(r Record, payload []byte) (string, error) {
	sk, err := k.unseal(r)
	if err != nil {
		return "", err
	}
	return sk.sign("", payload)
}

// SignSharedBare is SignShared without a typ.
func (k *Keyring) SignSharedBare(s SharedSecret, payload []byte) (string, error) {
	return k.SignShared(s, "", payload)
}
