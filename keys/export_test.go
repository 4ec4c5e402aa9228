package keys

import "crypto/rsa"

// SetGenerator replaces how RSA keys are made.
func SetGenerator(f func(bits int) (*rsa.PrivateKey, error)) { generateRSA = f }

// These errors tell tests why something was refused.
var (
	ErrNotFound = errNotFound
	ErrNoRing   = errNoRing
	ErrEnded    = errEnded
	ErrTooFresh = errTooFresh
)

// Snapshot returns a number that changes when the rings in memory change.
func (k *Keyring) Snapshot() uint64 { return k.held.Load().number }
