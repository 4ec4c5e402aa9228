package main

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"log/slog"

	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/openssl"
)

// openEngine decides by keys.engine what makes RSA signatures, and logs it.
func openEngine(setting string, log *slog.Logger) (keys.Engine, error) {
	why := "keys.engine is go"
	if setting != "go" {
		library, err := openssl.Open(log)
		if err == nil {
			log.Info("RSA signatures are made by OpenSSL", "version", library.Version())
			return library, nil
		}
		if setting == "openssl" {
			return nil, fmt.Errorf("keys.engine is openssl: %w", err)
		}
		why = err.Error()
	}
	log.Info("RSA signatures are made by crypto/rsa", "reason", why)
	return standardEngine{}, nil
}

// standardEngine leaves the signatures to crypto/rsa.
type standardEngine struct{}

func (standardEngine) Signer(_ string, key *rsa.PrivateKey) (crypto.Signer, error) { return key, nil }
