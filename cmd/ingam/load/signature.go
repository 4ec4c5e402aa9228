package load

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"runtime"
	"time"
)

// StandardSigner returns a new RSA key of 2048 bits of Go's standard library. One signature
// by it is the unit S, in which costs on different machines can be compared.
func StandardSigner() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// LargestPID is the largest number that a process can have on Linux.
const LargestPID = 1 << 22

// signaturesAtOnce is how many signatures are measured between two rounds.
const signaturesAtOnce = 20

// stopwatch measures how much CPU time signatures of one signer take.
type stopwatch struct {
	signer crypto.Signer
	took   []time.Duration
}

// measure makes some signatures, in one thread.
func (s *stopwatch) measure() error {
	// threadTime is that of the present thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	digest := sha256.Sum256([]byte("what is signed does not matter"))
	for range signaturesAtOnce {
		began := threadTime()
		if _, err := s.signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			return err
		}
		s.took = append(s.took, threadTime()-began)
	}
	return nil
}
