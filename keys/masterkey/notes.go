package masterkey

import (
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Notes are short texts that the server hands to a browser, which soon brings them back.
// They are encrypted under the master key, so the browser can neither read nor change
// one, nor write its own. All instances share that key: each reads what another gave out.
type Notes struct {
	master *Key
	// purpose says what the notes are for: one for another purpose does not open.
	purpose string
	life    time.Duration
	now     func() time.Time
}

// NewNotes returns the notes for one purpose. Each can be opened for as long as life
// says, from when it was sealed.
func NewNotes(master *Key, purpose string, life time.Duration, now func() time.Time) *Notes {
	return &Notes{master, purpose, life, now}
}

// Seal encrypts a note, in a form that can stand in a URL. The note is bound to about,
// such as the request that it belongs to, and does not contain it: with another about it
// does not open.
func (n *Notes) Seal(note, about []byte) (string, error) {
	plain := binary.BigEndian.AppendUint64(nil, uint64(n.now().Add(n.life).UnixMilli()))
	sealed, err := n.master.aead.Encrypt(append(plain, note...), n.context(about))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open decrypts a note. ok is false if text is no note for this purpose, was sealed with
// another about, or is too old. A note that an older key sealed opens for as long as the
// master key file holds that key too.
func (n *Notes) Open(text string, about []byte) (note []byte, ok bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
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
