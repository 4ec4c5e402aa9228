//go:build !linux || !cgo || static

package openssl

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"log/slog"
)

// Library is the system's OpenSSL. This build has none.
type Library struct{}

// Open fails in this build.
func Open(*slog.Logger) (*Library, error) {
	return nil, errors.New("this build cannot open libraries at run time; the one for Linux that is linked against libc can")
}

// Version is empty.
func (*Library) Version() string { return "" }

// Signer fails in this build.
func (*Library) Signer(string, *rsa.PrivateKey) (crypto.Signer, error) {
	return nil, errors.New("there is no library")
}
