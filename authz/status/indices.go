package status

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

// How many indices are taken at once: few for a client that asks now and then,
// and more each time that they are used up.
const (
	smallestBlock = 256
	largestBlock  = 16384
)

// Taker gives indices to tokens and grants, out of blocks that it takes from the
// database. A process that dies leaves the rest of its blocks unused, and nothing
// else.
type Taker struct {
	store Store
	lists *Lists
	// life is the longest that tokens usually live, size how many indices a new
	// list has.
	life time.Duration
	size int64
	now  func() time.Time

	mu     sync.Mutex
	owners map[string]*owner
}

// owner is a client, or all grants together.
type owner struct {
	// place is held by whoever takes an index. Not a mutex: while the database is
	// slow, each waits for as long as its own request may.
	place chan struct{}
	block Block
	// generation is that of the lists when the block was taken: a database that
	// was restored does not know of it.
	generation int64
	used       int64
	size       int64
	spread     spread
}

// NewTaker returns a Taker of indices in lists of a size, for tokens that live
// for life unless they are known to live longer.
func NewTaker(store Store, lists *Lists, life time.Duration, size int64, now func() time.Time) *Taker {
	return &Taker{store: store, lists: lists, life: life, size: size, now: now, owners: map[string]*owner{}}
}

// ForClient returns an index for a token of the client's own that is made under
// an epoch and lives for ttl. Returns ErrNotFound if the client is not there, is
// disabled, or was just cut.
func (t *Taker) ForClient(ctx context.Context, client string, epoch changes.Number, ttl time.Duration) (Ref, error) {
	return t.take(ctx, ForClients, client, epoch, ttl)
}

// ForGrant returns an index for a grant whose tokens live for ttl at most.
func (t *Taker) ForGrant(ctx context.Context, ttl time.Duration) (Ref, error) {
	return t.take(ctx, ForGrants, "", 0, ttl)
}

func (t *Taker) take(ctx context.Context, p Purpose, client string, epoch changes.Number, ttl time.Duration) (Ref, error) {
	t.mu.Lock()
	o, ok := t.owners[client]
	if !ok {
		o = &owner{place: make(chan struct{}, 1), size: smallestBlock / 2}
		t.owners[client] = o
	}
	t.mu.Unlock()

	select {
	case o.place <- struct{}{}:
		defer func() { <-o.place }()
	case <-ctx.Done():
		return Ref{}, ctx.Err()
	}
	life, open, err := t.lists.Usable(ctx, Ref{List: o.block.List})
	if err != nil {
		return Ref{}, err
	}
	generation := t.lists.generation.Load()
	// A block of before a cut was set altogether.
	if !open || life < ttl || o.used >= o.block.Size || o.block.Epoch < epoch && client != "" || o.generation != generation {
		size := nextBlock(o.size, t.size)
		block, err := t.takeBlock(ctx, p, client, ttl, size)
		if err != nil {
			return Ref{}, err
		}
		o.block, o.generation, o.used, o.size, o.spread = block, generation, 0, size, newSpread(block.Size)
	}
	ref := Ref{o.block.List, o.block.First + o.spread.at(o.used, o.block.Size)}
	o.used++
	return ref, nil
}

func (t *Taker) takeBlock(ctx context.Context, p Purpose, client string, ttl time.Duration, size int64) (Block, error) {
	var block Block
	var err error
	for range 3 {
		block, err = t.store.TakeStatusBlock(ctx, p, ttl, size, client)
		if errors.Is(err, ErrNotFound) {
			continue // cut while it was taken, perhaps: then the next one is good
		}
		if errors.Is(err, ErrNoRoom) {
			list := List{Purpose: p, Life: max(t.life, ttl), Size: t.size}
			if err := t.store.OpenStatusList(ctx, list, size, t.now()); err != nil {
				return Block{}, err
			}
			continue
		}
		break
	}
	if err != nil {
		return Block{}, err
	}
	return block, t.lists.know(ctx, block.List)
}

// nextBlock is how many indices are taken after a block of that size, from lists
// of that size: for short lists it may be any number.
func nextBlock(last, list int64) int64 { return min(2*last, largestBlock, list) }

// spread gives the indices of a block in an order that tells an onlooker neither
// how many tokens there are nor which came first (section 12.4).
type spread struct{ factor, start int64 }

// newSpread returns a random order of a block of that size.
func newSpread(size int64) spread {
	for {
		var b [16]byte
		rand.Read(b[:])
		s := spread{int64(binary.LittleEndian.Uint32(b[:])), int64(binary.LittleEndian.Uint32(b[8:]))}
		// With a factor that shares a divisor with the size, indices come twice:
		// to revoke one token would end another.
		if coprime(s.factor, size) {
			return s
		}
	}
}

func coprime(a, b int64) bool {
	for b != 0 {
		a, b = b, a%b
	}
	return a == 1
}

func (s spread) at(i, size int64) int64 { return (i*s.factor + s.start) % size }
