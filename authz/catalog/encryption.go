package catalog

import (
	"fmt"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/keys"
)

// validEncryption refuses an EncryptionJWK that nothing should be encrypted to.
func validEncryption(jwk string) error {
	if jwk == "" {
		return nil
	}
	key, err := keys.ParseEncryptionKey([]byte(jwk))
	if err == nil {
		err = key.Try()
	}
	if err != nil {
		return apis.Invalid(fmt.Errorf("the encryption key is %w", err), "encryption_key")
	}
	return nil
}

// EncryptionKey writes a public JWK as an API has it, so that the same key is the same text.
// Returns apis.ErrInvalid.
func EncryptionKey(jwk []byte) (string, error) {
	key, err := keys.ParseEncryptionKey(jwk)
	if err != nil {
		return "", apis.Invalid(fmt.Errorf("the encryption key is %w", err), "encryption_key")
	}
	return key.JSON(), nil
}

// Encryption returns how access tokens for an API are encrypted: the algorithm, and the kid
// and the thumbprint of the key. They are empty if tokens are only signed.
func Encryption(a apis.API) (alg, kid, thumbprint string) {
	if a.EncryptionJWK == "" {
		return "", "", ""
	}
	key, err := keys.ParseEncryptionKey([]byte(a.EncryptionJWK))
	if err != nil {
		return "unreadable", "", ""
	}
	return key.Algorithm(), key.KeyID(), key.Thumbprint()
}
