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
		return fmt.Errorf("%w: the encryption key is %w", apis.ErrInvalid, err)
	}
	return nil
}

// encryptionNames are what the audit log calls a key by: its thumbprint, of which the kid is
// no part, and its kid. Without a key they are empty.
func encryptionNames(jwk string) (thumbprint, kid string) {
	if jwk == "" {
		return "", ""
	}
	key, err := keys.ParseEncryptionKey([]byte(jwk))
	if err != nil {
		return "unreadable", ""
	}
	return key.Thumbprint(), key.KeyID()
}
