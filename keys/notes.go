package keys

import (
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Notes are short texts that the server gives a browser to bring back soon, and
// that nobody else can write, change or read. They are sealed under the master
// key, which all instances share: what one gave out, another reads.
type Notes struct {
	master *MasterKey
	// purpose keeps those of one kind from being taken for another's.
	purpose string
	life    time.Duration
	now     func() time.Time
}

// NewNotes returns notes for a purpose, each good for a life from its sealing.
func NewNotes(master *MasterKey, purpose string, life time.Duration, now func() time.Time) *Notes {
	return &Notes{master, purpose, life, now}
}

// Seal returns a note in a form that is fit for a URL. It is bound to what it is
// about, which it does not hold: beside anything else it does not open.
func (n *Notes) Seal(note, about []byte) (string, error) {
	plain := binary.BigEndian.AppendUint64(nil, uint64(n.now().Add(n.life).UnixMilli()))
	sealed, err := n.master.aead.Encrypt(append(plain, note...), n.context(about))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open returns what Seal was given, if text is such a note, is about that, and is
// not too old. A note of an older master key opens as long as the keyset holds it.
func (n *Notes) Open(text string, about []byte) (note []byte, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	plain, err := n.master.aead.Decrypt(sealed, n.context(about))
	if err != nil || len(plain) < 8 {
		return nil, false
	}
	expires := time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	return plain[8:], n.now().Before(expires)
}

func (n *Notes) context(about []byte) []byte {
	return append([]byte("ingam note\x00"+n.purpose+"\x00"), about...)
}
