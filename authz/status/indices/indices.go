package indices

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
)

// The bounds of how many indices are taken at once. A client begins with few, and takes
// twice as many each time that they are used up.
const (
	smallestBlock = 256
	// LargestBlock is also the room that a list must have left: with less it is closed.
	LargestBlock = 16384
)

var (
	// ErrNoOwner: the client or grant that is to own an index does not exist, is
	// disabled, or was just revoked.
	ErrNoOwner = errors.New("the owner of the status is not there, disabled, or was just cut")
	// ErrNoRoom: no open list has room for a block of that size.
	ErrNoRoom = errors.New("no open status list has room")
)

// Block is a range of indices that one process may give out.
type Block struct {
	List        int64
	First, Size int64
	// ClientID is the client for whose tokens the block is, and Epoch the epoch under
	// which it was taken. Both are empty for a block of grants.
	ClientID string
	Epoch    changes.Number
}

// Store gives out blocks.
type Store interface {
	// OpenStatusList opens a list, unless there is one that is for tokens of that life
	// and has room for a block of that size. The time of opening is that of the
	// database's clock; now is for the audit log.
	OpenStatusList(ctx context.Context, l status.List, block int64, now time.Time) error
	// TakeStatusBlock takes indices from an open list for tokens of that life: for
	// a client, with its epoch, or for grants. Returns ErrNoRoom, or ErrNoOwner
	// if the client does not exist, is disabled, or was revoked meanwhile.
	TakeStatusBlock(ctx context.Context, p status.Purpose, life time.Duration, size int64, client string) (Block, error)
}

// Lists says what this process knows about the lists; *lists.Lists does.
type Lists interface {
	// Usable reports whether a token may be issued now that names this place, and how
	// long it may live at most; zero if that is not known.
	Usable(ctx context.Context, r status.Ref) (life time.Duration, ok bool, err error)
	// Alive reports whether there may be tokens naming this place that have not expired.
	Alive(r status.Ref) bool
	// Generation counts how often all lists were read anew, because anything may have
	// changed.
	Generation() int64
}

// Taker gives indices to tokens and grants, out of blocks that it takes from the
// database.
type Taker struct {
	store Store
	lists Lists
	// life is the usual longest life of tokens; size is how many indices a new list
	// has.
	life time.Duration
	size int64
	now  func() time.Time

	mu     sync.Mutex
	owners map[string]*owner
}

// owner is a client, or all grants together.
type owner struct {
	// place is the lock of this owner. It is not a mutex: while the database is slow, a
	// request waits for it no longer than its context lasts.
	place chan struct{}
	block Block
	// generation is the Generation of the lists when the block was taken. After a
	// restore of the database the block may not be in it.
	generation int64
	// used is how many indices of the block were given out.
	used int64
	// size is the size for which the block was asked.
	size   int64
	spread spread
}

// New returns a Taker. A list that it opens has size indices, for tokens that live for
// life, or for longer if the token that needs the list does.
func New(store Store, lists Lists, life time.Duration, size int64, now func() time.Time) *Taker {
	return &Taker{store: store, lists: lists, life: life, size: size, now: now, owners: map[string]*owner{}}
}

// ForClient returns an index for a client's own token, which is made under that epoch and
// lives for ttl. Returns ErrNoOwner if the client does not exist, is disabled, or was
// just revoked.
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
	// In a block that was taken before its client was revoked, all bits are set.
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
			continue // perhaps the client was revoked meanwhile: then the next block is good
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
