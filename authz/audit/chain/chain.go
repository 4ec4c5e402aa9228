package chain

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/keys"
)

// ErrLost: another instance holds the lease now, or the events that were to be chained are
// not as they were read. Nothing was written.
var ErrLost = errors.New("the audit log is chained by another server")

// Lease is the right to chain, until another instance takes it.
type Lease struct {
	// Holder is the instance that holds it, by a random name.
	Holder string
	// Fence grows whenever the lease is taken or used, so that a use proves that nobody
	// else has had it since.
	Fence int64
}

// LeaseTime is for how long an instance that is silent keeps the lease, by the clock of the
// database.
const LeaseTime = 10 * time.Second

// Store reads and writes the chain.
type Store interface {
	// TakeLease gives the lease to an instance that holds it already, or if nobody has used
	// it for LeaseTime. held is false if another instance holds it.
	TakeLease(ctx context.Context, holder string) (l Lease, held bool, err error)
	// ReleaseLease ends a lease.
	ReleaseLease(ctx context.Context, l Lease) error
	// Unchained returns the first events that have no number, by their ids.
	Unchained(ctx context.Context, limit int) ([]audit.Event, error)
	// CountUnchained returns how many there are.
	CountUnchained(ctx context.Context) (int64, error)
	// Tail returns the last number and its digest; zero if nothing is chained yet.
	Tail(ctx context.Context) (Mark, error)
	// Extend writes numbers and digests of events that have none, and the head, in one
	// transaction that uses the lease. newest is the latest time of these events. Returns
	// ErrLost.
	Extend(ctx context.Context, l Lease, links []Link, newest time.Time, h Head) error

	// Links returns the first links with numbers above after, up to and including through.
	Links(ctx context.Context, after, through int64, limit int) ([]Link, error)
	// Heads returns the first heads with such numbers.
	Heads(ctx context.Context, after, through int64, limit int) ([]Head, error)
	// Anchors returns those heads that are anchors, the last one first.
	Anchors(ctx context.Context) ([]Head, error)
	// LastHead returns the head with the highest number; zero if there is none.
	LastHead(ctx context.Context) (Head, error)

	// HeadBefore returns the last head with at most that number up to which, as far as heads
	// say, all events are from before a time; zero if there is none.
	HeadBefore(ctx context.Context, before time.Time, most int64) (Head, error)
	// SetAnchor replaces a head by the anchor with its number. It does nothing if there is
	// no such head any more.
	SetAnchor(ctx context.Context, anchor Head) error
	// PurgeLinks deletes the events up to the number of the anchor, the oldest first and in
	// batches, and then the heads below it, and returns how many events it deleted.
	PurgeLinks(ctx context.Context, anchor int64, batch int) (int, error)
}

// Chain is the chain of the audit log. Run must not be called concurrently.
type Chain struct {
	store Store
	rings *keys.Keyring
	now   func() time.Time
	lease Lease
	// held is set while the lease is, for all this instance knows.
	held bool
}

// New returns the chain of a store, whose heads the ring keys.Audit signs.
func New(store Store, rings *keys.Keyring, now func() time.Time) *Chain {
	return &Chain{store: store, rings: rings, now: now, lease: Lease{Holder: rand.Text()}}
}

// The bounds of one call of Run. A transaction is short, so that requests do not wait for
// it; and what is left over is for the next call.
const (
	together = 1000
	atOnce   = 20
)

// Run chains the events that wait for it, if no other instance does. If there are none, it
// costs one read.
func (c *Chain) Run(ctx context.Context) error {
	for range atOnce {
		n, err := c.extend(ctx)
		if errors.Is(err, ErrLost) {
			c.held = false
			return nil
		}
		if err != nil {
			// Whether it was committed may be unknown, and with it the fence.
			c.held = false
			return err
		}
		if n < together {
			return nil
		}
	}
	return nil
}

// extend chains some events, and returns how many.
func (c *Chain) extend(ctx context.Context) (int, error) {
	if !c.held {
		waiting, err := c.store.Unchained(ctx, 1)
		if err != nil || len(waiting) == 0 {
			return 0, err
		}
		if c.lease, c.held, err = c.take(ctx); err != nil || !c.held {
			return 0, err
		}
	}
	// These are read outside of the transaction, which is shorter so. Whoever has chained
	// since has raised the fence.
	waiting, err := c.store.Unchained(ctx, together)
	if err != nil || len(waiting) == 0 {
		return 0, err
	}
	last, err := c.store.Tail(ctx)
	if err != nil {
		return 0, err
	}
	links, newest := make([]Link, len(waiting)), time.Time{}
	for i, ev := range waiting {
		links[i] = Follow(last.Digest, last.Number+1, ev)
		last = Mark{links[i].Number, links[i].Digest}
		if ev.At.After(newest) {
			newest = ev.At
		}
	}
	head, err := c.sign(ctx, Head{Number: last.Number, Digest: last.Digest, At: c.now()})
	if err != nil {
		return 0, err
	}
	if err := c.store.Extend(ctx, c.lease, links, newest, head); err != nil {
		return 0, err
	}
	c.lease.Fence++
	return len(links), nil
}

func (c *Chain) take(ctx context.Context) (Lease, bool, error) {
	l, held, err := c.store.TakeLease(ctx, c.lease.Holder)
	if err != nil || !held {
		return c.lease, false, err
	}
	return l, true, nil
}

// Release gives the lease back, so that another instance need not wait for its end.
func (c *Chain) Release(ctx context.Context) error {
	if !c.held {
		return nil
	}
	c.held = false
	return c.store.ReleaseLease(ctx, c.lease)
}

// purgedTogether is how many events are below one anchor and above the one before at most,
// so that it does not take long to check them. What is left over is for the next call.
const purgedTogether = 50_000

// Purge deletes events from before a time, and returns how many. It signs an anchor first,
// from which on the chain can be verified without them. What is not chained yet stays.
//
// What is below an anchor is never checked again. So all of it is checked before that: else
// somebody could have the server itself remove, and vouch for, what they have changed.
func (c *Chain) Purge(ctx context.Context, before time.Time, batch int) (int, error) {
	if err := c.reload(ctx); err != nil {
		return 0, err
	}
	from, err := c.anchor(ctx)
	if err != nil {
		return 0, err
	}
	left := 0
	if from.Number > 0 { // what is left of the former time
		if left, err = c.store.PurgeLinks(ctx, from.Number, batch); err != nil {
			return left, err
		}
	}
	last, err := c.store.HeadBefore(ctx, before, from.Number+purgedTogether)
	if err != nil || last.Number <= from.Number {
		return left, err
	}
	if last.Digest, err = c.signed(last); errors.Is(err, ErrWithdrawn) {
		return left, nil // some day there will be a later one
	}
	if err = errors.Join(err, c.leads(ctx, from, last, before)); err != nil {
		return left, fmt.Errorf("the audit log is not as it was written, so it is not purged beyond the event %d: see ingam audit verify: %w", from.Number, err)
	}
	last.Anchor, last.At = true, c.now()
	if last, err = c.sign(ctx, last); err != nil {
		return left, err
	}
	if err := c.store.SetAnchor(ctx, last); err != nil {
		return left, err
	}
	n, err := c.store.PurgeLinks(ctx, last.Number, batch)
	return left + n, err
}

// Withdrawing calls withdraw, which withdraws a key. If that key has signed the anchor, the
// next one signs it anew: otherwise nothing could say any more that what is before it was
// purged, and was not removed. Whoever withdraws a key decides that the anchor of this moment
// is right.
func (c *Chain) Withdrawing(ctx context.Context, withdraw func() error) error {
	if err := c.reload(ctx); err != nil {
		return err
	}
	good, err := c.anchor(ctx)
	if err != nil {
		return err
	}
	if err := withdraw(); err != nil || good.Number == 0 {
		return err
	}
	if is, err := c.anchor(ctx); err != nil || is == good {
		return err
	}
	h, err := c.sign(ctx, Head{Number: good.Number, Digest: good.Digest, At: c.now(), Anchor: true})
	if err != nil {
		return err
	}
	return c.store.SetAnchor(ctx, h)
}

// anchor returns the last anchor that is good; zero if there is none.
func (c *Chain) anchor(ctx context.Context) (Mark, error) {
	anchors, err := c.store.Anchors(ctx)
	if err != nil {
		return Mark{}, err
	}
	for _, a := range anchors {
		if digest, err := c.signed(a); err == nil {
			return Mark{a.Number, digest}, nil
		}
	}
	return Mark{}, nil
}

// leads returns an error unless the events after a mark lead to a head, and are all from
// before a time.
func (c *Chain) leads(ctx context.Context, from Mark, to Head, before time.Time) error {
	for from.Number < to.Number {
		links, err := c.store.Links(ctx, from.Number, to.Number, atATime)
		if err != nil {
			return err
		}
		if len(links) == 0 {
			return fmt.Errorf("the events up to %d are missing", to.Number)
		}
		for _, l := range links {
			next := Follow(from.Digest, from.Number+1, l.Event)
			switch {
			case l.Number != next.Number || l.Digest != next.Digest:
				return fmt.Errorf("the event %d is not what was chained", next.Number)
			case !l.Event.At.Before(before):
				return fmt.Errorf("the event %d is younger than the head %d says", l.Number, to.Number)
			}
			from = Mark{next.Number, next.Digest}
		}
	}
	if from.Digest != to.Digest {
		return fmt.Errorf("the events do not lead to the head %d", to.Number)
	}
	return nil
}
