package indices

import (
	"slices"
	"testing"
)

// blockSizes returns the sizes of all blocks that a Taker can take, for every list size
// that can be configured. List sizes begin at 4096, and from LargestBlock on they make no
// difference.
func blockSizes() []int64 {
	sizes := map[int64]bool{}
	for list := int64(4096); list <= LargestBlock+1; list++ {
		for last := int64(smallestBlock / 2); ; {
			next := nextBlock(last, list)
			if next == last {
				break
			}
			sizes[next], last = true, next
		}
	}
	all := make([]int64, 0, len(sizes))
	for size := range sizes {
		all = append(all, size)
	}
	slices.Sort(all)
	return all
}

func TestTheOrderOfABlockOfAnySizeIsAPermutation(t *testing.T) {
	t.Parallel()
	sizes := blockSizes()
	if n := len(sizes); n != LargestBlock-4096+1+4 || sizes[0] != smallestBlock || sizes[n-1] != LargestBlock {
		t.Fatalf("%d sizes, from %d to %d", len(sizes), sizes[0], sizes[len(sizes)-1])
	}
	seen := make([]int64, LargestBlock)
	var order int64
	for _, size := range sizes {
		// Sizes with many divisors are tried more often than the others.
		times := 1
		if size <= 4096 || size%2310 == 0 {
			times = 100
		}
		for range times {
			s := newSpread(size)
			order++
			for i := range size {
				index := s.at(i, size)
				if index < 0 || index >= size || seen[index] == order {
					t.Fatalf("%+v gives index %d of %d twice, or it is none", s, index, size)
				}
				seen[index] = order
			}
		}
	}
}
