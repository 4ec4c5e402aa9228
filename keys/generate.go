package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"
)

// generate makes a key. It takes up to a second, so it is never called in a transaction.
func (k *Keyring) generate(ring Ring, ordinal int64, published, signsFrom time.Time) (Record, error) {
	if k.master == nil {
		return Record{}, fmt.Errorf("%w: none was given, and a new signing key must be sealed", ErrMasterKey)
	}
	public, private, err := generateHalves(ring.Algorithm(), k.policy.Bits)
	if err != nil {
		return Record{}, fmt.Errorf("generate a signing key: %w", err)
	}
	kid := rand.Text()
	sealed, err := k.master.Seal(ring, kid, private)
	if err != nil {
		return Record{}, fmt.Errorf("seal a signing key: %w", err)
	}
	return Record{
		KID: kid, Ring: ring, Ordinal: ordinal, Public: public, Sealed: sealed,
		PublishedAt: published, SignsFrom: signsFrom,
	}, nil
}

// generateHalves makes a key as it is stored. A symmetric one has no public half.
func generateHalves(a Algorithm, bits int) (public, private []byte, err error) {
	if a == A256GCM {
		private = make([]byte, sealKeyBytes)
		rand.Read(private)
		return []byte{}, private, nil
	}
	signer, err := generatePrivate(a, bits)
	if err != nil {
		return nil, nil, err
	}
	if public, err = x509.MarshalPKIXPublicKey(signer.Public()); err != nil {
		return nil, nil, err
	}
	private, err = x509.MarshalPKCS8PrivateKey(signer)
	return public, private, err
}

func generatePrivate(a Algorithm, bits int) (crypto.Signer, error) {
	switch a {
	case RS256, PS256:
		return generateRSA(bits)
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("there are no keys for %s", a)
}

// generateRSA is replaced in tests by a stock of keys made once: making them
// under the race detector takes seconds.
var generateRSA = func(bits int) (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, bits) }

// fits reports whether a public key is one for an algorithm. A key of another kind in a
// record would have its tokens checked in another way than they were signed.
func fits(a Algorithm, public crypto.PublicKey) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return a == RS256 || a == PS256
	case *ecdsa.PublicKey:
		return a == ES256 && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return a == EdDSA
	}
	return false
}
