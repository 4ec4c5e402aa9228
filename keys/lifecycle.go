package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrNoRing: the ring has no keys.
	ErrNoRing = errors.New("the ring has no keys yet")
	// ErrNotFound: there is no key with that kid.
	ErrNotFound = errors.New("no such key")
	// ErrEnded: the key is withdrawn already.
	ErrEnded = errors.New("the key has ended already")
	// ErrForceAlone: only a rotation at once can be forced.
	ErrForceAlone = errors.New("only a rotation that is at once (now) can be forced")
	// ErrTooFresh: the next key was published so recently that verifiers may
	// not know it yet.
	ErrTooFresh = errors.New("verifiers cannot all know the next key yet")
)

// attempts is how often decide tries while other processes are faster. Each time it loses,
// another process has made its change, so they do not block each other.
const attempts = 10

// decide commits the change that plan decides on, and reads the keys again.
func (k *Keyring) decide(ctx context.Context, plan func(now time.Time, all []Status) (*Change, error)) error {
	changed, err := k.commit(ctx, plan)
	if err != nil || !changed {
		return err
	}
	return k.Reload(ctx)
}

// commit reads the records, and commits the change that plan decides on; nil is no change.
// If another process changed the ring in between, it reads again and asks plan again.
func (k *Keyring) commit(ctx context.Context, plan func(now time.Time, all []Status) (*Change, error)) (changed bool, err error) {
	for range attempts {
		records, err := k.store.SigningKeys(ctx)
		if err != nil {
			return false, err
		}
		// Times are stored in milliseconds. Decisions use the same precision, so
		// that a time that is read back is equal.
		now := k.now().Truncate(time.Millisecond)
		change, err := plan(now, statuses(records, k.policy, now))
		if err != nil || change == nil {
			return false, err
		}
		change.At = now
		if err = k.store.ChangeKeys(ctx, *change); !errors.Is(err, ErrRaced) {
			return err == nil, err
		}
	}
	return false, fmt.Errorf("%w, %d times over", ErrRaced, attempts)
}

// Maintain creates what each ring lacks: a key that signs, and its successor. It destroys
// private keys that will not sign any more, and deletes keys that nothing needs any more.
// The server calls it when it starts and then periodically.
func (k *Keyring) Maintain(ctx context.Context) error {
	rings, err := k.rings(ctx)
	if err != nil {
		return err
	}
	for _, ring := range rings {
		err := k.decide(ctx, func(now time.Time, all []Status) (*Change, error) {
			return k.planNext(now, ringOf(all, ring), ring, server)
		})
		if err != nil {
			return err
		}
		err = k.decide(ctx, func(now time.Time, all []Status) (*Change, error) {
			return k.planCleaning(now, ringOf(all, ring), ring), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rings returns the rings that have keys, and the two that always must.
func (k *Keyring) rings(ctx context.Context) ([]Ring, error) {
	records, err := k.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(Rings(), func(ring Ring) bool {
		return ring != Tokens && ring != Refresh && !slices.ContainsFunc(records, func(r Record) bool { return r.Ring == ring })
	}), nil
}

// Ensure creates the keys of a ring that has none yet: one that signs at once, and its
// successor. It returns from when every verifier knows a key of the ring that signs. What
// had tokens of another algorithm until now must keep that one until then; what is new may
// use the ring at once, since nobody has read the key set for it before. It does not read the
// keys again: they may be part of a larger change that does not stay, and then nobody may be
// told of them.
func (k *Keyring) Ensure(ctx context.Context, ring Ring, actor string) (known time.Time, err error) {
	_, err = k.commit(ctx, func(now time.Time, all []Status) (*Change, error) {
		r := ringOf(all, ring)
		if r.active != nil {
			known = r.active.PublishedAt.Add(k.policy.PublishAhead(ring))
			return nil, nil
		}
		known = now.Add(k.policy.PublishAhead(ring))
		return k.planNext(now, r, ring, actor)
	})
	return known, err
}

// server is the actor, in the audit log, of what Maintain does.
const server = "server"

// planNext decides which keys to create: the successor if there is none, and, in a new
// ring, the key that signs.
func (k *Keyring) planNext(now time.Time, r ringStatus, ring Ring, actor string) (*Change, error) {
	// There may be a successor but no key that signs: a process whose clock is ahead
	// withdrew that one. Sign uses the successor then. A new key that signed at
	// once would be unknown to every verifier.
	if r.next != nil {
		return nil, nil
	}
	// With a wrong master key nothing may be sealed: then neither the right one nor
	// this one would open all keys.
	for _, s := range slices.Backward(r.all) {
		if s.record.Sealed == nil || k.master == nil {
			continue
		}
		if _, err := k.master.Open(ring, s.KID, s.record.Sealed); err != nil {
			return nil, err
		}
		break
	}
	c := &Change{Actor: actor, Action: ActionCreate}
	from := now
	if r.active == nil {
		first, err := k.generate(ring, r.last+1, now, now)
		if err != nil {
			return nil, err
		}
		c.Insert, c.KID = append(c.Insert, first), first.KID
	} else {
		from = r.active.SignsFrom
	}
	if r.next == nil {
		next, err := k.generate(ring, r.last+1+int64(len(c.Insert)), now, k.dueAfter(ring, from, now))
		if err != nil {
			return nil, err
		}
		c.Insert, c.KID = append(c.Insert, next), next.KID
	}
	return c, nil
}

// dueAfter is when a key that is published now begins to sign, if the key before it began
// at from.
func (k *Keyring) dueAfter(ring Ring, from, now time.Time) time.Time {
	due, earliest := from.Add(k.policy.RotateEvery), now.Add(k.policy.PublishAhead(ring))
	if due.Before(earliest) {
		return earliest
	}
	return due
}

// planCleaning decides which private keys to destroy and which keys to delete, so that
// nobody can steal what the server does not need any more.
func (k *Keyring) planCleaning(now time.Time, r ringStatus, ring Ring) *Change {
	c := &Change{Actor: server, Action: ActionDestroy}
	for _, s := range r.all {
		over := s.forgottenAt
		if s.State == Withdrawn {
			over = s.WithdrawnAt.Add(k.policy.keep(ring))
		}
		switch {
		case s.State != Withdrawn && s.State != Retired && s.State != Gone:
		// The heads of the audit log are signed once and verified for years, and the sealed
		// private half vouches for the public one. They are small, and there is one for each
		// rotation.
		case ring == Audit:
		case now.After(over) && s.record.Ordinal != r.last:
			c.Delete, c.KID = append(c.Delete, s.KID), s.KID
		case s.State != Withdrawn && s.record.Sealed != nil && k.isSpent(s, now):
			c.Destroy, c.KID = append(c.Destroy, s.KID), s.KID
		}
	}
	if c.KID == "" {
		return nil
	}
	return c
}

// isSpent reports whether the private half of a key is not needed to sign any more.
func (k *Keyring) isSpent(s Status, now time.Time) bool {
	return !s.RetiresAt.IsZero() && now.After(s.RetiresAt.Add(k.policy.keepPrivate(s.Ring)))
}

// keepPrivate is for how long the private half of a retired key is kept. An instance whose
// copy of the ring is old, or whose clock is behind, still signs with it; and a client that
// repeats a refresh gets a token that is signed again with it.
func (p Policy) keepPrivate(ring Ring) time.Duration {
	switch ring {
	case Refresh:
		return p.Staleness + p.Skew + p.LongestGrace
	case Seals:
		return p.keep(ring) // it is what opens, too
	}
	return p.Staleness + p.Skew
}

// Reseal encrypts every private key again, with the newest key of the master key file, and
// returns how many there are.
func (k *Keyring) Reseal(ctx context.Context, actor string) (n int, err error) {
	err = k.decide(ctx, func(_ time.Time, all []Status) (*Change, error) {
		c := &Change{Actor: actor, Action: ActionReseal, Reseal: map[string][]byte{}}
		for _, s := range all {
			if s.record.Sealed == nil {
				continue
			}
			private, err := k.master.Open(s.Ring, s.KID, s.record.Sealed)
			if err != nil {
				return nil, err
			}
			if c.Reseal[s.KID], err = k.master.Seal(s.Ring, s.KID, private); err != nil {
				return nil, err
			}
		}
		if n = len(c.Reseal); n == 0 {
			return nil, nil
		}
		return c, nil
	})
	return n, err
}
