package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/keys"
)

// Rings makes rings of signing keys; *keys.Keyring does.
type Rings interface {
	// Ensure creates the keys of a ring that has none, and returns from when every
	// verifier knows a key of the ring that signs.
	Ensure(ctx context.Context, ring keys.Ring, actor string) (known time.Time, err error)
}

// ensure makes keys for the algorithm in wanted if it is not the one in has. It returns
// from when every verifier knows a key for it.
func (c *Catalog) ensure(ctx context.Context, has, wanted apis.Signing, by audit.Actor) (known time.Time, err error) {
	if wanted.Wants() == has.Wants() {
		return time.Time{}, nil
	}
	if c.Rings == nil {
		return time.Time{}, errors.New("there are no key rings that could make keys for another algorithm")
	}
	return c.Rings.Ensure(ctx, keys.TokensBy(keys.Algorithm(wanted.Wants())), string(by))
}
