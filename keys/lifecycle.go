package keys

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// errNotFound: there is no key with that kid.
	errNotFound = errors.New("no such key")
	// errEnded: the key is withdrawn already.
	errEnded = errors.New("the key has ended already")
	// errTooFresh: the next key was published so recently that verifiers may
	// not know it yet.
	errTooFresh = errors.New("verifiers cannot all know the next key yet")
)

// attempts is how often a decision is made anew because another process was
// faster; each time, at least one process got ahead.
const attempts = 10

// decide reads the records and commits what plan makes of them; a plan without
// changes is nil. If another process decided first, it starts over.
func (k *Keyring) decide(ctx context.Context, plan func(now time.Time, all []Status) (*Change, error)) error {
	for range attempts {
		records, err := k.store.SigningKeys(ctx)
		if err != nil {
			return err
		}
		// What is stored has milliseconds; what is decided should not differ
		// from what is read back.
		now := k.now().Truncate(time.Millisecond)
		change, err := plan(now, statuses(records, k.policy, now))
		if err != nil || change == nil {
			return err
		}
		change.At = now
		err = k.store.ChangeKeys(ctx, *change)
		if errors.Is(err, ErrRaced) {
			continue
		}
		if err != nil {
			return err
		}
		return k.Reload(ctx)
	}
	return fmt.Errorf("%w, %d times over", ErrRaced, attempts)
}

// Maintain sees to it that each ring has a key that signs and one to follow it,
// destroys private keys that will sign no more, and forgets keys that are needed
// for nothing any more.
// The server calls it when it starts, and then every now and again.
func (k *Keyring) Maintain(ctx context.Context) error {
	for _, ring := range []Ring{Tokens, Refresh} {
		err := k.decide(ctx, func(now time.Time, all []Status) (*Change, error) {
			return k.planNext(now, ringOf(all, ring), ring)
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

// server is the actor of what Maintain does.
const server = "server"

// planNext fills the places that are empty: the key that signs, which is empty
// at the very start, and the one to follow.
func (k *Keyring) planNext(now time.Time, r ringStatus, ring Ring) (*Change, error) {
	// A ring without a key that signs, but with one to follow, is one whose key
	// was withdrawn by a clock that is ahead. The next one signs already (see
	// Sign); a new one that signs at once would be known to nobody.
	if r.next != nil {
		return nil, nil
	}
	// A master key that does not open what is there must not seal what comes
	// after it: no other would open both.
	for _, s := range slices.Backward(r.all) {
		if s.record.Sealed == nil || k.master == nil {
			continue
		}
		if _, err := k.master.Open(ring, s.KID, s.record.Sealed); err != nil {
			return nil, err
		}
		break
	}
	c := &Change{Actor: server, Action: ActionCreate}
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

// dueAfter is when a key that is published now begins to sign, after one that
// began at from.
func (k *Keyring) dueAfter(ring Ring, from, now time.Time) time.Time {
	due, earliest := from.Add(k.policy.RotateEvery), now.Add(k.policy.PublishAhead(ring))
	if due.Before(earliest) {
		return earliest
	}
	return due
}

// planCleaning destroys what can only do harm any more.
func (k *Keyring) planCleaning(now time.Time, r ringStatus, ring Ring) *Change {
	c := &Change{Actor: server, Action: ActionDestroy}
	for _, s := range r.all {
		over := s.forgottenAt
		if s.State == Withdrawn {
			over = s.WithdrawnAt.Add(k.policy.keep(ring))
		}
		switch {
		case s.State != Withdrawn && s.State != Retired && s.State != Gone:
		case now.After(over) && s.record.Ordinal != r.last:
			c.Delete, c.KID = append(c.Delete, s.KID), s.KID
		case s.State != Withdrawn && s.record.Sealed != nil && now.After(s.RetiresAt.Add(k.policy.keepPrivate(ring))):
			c.Destroy, c.KID = append(c.Destroy, s.KID), s.KID
		}
	}
	if c.KID == "" {
		return nil
	}
	return c
}

// keepPrivate is for how long a retired key could still have to sign: an
// instance that is behind, or whose clock is, signs with it; and a refresh token
// may have to be signed again.
func (p Policy) keepPrivate(ring Ring) time.Duration {
	if ring == Refresh {
		return p.Staleness + p.Skew + p.LongestGrace
	}
	return p.Staleness + p.Skew
}

// Reseal seals every private key under the newest key of the master key, and
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

// generate makes a key. It takes a while, and so happens before any
// transaction.
func (k *Keyring) generate(ring Ring, ordinal int64, published, signsFrom time.Time) (Record, error) {
	if k.master == nil {
		return Record{}, fmt.Errorf("%w: none was given, and a new signing key must be sealed", ErrMasterKey)
	}
	private, err := generateRSA(k.policy.Bits)
	if err != nil {
		return Record{}, fmt.Errorf("generate a signing key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return Record{}, fmt.Errorf("generate a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Record{}, fmt.Errorf("generate a signing key: %w", err)
	}
	kid := rand.Text()
	sealed, err := k.master.Seal(ring, kid, der)
	if err != nil {
		return Record{}, fmt.Errorf("seal a signing key: %w", err)
	}
	return Record{
		KID: kid, Ring: ring, Ordinal: ordinal, Public: public, Sealed: sealed,
		PublishedAt: published, SignsFrom: signsFrom,
	}, nil
}

// generateRSA is replaced in tests by a stock of keys made once: making them
// under the race detector takes seconds.
var generateRSA = func(bits int) (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, bits) }
