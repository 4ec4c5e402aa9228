package clients

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

// ensure makes keys for the algorithm in wanted if there are none. It returns from when
// every verifier knows a key for it. That is also asked if it is the one in has: until an
// update is stored, somebody else may change the client to another one, and then the update
// changes it back.
func (r *Registry) ensure(ctx context.Context, has, wanted apis.Signing, by audit.Actor) (known time.Time, err error) {
	same := wanted.Wants() == has.Wants()
	if same && (wanted.Wants() == apis.DefaultAlg || r.Rings == nil) {
		return time.Time{}, nil
	}
	if r.Rings == nil {
		return time.Time{}, errors.New("there are no key rings that could make keys for another algorithm")
	}
	return r.Rings.Ensure(ctx, keys.TokensBy(keys.Algorithm(wanted.Wants())), string(by))
}

// ensureEdited makes keys for the algorithm that an edit asks for. That takes a while, and
// so happens before the transaction in which the client is changed.
func (r *Registry) ensureEdited(ctx context.Context, id string, edit func(*Client) error, by audit.Actor) (known time.Time, err error) {
	stored, err := r.store.Client(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	has := stored.IDTokenSigning
	if err := edit(&stored); err != nil {
		return time.Time{}, err
	}
	if err := stored.IDTokenSigning.Validate(); err != nil {
		return time.Time{}, invalid("id_token_signed_response_alg", err)
	}
	return r.ensure(ctx, has, stored.IDTokenSigning, by)
}
