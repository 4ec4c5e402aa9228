package revocation

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/ingam/ingam/authz/changes"
)

// epochStore keeps the server's epoch.
type epochStore interface {
	// ServerEpoch returns the number of the change that last revoked everything, or 0.
	ServerEpoch(ctx context.Context) (changes.Number, error)
}

// Epoch is this process's copy of the server's epoch: the number of the change that last
// revoked everything.
type Epoch struct {
	store epochStore
	fresh func() bool
	held  atomic.Int64
}

// NewEpoch returns a copy of the epoch in store. fresh says whether the copy, which Follow
// keeps up to date, may be used.
func NewEpoch(store epochStore, fresh func() bool) *Epoch {
	return &Epoch{store: store, fresh: fresh}
}

// Current returns the epoch for tokens that are made now. It may be out of date by the
// watcher's staleness. Then it is too low, so that the token is revoked from the
// beginning; it is never too high, which would let a token escape revocation.
func (e *Epoch) Current(ctx context.Context) (changes.Number, error) {
	if e.fresh() {
		return changes.Number(e.held.Load()), nil
	}
	return e.store.ServerEpoch(ctx)
}

// Follow reads the epoch again when everything was revoked (see changes.Follower).
func (e *Epoch) Follow(ctx context.Context, changed []changes.Change) error {
	if changed != nil && !slices.ContainsFunc(changed, func(ch changes.Change) bool { return ch.Kind == changes.Everything }) {
		return nil
	}
	n, err := e.store.ServerEpoch(ctx)
	if err != nil {
		return err
	}
	e.held.Store(int64(n))
	return nil
}
