package indices

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
)

// How many indices are taken at once: few for a client that asks now and then,
// and more each time that they are used up.
const (
	smallestBlock = 256
	// LargestBlock is also what a list must have room for, or it is closed.
	LargestBlock = 16384
)

var (
	// ErrNoOwner: whose an index is to be, or is, is not there, disabled, or was just
	// cut.
	ErrNoOwner = errors.New("the owner of the status is not there, disabled, or was just cut")
	// ErrNoRoom: no open list has room for what is asked.
	ErrNoRoom = errors.New("no open status list has room")
)

// Block is a row of indices that one process may give out.
type Block struct {
	List        int64
	First, Size int64
	// ClientID is whose tokens it is for, and Epoch what it was taken under;
	// empty for one that is for grants.
	ClientID string
	Epoch    changes.Number
}

// Store gives out blocks.
type Store interface {
	// OpenStatusList opens a list, unless there is one that has room for a block
	// of that size and is for tokens of that life. It is opened by the database's
	// clock; now is for the record.
	OpenStatusList(ctx context.Context, l status.List, block int64, now time.Time) error
	// TakeStatusBlock takes indices from an open list for tokens of that life: for
	// a client, with its epoch, or for grants. Returns ErrNoRoom, or ErrNoOwner
	// if the client is not there, is disabled or was cut while it was taken.
	TakeStatusBlock(ctx context.Context, p status.Purpose, life time.Duration, size int64, client string) (Block, error)
}

// Lists is what is known of the lists; *lists.Lists knows it.
type Lists interface {
	// Usable reports whether tokens may be issued for an index now, and the longest
	// that they may live: zero if that is not known.
	Usable(ctx context.Context, r status.Ref) (life time.Duration, ok bool, err error)
	// Alive reports whether a token that refers to an index may not have expired yet.
	Alive(r status.Ref) bool
	// Generation counts how often all lists were read anew, because anything may have
	// happened.
	Generation() int64
}

// Taker gives indices to tokens and grants, out of blocks that it takes from the
// database. A process that dies leaves the rest of its blocks unused, and nothing
// else.
type Taker struct {
	store Store
	lists Lists
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

// New returns a Taker of indices in lists of a size, for tokens that live
// for life unless they are known to live longer.
func New(store Store, lists Lists, life time.Duration, size int64, now func() time.Time) *Taker {
	return &Taker{store: store, lists: lists, life: life, size: size, now: now, owners: map[string]*owner{}}
}

// ForClient returns an index for a token of the client's own that is made under
// an epoch and lives for ttl. Returns ErrNoOwner if the client is not there, is
// disabled, or was just cut.
func (t *Taker) ForClient(ctx context.Context, client string, epoch changes.Number, ttl time.Duration) (status.Ref, error) {
	return t.take(ctx, status.ForClients, client, epoch, ttl)
}

// ForGrant returns an index for a grant whose tokens live for ttl at most.
func (t *Taker) ForGrant(ctx context.Context, ttl time.Duration) (status.Ref, error) {
	return t.take(ctx, status.ForGrants, "", 0, ttl)
}

func (t *Taker) take(ctx context.Context, p status.Purpose, client string, epoch changes.Number, ttl time.Duration) (status.Ref, error) {
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
		return status.Ref{}, ctx.Err()
	}
	life, open, err := t.lists.Usable(ctx, status.Ref{List: o.block.List})
	if err != nil {
		return status.Ref{}, err
	}
	generation := t.lists.Generation()
	// A block of before a cut was set altogether.
	if !open || life < ttl || o.used >= o.block.Size || o.block.Epoch < epoch && client != "" || o.generation != generation {
		size := nextBlock(o.size, t.size)
		block, err := t.takeBlock(ctx, p, client, ttl, size)
		if err != nil {
			return status.Ref{}, err
		}
		o.block, o.generation, o.used, o.size, o.spread = block, generation, 0, size, newSpread(block.Size)
	}
	ref := status.Ref{List: o.block.List, Index: o.block.First + o.spread.at(o.used, o.block.Size)}
	o.used++
	return ref, nil
}

func (t *Taker) takeBlock(ctx context.Context, p status.Purpose, client string, ttl time.Duration, size int64) (Block, error) {
	var block Block
	var err error
	for range 3 {
		block, err = t.store.TakeStatusBlock(ctx, p, ttl, size, client)
		if errors.Is(err, ErrNoOwner) {
			continue // cut while it was taken, perhaps: then the next one is good
		}
		if errors.Is(err, ErrNoRoom) {
			list := status.List{Purpose: p, Life: max(t.life, ttl), Size: t.size}
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
	// This process may not know of a list that another one has opened.
	_, _, err = t.lists.Usable(ctx, status.Ref{List: block.List})
	return block, err
}
