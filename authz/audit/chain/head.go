package chain

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// HeadType is the `typ` of a signed head.
const HeadType = "ingam-audit-head+jwt"

// Head says that the chain had a digest at a number, and is signed.
type Head struct {
	Number int64
	Digest Digest
	// At is when it was signed.
	At time.Time
	// Anchor says that the events up to the number may have been purged: the chain begins
	// after it.
	Anchor bool
	// KID is that of the key that signed it, and Signed the head as a JWS.
	KID, Signed string
}

// claims is what is signed.
type claims struct {
	Number int64  `json:"number"`
	Digest Digest `json:"digest"`
	At     int64  `json:"iat"`
	Anchor bool   `json:"anchor,omitempty"`
}

// claims returns what is to be signed.
func (h Head) claims() ([]byte, error) {
	return json.Marshal(claims{h.Number, h.Digest, h.At.Unix(), h.Anchor})
}

// signed returns the digest that claims say for the number of the head. An anchor is one only
// if they say so.
func (h Head) signed(b []byte) (Digest, error) {
	var c claims
	if err := json.Unmarshal(b, &c); err != nil {
		return Digest{}, errors.New("what is signed is no head")
	}
	if c.Number != h.Number || c.Anchor != h.Anchor {
		return Digest{}, errors.New("what is signed is another head")
	}
	return c.Digest, nil
}

// Mark is a number with its digest, as it is kept elsewhere.
type Mark struct {
	Number int64
	Digest Digest
}

// String returns the mark as NUMBER:DIGEST.
func (m Mark) String() string { return decimal(m.Number) + ":" + m.Digest.String() }

// MarshalText implements encoding.TextMarshaler.
func (m Mark) MarshalText() ([]byte, error) {
	if m == (Mark{}) {
		return nil, nil
	}
	return []byte(m.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mark) UnmarshalText(text []byte) (err error) {
	number, digest, _ := strings.Cut(string(text), ":")
	if m.Number, err = strconv.ParseInt(number, 10, 64); err != nil || m.Number < 1 || m.Digest.UnmarshalText([]byte(digest)) != nil {
		return fmt.Errorf("%q is no head of the audit log: it is NUMBER:DIGEST, as `ingam audit head` prints it", text)
	}
	return nil
}
