package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/keys"
)

// Rings makes rings of signing keys, and shared secrets; *keys.Keyring does.
type Rings interface {
	// Ensure creates the keys of a ring that has none, and returns from when every
	// verifier knows a key of the ring that signs.
	Ensure(ctx context.Context, ring keys.Ring, actor string) (known time.Time, err error)
	// Share makes a secret for the API with that id.
	Share(api string) (sealed keys.SharedSecret, shown string, err error)
}

// ensure makes the keys that an API needs as it is wanted and did not need as it is. It
// returns from when every verifier knows a key for the algorithm that is wanted. That is
// also asked if the API seems to have it already: until this update is stored, somebody else
// may change the API to another algorithm, and then this update changes it back.
func (c *Catalog) ensure(ctx context.Context, is, wanted apis.API, by audit.Actor) (known time.Time, err error) {
	encrypts, signs := is.EncryptionJWK == "" && wanted.EncryptionJWK != "", is.Signing.Wants() != wanted.Signing.Wants()
	if (encrypts || signs) && c.Rings == nil {
		return time.Time{}, errors.New("there are no key rings that could make keys for another algorithm, or for encryption")
	}
	if encrypts {
		// Of no interest to verifiers: this server alone opens what it seals.
		if _, err := c.Rings.Ensure(ctx, keys.Seals, string(by)); err != nil {
			return time.Time{}, err
		}
	}
	alg := wanted.Signing.Wants()
	if alg == apis.SharedAlg || !signs && (alg == apis.DefaultAlg || c.Rings == nil) {
		return time.Time{}, nil
	}
	return c.Rings.Ensure(ctx, keys.TokensBy(keys.Algorithm(alg)), string(by))
}
