package clients

import (
	"context"
	"maps"
	"sync"
	"time"
)

// usesNoted bounds the memory for uses; whoever has more clients misses a note for an hour.
const usesNoted = 100_000

// uses notes in which hour each secret was last used, without a write for each use.
type uses struct {
	mu sync.Mutex
	// noted is the last hour that was noted for each secret; pending is what is not stored
	// yet of it.
	noted, pending map[SecretRef]time.Time
}

// SecretRef names a secret of a client.
type SecretRef struct{ ClientID, ID string }

// note notes a use.
func (u *uses) note(ref SecretRef, now time.Time) {
	hour := now.Truncate(time.Hour)
	u.mu.Lock()
	defer u.mu.Unlock()
	if !hour.After(u.noted[ref]) {
		return
	}
	if len(u.noted) >= usesNoted || u.noted == nil {
		u.noted = map[SecretRef]time.Time{}
	}
	if u.pending == nil {
		u.pending = map[SecretRef]time.Time{}
	}
	u.noted[ref], u.pending[ref] = hour, hour
}

// WriteUses stores in which hour each secret was last used. A crash loses what was noted
// since it was called last.
func (a *Authenticator) WriteUses(ctx context.Context) error {
	a.uses.mu.Lock()
	pending := a.uses.pending
	a.uses.pending = nil
	a.uses.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	err := a.registry.store.NoteSecretUses(ctx, pending)
	if err != nil { // the next call tries again
		a.uses.mu.Lock()
		defer a.uses.mu.Unlock()
		maps.Copy(pending, a.uses.pending)
		a.uses.pending = pending
	}
	return err
}
