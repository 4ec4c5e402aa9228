package keys

import (
	"io"
	"maps"
	"slices"
	"sync/atomic"
)

// snapshot is the rings as last read. It contains when each key begins to sign, so that a
// rotation needs no new snapshot.
type snapshot struct {
	// number tells one from another: it grows when anything changes.
	number  uint64
	records []Record
	// verifying holds the keys that verify, by purpose.
	verifying map[Ring]KeySet
	// hints holds the keys that verify hints: those that are published, for longer.
	hints KeySet
	// signing holds the keys whose private half can be used, by ring, ordered by when
	// they begin to sign. If the clock is set back, an earlier one signs again.
	signing map[Ring][]*signingKey
	// unopened are the kids of the keys whose private half cannot be used, because the
	// master key does not open it.
	unopened []string
	// jwks is rebuilt when a key in it is gone.
	jwks atomic.Pointer[jwksDocument]
}

// verifies adds a key to those that verify. One of the ring Seals verifies nothing.
func (s *snapshot) verifies(k Status) error {
	if k.Ring == Seals {
		return nil
	}
	public, err := parsePublic(k.record)
	if err != nil {
		return err
	}
	by := k.Ring.Algorithm()
	set, ok := s.verifying[k.Ring.purpose()]
	if !ok {
		set = newKeySet()
		s.verifying[k.Ring.purpose()] = set
	}
	set.keys[k.KID] = verificationKey{public, by, k.GoneAt}
	if k.Ring.published() {
		s.hints.keys[k.KID] = verificationKey{public, by, k.forgottenAt}
	}
	return nil
}

// same reports whether two snapshots verify and sign alike.
func (s *snapshot) same(other *snapshot) bool {
	return slices.EqualFunc(s.records, other.records, Record.equal) && maps.EqualFunc(s.signing, other.signing, slices.Equal)
}

func (s *snapshot) signer(ring Ring, kid string) *signingKey {
	for _, sk := range s.signing[ring] {
		if sk.kid == kid {
			return sk
		}
	}
	return nil
}

// closeOthers closes those keys that the snapshot does not hold. They may be signing still.
func (s *snapshot) closeOthers(opened []*signingKey) {
	for _, sk := range opened {
		if native, ok := sk.private.(io.Closer); ok && s.signer(sk.ring, sk.kid) != sk {
			native.Close()
		}
	}
}
