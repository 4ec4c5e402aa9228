package keys

import (
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// PublicKey is the public half of a key.
type PublicKey struct {
	KID string
	// JWK is the key as a JSON Web Key (RFC 7517).
	JWK json.RawMessage
	// WithdrawnAt is zero unless the key was withdrawn.
	WithdrawnAt time.Time
}

// PublicKeys returns the public halves of a ring that verify, in the order in which they
// sign, and those of keys that were withdrawn: who verifies what they signed must know that.
// It is for rings whose keys are not in the JWKS.
func (k *Keyring) PublicKeys(ring Ring) ([]PublicKey, error) {
	var all []PublicKey
	held := k.held.Load()
	for _, s := range ringOf(statuses(held.records, k.policy, k.now()), ring).all {
		if _, verifies := held.verifying[ring.purpose()].keys[s.KID]; !verifies && s.State != Withdrawn {
			continue
		}
		public, err := parsePublic(s.record)
		if err != nil {
			return nil, err
		}
		jwk, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: s.KID, Algorithm: string(ring.Algorithm()), Use: "sig"})
		if err != nil {
			return nil, err
		}
		all = append(all, PublicKey{s.KID, jwk, s.WithdrawnAt})
	}
	return all, nil
}
