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

// bitmap is statuses of 1, 2, 4 or 8 bits each, from the lowest bit of the
// first byte on. It is read while the stream sets bits in it.
type bitmap struct {
	words []atomic.Uint32
	bits  uint64
	size  uint64
}

// unpack reads the compressed form of a list (section 4.1), of no more than
// limit bytes when unpacked: a few kilobytes can hold gigabytes of zeros.
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

// at returns a status; the index must be below size. 0 is valid, and nothing
// else is (section 7.1).
func (b *bitmap) at(index uint64) uint32 {
	bit := index * b.bits
	return b.words[bit/32].Load() >> (bit % 32) & (1<<b.bits - 1)
}

// set makes a status not valid. An index that the list does not have is
// ignored: a token with it is refused anyway.
func (b *bitmap) set(index uint64) {
	if index < b.size {
		bit := index * b.bits
		b.words[bit/32].Or(1 << (bit % 32))
	}
}

// snapshot is a status list as the issuer has signed it. It does not change,
// but for the bits that the stream sets.
type snapshot struct {
	*bitmap
	issued time.Time
	// expires is zero if it does not.
	expires time.Time
	// ttl is how long it may be kept; 0 if that is not said.
	ttl  time.Duration
	etag string

	// begun is when the request for it was, or for the word that it stands.
	begun time.Time
	// asOf is the moment for which this is known to be the issuer's word.
	asOf time.Time
	// generation is the one of the stream in which it was fetched; 0 if it may
	// lack what was set before that began.
	generation uint64
	// change is the last change of the server that it has; nil if it does not say.
	change *uint64
}

// since reports whether a list has all that was set up to a change, or does not
// say.
func (s *snapshot) since(change uint64) bool { return s.change == nil || *s.change >= change }

// readList makes a snapshot of a payload whose signature is good (section 8.3).
func (c *Config) readList(payload []byte, uri string, now time.Time) (*snapshot, error) {
	var cl struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		IssuedAt  *date  `json:"iat"`
		ExpiresAt *date  `json:"exp"`
		TTL       uint32 `json:"ttl"`
		// Change is the issuer's own claim: the id of the stream's event up to which
		// everything is in the list.
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
		// Another list of the same issuer, in which the bit is not set.
		return nil, errors.New("it is another list")
	case cl.IssuedAt == nil:
		return nil, errors.New("it does not say when it was issued")
	case cl.IssuedAt.After(now.Add(c.Skew)):
		// Every later one would look like a replay.
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
