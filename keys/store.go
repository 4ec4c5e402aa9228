package keys

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrRaced: another process changed the ring between the read and the write, and nothing
// was written. Whoever gets it reads the ring again and decides anew.
var ErrRaced = errors.New("another process changed the key ring first")

// ErrMasterKey: the master key is missing, is not one, or is not the one that sealed
// what is to be opened.
var ErrMasterKey = errors.New("master key")

// Sealer encrypts the private halves of signing keys before they are stored, and decrypts
// them. What is sealed for one kid of a ring does not open for another.
type Sealer interface {
	Seal(ring Ring, kid string, private []byte) (sealed []byte, err error)
	// Open returns ErrMasterKey if something else sealed it.
	Open(ring Ring, kid string, sealed []byte) (private []byte, err error)
}

// Record is a signing key as stored. Its state is computed from these times
// and never stored, so all processes agree on it without talking.
type Record struct {
	// KID is the key id in the header of what the key signs.
	KID  string
	Ring Ring
	// Ordinal counts the keys of a ring from 1. (Ring, Ordinal) is unique:
	// that is what lets two processes rotate exactly once without a lease.
	Ordinal int64
	// Public is the public key, PKIX DER; empty in the ring Seals.
	Public []byte
	// Sealed is the private key, PKCS #8 DER or, in the ring Seals, 32 bytes, encrypted
	// under the master key; nil once destroyed. In the ring Audit it is kept, because it
	// vouches for Public.
	Sealed      []byte
	PublishedAt time.Time
	// SignsFrom is when the key begins to sign, until the next begins.
	SignsFrom time.Time
	// WithdrawnAt is zero unless the key was withdrawn.
	WithdrawnAt time.Time
}

func (r Record) equal(o Record) bool {
	return r.KID == o.KID && r.Ring == o.Ring && r.Ordinal == o.Ordinal &&
		bytes.Equal(r.Public, o.Public) && bytes.Equal(r.Sealed, o.Sealed) &&
		r.PublishedAt.Equal(o.PublishedAt) && r.SignsFrom.Equal(o.SignsFrom) && r.WithdrawnAt.Equal(o.WithdrawnAt)
}

// Action names a kind of change to a ring, for the audit.
type Action string

// The actions there are.
const (
	ActionCreate   Action = "key.create"
	ActionRotate   Action = "key.rotate"
	ActionWithdraw Action = "key.withdraw"
	ActionReseal   Action = "key.reseal"
	ActionDestroy  Action = "key.destroy"
)

// Change is one decision over the rings, committed whole or not at all.
type Change struct {
	At     time.Time
	Actor  string
	Action Action
	Reason string
	// KID is the key that the decision is about.
	KID string

	// Withdraw sets WithdrawnAt of KID to At, if it is not withdrawn already;
	// otherwise the change is refused with ErrRaced.
	Withdraw bool
	// Move sets SignsFrom of keys, each on condition that it still is what was
	// read, that the key is not withdrawn; otherwise ErrRaced.
	Move []Move
	// Insert adds keys; a taken (ring, ordinal) is ErrRaced.
	Insert []Record
	// Reseal replaces the sealed private key of keys that still have one; a
	// key without one any more is passed over.
	Reseal map[string][]byte
	// Destroy erases the sealed private key of these.
	Destroy []string
	// Delete removes these rows.
	Delete []string
}

// Details names every key that the change touches, for the audit.
func (c Change) Details() map[string]string {
	details := map[string]string{}
	note := func(what string, kids []string) {
		if len(kids) > 0 {
			details[what] = strings.Join(kids, " ")
		}
	}
	var moved, inserted []string
	for _, m := range c.Move {
		moved = append(moved, m.KID)
	}
	for _, r := range c.Insert {
		inserted = append(inserted, r.KID)
		details["ring"] = string(r.Ring)
	}
	note("signs_from_changed", moved)
	note("inserted", inserted)
	note("resealed", slices.Sorted(maps.Keys(c.Reseal)))
	note("private_key_destroyed", c.Destroy)
	note("deleted", c.Delete)
	return details
}

// Move is a change of the time at which a key begins to sign.
type Move struct {
	KID      string
	From, To time.Time
}

// Store keeps the records. Each committed change takes a number of the change
// sequence and writes an audit event, in its own transaction.
type Store interface {
	// SigningKeys returns all records, ordered by ring and ordinal.
	SigningKeys(ctx context.Context) ([]Record, error)
	// ChangeKeys commits a decision, or returns ErrRaced and changes nothing.
	ChangeKeys(ctx context.Context, c Change) error
}
