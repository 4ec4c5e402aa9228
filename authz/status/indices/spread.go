package indices

import (
	"crypto/rand"
	"encoding/binary"
)

// nextBlock is how many indices are taken after a block of that size, from lists
// of that size: for short lists it may be any number.
func nextBlock(last, list int64) int64 { return min(2*last, LargestBlock, list) }

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
