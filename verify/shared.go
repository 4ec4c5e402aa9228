package verify

import (
	"bytes"

	"github.com/go-jose/go-jose/v4"
)

// sharedBytes is the least length of a shared secret: that of the hash (RFC 7518 section
// 3.2). A shorter one could be guessed, offline, from a single token.
const sharedBytes = 32

// mostSecrets is how many secrets an API can have at once: the one that signs, and one that
// will or did.
const mostSecrets = 2

// sharedSecrets checks the secrets of a Config, and returns copies of them.
func (f *faults) sharedSecrets(secrets [][]byte) [][]byte {
	if len(secrets) > mostSecrets {
		f.add("SharedSecrets has %d secrets, more than %d", len(secrets), mostSecrets)
	}
	var copies [][]byte
	for i, s := range secrets {
		if len(s) < sharedBytes {
			f.add("SharedSecrets: number %d has %d bytes, fewer than %d; the issuer shows a secret in base64url", i+1, len(s), sharedBytes)
		}
		copies = append(copies, bytes.Clone(s))
	}
	return copies
}

// openedBy checks the signature of a compact JWS whose header says HS256, and returns the
// payload. One of the secrets must have made it; the comparison takes the same time
// wherever it differs. The kid says nothing that trying both does not.
func openedBy(secrets [][]byte, signed string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(signed, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return nil, invalid(byForm, "it is not a JWS")
	}
	for _, secret := range secrets {
		if payload, err := jws.Verify(secret); err == nil {
			return payload, nil
		}
	}
	return nil, invalid(bySignature, "its signature is wrong")
}
