package lists

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
)

// bits are the statuses of a list, one bit each: 0 is VALID, 1 is INVALID
// (section 7.1). Index 0 is the least significant bit of the first byte (section
// 4.1).
type bits []byte

// Run is a range of indices of one list.
type Run struct {
	List        int64
	First, Size int64
}

func newBits(size int64) bits { return make(bits, (size+7)/8) }

func (b bits) set(index int64) { b[index/8] |= 1 << (index % 8) }
func (b bits) clearRun(run Run) {
	for i := run.First; i < run.First+run.Size; i++ {
		b[i/8] &^= 1 << (i % 8)
	}
}

func (b bits) holds(run Run) bool {
	return run.First >= 0 && run.Size > 0 && run.First+run.Size <= int64(len(b))*8
}
func (b bits) setRun(run Run) {
	if run.First == 0 && run.Size == int64(len(b))*8 {
		for i := range b {
			b[i] = 0xff
		}
		return
	}
	for i := run.First; i < run.First+run.Size; i++ {
		b.set(i)
	}
}

// encode returns the `lst` of a list (section 4.2): ZLIB in base64url. It does not use the
// strongest compression, which the draft recommends: that saves a tenth, but takes 20 times
// as long, and every process encodes after every revocation.
func (b bits) encode() string {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	// Writing to memory cannot fail.
	z.Write(b)
	z.Close()
	return base64.RawURLEncoding.EncodeToString(out.Bytes())
}
