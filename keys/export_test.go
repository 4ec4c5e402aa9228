package keys

import "crypto/rsa"

// SetGenerator replaces how RSA keys are made.
func SetGenerator(f func(bits int) (*rsa.PrivateKey, error)) { generateRSA = f }

// Seal and Open are the master key's, for tests of what it binds.
func (m *MasterKey) Seal(ring Ring, kid string, private []byte) ([]byte, error) {
	return m.seal(ring, kid, private)
}

func (m *MasterKey) Open(ring Ring, kid string, sealed []byte) ([]byte, error) {
	return m.open(ring, kid, sealed)
}

// Snapshot tells one state of the rings in memory from another.
func (k *Keyring) Snapshot() uint64 { return k.held.Load().number }
