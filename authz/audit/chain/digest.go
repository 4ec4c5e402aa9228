package chain

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/ingam/ingam/authz/audit"
)

// Digest stands for an event and all events before it.
type Digest [sha256.Size]byte

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(d) {
		return errors.New("a digest is 64 hexadecimal digits")
	}
	copy(d[:], b)
	return nil
}

// Link is an event in its place.
type Link struct {
	// Number counts from 1, without gaps.
	Number int64
	Event  audit.Event
	Digest Digest
}

// Follow returns the link of an event that comes after a digest. Before the first event
// that is the zero Digest.
func Follow(former Digest, number int64, ev audit.Event) Link {
	return Link{number, ev, sha256.Sum256(canonical(former, number, ev))}
}

// format is the first text of what is digested. Another way to write it would have another
// name.
const format = "ingam audit 1"

// canonical returns the bytes whose SHA-256 is the digest of an event. They are texts, each
// written as its length in bytes, a colon, the text itself in UTF-8 and a comma (netstrings):
// the format; the former digest, in hexadecimal; the number; the id of the event; its time in
// milliseconds since 1970; actor, action, subject and reason; and name and value of each
// detail, ordered by the bytes of the names. All numbers are decimal. So no two events are
// written alike, and any language writes them in a few lines.
func canonical(former Digest, number int64, ev audit.Event) []byte {
	b := make([]byte, 0, 512)
	for _, text := range []string{
		format, former.String(), decimal(number), decimal(ev.ID), decimal(ev.At.UnixMilli()),
		string(ev.Actor), string(ev.Action), ev.Subject, ev.Reason,
	} {
		b = appendText(b, text)
	}
	for _, name := range slices.Sorted(maps.Keys(ev.Details)) {
		b = appendText(appendText(b, name), ev.Details[name])
	}
	return b
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

func appendText(b []byte, text string) []byte {
	b = append(strconv.AppendInt(b, int64(len(text)), 10), ':')
	return append(append(b, text...), ',')
}
