package keys

import "crypto/rsa"

// SetGenerator replaces how RSA keys are made.
func SetGenerator(f func(bits int) (*rsa.PrivateKey, error)) { generateRSA = f }

// What tests of the package tell refusals by.
var (
	ErrNotFound     = errNotFound
	ErrEnded        = errEnded
	ErrTooFresh     = errTooFresh
	ErrNoSigningKey = errNoSigningKey
)

// Snapshot tells one state of the rings in memory from another.
func (k *Keyring) Snapshot() uint64 { return k.held.Load().number }
