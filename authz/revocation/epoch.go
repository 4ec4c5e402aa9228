package revocation

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/ingam/ingam/authz/changes"
)

// EpochStore keeps the server's epoch.
type EpochStore interface {
	// ServerEpoch returns the number of the last cut of everything, or 0.
	ServerEpoch(ctx context.Context) (changes.Number, error)
}

// Epoch is the server's own epoch as this process knows it: the number of the
// last cut of everything.
type Epoch struct {
	store EpochStore
	fresh func() bool
	held  atomic.Int64
}

// NewEpoch returns the epoch in store; fresh says whether the copy that Follow
// keeps may be used.
func NewEpoch(store EpochStore, fresh func() bool) *Epoch {
	return &Epoch{store: store, fresh: fresh}
}

// Current returns the number under which tokens are made now. It may be lower
// than the truth by the watcher's staleness: such a token is born cut, and
// never the other way round.
func (e *Epoch) Current(ctx context.Context) (changes.Number, error) {
	if e.fresh() {
		return changes.Number(e.held.Load()), nil
	}
	return e.store.ServerEpoch(ctx)
}

// Follow reads the epoch again when everything was cut.
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
