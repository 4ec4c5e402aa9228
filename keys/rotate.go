package keys

import (
	"context"
	"fmt"
	"time"
)

// Intervention says how and why an operator rotates or withdraws a key.
type Intervention struct {
	// Now lets the next key sign at once rather than when every verifier must know it. A
	// withdrawal is always at once.
	Now bool
	// Force accepts that some verifiers do not know the next key yet.
	Force         bool
	Actor, Reason string
}

// Rotate lets the next key of a ring sign, and returns its status. With i.Now it refuses
// if verifiers may not know the next key yet, unless i.Force accepts that.
// Returns ErrForceAlone, ErrNoRing, ErrTooFresh or ErrRaced.
func (k *Keyring) Rotate(ctx context.Context, ring Ring, i Intervention) (Status, error) {
	if i.Force && !i.Now {
		return Status{}, ErrForceAlone
	}
	if err := k.Maintain(ctx); err != nil {
		return Status{}, err
	}
	var kid string
	err := k.decide(ctx, func(now time.Time, all []Status) (*Change, error) {
		r := ringOf(all, ring)
		if len(r.all) == 0 {
			switch ring {
			case Audit:
				return nil, fmt.Errorf("%w: no server has chained the audit log yet", ErrNoRing)
			case Seals:
				return nil, fmt.Errorf("%w: no API has asked for encryption", ErrNoRing)
			}
			return nil, fmt.Errorf("%w: no API and no client has asked for %s", ErrNoRing, ring.Algorithm())
		}
		if r.active == nil || r.next == nil {
			return nil, ErrRaced // since Maintain; whoever was faster goes on
		}
		kid = r.next.KID
		ready := r.next.PublishedAt.Add(k.policy.PublishAhead(ring))
		to := now
		switch {
		case i.Now && now.Before(ready) && !i.Force:
			return nil, k.tooFresh(r.next, ready)
		case !i.Now && now.Before(ready):
			to = ready
		}
		if !to.Before(r.next.SignsFrom) {
			return nil, nil // it is due no later anyway
		}
		c := &Change{
			Actor: i.Actor, Action: ActionRotate, Reason: i.Reason, KID: kid,
			Move: []Move{{KID: kid, From: r.next.SignsFrom, To: to}},
		}
		if to.After(now) {
			return c, nil // Maintain inserts the key after it when it signs
		}
		return c, k.insertSuccessor(c, ring, r.last+1, now)
	})
	if err != nil {
		return Status{}, err
	}
	for _, s := range k.List() {
		if s.KID == kid {
			return s, nil
		}
	}
	return Status{}, fmt.Errorf("%w: %s", ErrNotFound, kid)
}

// insertSuccessor adds to a change the key that follows one which signs from
// now on.
func (k *Keyring) insertSuccessor(c *Change, ring Ring, ordinal int64, now time.Time) error {
	next, err := k.generate(ring, ordinal, now, k.dueAfter(ring, now, now))
	if err != nil {
		return err
	}
	c.Insert = append(c.Insert, next)
	return nil
}

func (k *Keyring) tooFresh(next *Status, ready time.Time) error {
	return fmt.Errorf("%w: key %s was published at %s, and some may keep an older key set until %s; wait until then, or use --force and accept that they refuse new tokens until they fetch the key set",
		ErrTooFresh, next.KID, next.PublishedAt.UTC().Format(time.RFC3339), ready.UTC().Format(time.RFC3339))
}

// Withdraw ends a key, and with it everything that it signed: nothing accepts that any
// more, not even as a hint. If it is the key that signs, the next one takes over in the
// same commit, and a fresh one is published. Withdraw refuses a key that is not there or
// that is withdrawn already; and, unless i.Force accepts it, the key that signs, while
// verifiers may not know the next one yet. Returns ErrNotFound, ErrEnded, ErrTooFresh or
// ErrRaced.
func (k *Keyring) Withdraw(ctx context.Context, kid string, i Intervention) error {
	return k.decide(ctx, func(now time.Time, all []Status) (*Change, error) {
		found := indexOf(all, kid)
		if found < 0 {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, kid)
		}
		ring := all[found].Ring
		r := ringOf(all, ring)
		c := &Change{
			Actor: i.Actor, Action: ActionWithdraw, Reason: i.Reason, KID: kid,
			Withdraw: true, Destroy: []string{kid},
		}
		switch all[found].State {
		case Withdrawn:
			return nil, fmt.Errorf("%w: it is withdrawn", ErrEnded)
		case Retired, Gone:
			return c, nil
		case Published:
			replacement, err := k.generate(ring, r.last+1, now, k.dueAfter(ring, all[found].SignsFrom.Add(-k.policy.RotateEvery), now))
			c.Insert = append(c.Insert, replacement)
			return c, err
		}
		if r.next == nil {
			if !i.Force {
				return nil, fmt.Errorf("%w: there is none yet; wait until a server has published it and verifiers know it, or use --force and accept that they refuse new tokens until they fetch the key set", ErrTooFresh)
			}
			heir, err := k.generate(ring, r.last+1, now, now)
			if err != nil {
				return nil, err
			}
			c.Insert = append(c.Insert, heir)
		} else {
			ready := r.next.PublishedAt.Add(k.policy.PublishAhead(ring))
			if now.Before(ready) && !i.Force {
				return nil, k.tooFresh(r.next, ready)
			}
			c.Move = append(c.Move, Move{KID: r.next.KID, From: r.next.SignsFrom, To: now})
		}
		return c, k.insertSuccessor(c, ring, r.last+1+int64(len(c.Insert)), now)
	})
}

func indexOf(all []Status, kid string) int {
	for i, s := range all {
		if s.KID == kid {
			return i
		}
	}
	return -1
}
