package verify

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// listType is the `typ` of a status list token (draft-ietf-oauth-status-list
// section 5.1).
const listType = "statuslist+jwt"

// bitmap holds the statuses of a list, of 1, 2, 4 or 8 bits each, from the lowest bit
// of the first byte on. Requests read it while the stream sets bits in it.
type bitmap struct {
	words []atomic.Uint32
	bits  uint64
	size  uint64
}

// unpack reads the compressed form of a list (section 4.1). It refuses a list of more
// than limit bytes when unpacked: a few kilobytes can hold gigabytes of zeros.
func unpack(bits int, lst string, limit int64) (*bitmap, error) {
	if bits != 1 && bits != 2 && bits != 4 && bits != 8 {
		return nil, errors.New("its statuses have a size that does not exist")
	}
	packed, err := base64.RawURLEncoding.DecodeString(lst)
	if err != nil {
		return nil, errors.New("it is not base64url")
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errors.New("it is not zlib")
	}
	raw, err := io.ReadAll(io.LimitReader(z, limit+1))
	if err != nil {
		return nil, errors.New("it cannot be unpacked")
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("it has more than %d bytes when unpacked", limit)
	}
	b := &bitmap{
		words: make([]atomic.Uint32, (len(raw)+3)/4),
		bits:  uint64(bits),
		size:  uint64(len(raw)) * 8 / uint64(bits),
	}
	for i := range b.words {
		var w uint32
		for j, c := range raw[4*i : min(4*i+4, len(raw))] {
			w |= uint32(c) << (8 * j)
		}
		b.words[i].Store(w)
	}
	return b, nil
}

// at returns the status with that index, which must be below size. 0 means valid, every
// other value means not valid (section 7.1).
func (b *bitmap) at(index uint64) uint32 {
	bit := index * b.bits
	return b.words[bit/32].Load() >> (bit % 32) & (1<<b.bits - 1)
}

// set makes a status not valid. It ignores an index that the list does not have: a
// token with that index is refused anyway.
func (b *bitmap) set(index uint64) {
	if index < b.size {
		bit := index * b.bits
		b.words[bit/32].Or(1 << (bit % 32))
	}
}

// snapshot is one copy of a status list, as the issuer signed it at one moment. It does
// not change, except for the bits that the stream sets.
type snapshot struct {
	*bitmap
	// issued is the list's `iat`.
	issued time.Time
	// expires is when it expires; the zero time if it does not.
	expires time.Time
	// ttl is how long the copy may be used before it is fetched again; 0 if the list
	// has no `ttl`.
	ttl  time.Duration
	etag string

	// begun is when the request began that fetched it, or that was answered by 304.
	begun time.Time
	// asOf is the latest moment for which the issuer has vouched for this copy.
	asOf time.Time
	// generation is the stream's generation in which it was fetched; 0 if it may lack
	// bits that were set before that generation began.
	generation uint64
	// change is the number of the last change of the server that is in it; nil if the
	// list does not carry one.
	change *uint64
}

// since reports whether the list contains everything up to that change of the server.
// A list without a change number is assumed to.
func (s *snapshot) since(change uint64) bool { return s.change == nil || *s.change >= change }

// readList makes a snapshot of a payload whose signature is good (section 8.3).
func (c *Config) readList(payload []byte, uri string, now time.Time) (*snapshot, error) {
	var cl struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		IssuedAt  *date  `json:"iat"`
		ExpiresAt *date  `json:"exp"`
		TTL       uint32 `json:"ttl"`
		// Change is a claim of Ingam's own: the list contains every event of the stream
		// up to the one with this id.
		Change *uint64 `json:"change"`
		List   struct {
			Bits int    `json:"bits"`
			List string `json:"lst"`
		} `json:"status_list"`
	}
	if err := json.Unmarshal(payload, &cl); err != nil {
		return nil, errors.New("its claims cannot be read")
	}
	switch {
	case cl.Issuer != "" && cl.Issuer != c.Issuer:
		return nil, errors.New("it is another issuer's")
	case cl.Subject != uri:
		// An attacker may have put another list of the same issuer here, in which
		// the bit is not set.
		return nil, errors.New("it is another list")
	case cl.IssuedAt == nil:
		return nil, errors.New("it does not say when it was issued")
	case cl.IssuedAt.After(now.Add(c.Skew)):
		// If it were accepted, every list after it would look like a replay.
		return nil, errors.New("it was issued in the future")
	case cl.ExpiresAt != nil && !now.Before(cl.ExpiresAt.Add(c.Skew)):
		return nil, errors.New("it has expired")
	}
	b, err := unpack(cl.List.Bits, cl.List.List, c.MaxListBytes)
	if err != nil {
		return nil, err
	}
	s := &snapshot{bitmap: b, issued: cl.IssuedAt.Time, change: cl.Change, ttl: time.Duration(cl.TTL) * time.Second}
	if cl.ExpiresAt != nil {
		s.expires = cl.ExpiresAt.Add(c.Skew)
	}
	return s, nil
}
