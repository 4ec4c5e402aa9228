package indices

import (
	"crypto/rand"
	"encoding/binary"
)

// nextBlock returns how many indices to take after a block of size last, from lists of
// size list.
func nextBlock(last, list int64) int64 { return min(2*last, LargestBlock, list) }

// spread is an order of a block's indices from which nobody who sees tokens can tell how
// many there are, nor which came first (section 12.4).
type spread struct{ factor, start int64 }

// newSpread returns a random order of a block of that size.
func newSpread(size int64) spread {
	for {
		var b [16]byte
		rand.Read(b[:])
		s := spread{int64(binary.LittleEndian.Uint32(b[:])), int64(binary.LittleEndian.Uint32(b[8:]))}
		// If the factor had a common divisor with the size, an index would come
		// twice, and revoking one token would also end another.
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
