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

// thumbprint names a key in the audit log; empty if there is none.
func thumbprint(jwk string) string {
	if jwk == "" {
		return ""
	}
	key, err := keys.ParseEncryptionKey([]byte(jwk))
	if err != nil {
		return "unreadable"
	}
	return key.Thumbprint()
}
