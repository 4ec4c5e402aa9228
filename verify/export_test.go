package verify

import (
	"context"
	"errors"
	"time"
)

// Unpack decompresses a list. Tests of the published vectors use it.
func Unpack(bits int, lst string, limit int64) (size uint64, at func(uint64) uint32, err error) {
	b, err := unpack(bits, lst, limit)
	if err != nil {
		return 0, nil, err
	}
	return b.size, b.at, nil
}

// Opened checks the signature of a text of that type, as Verify does for a token, and says
// for which reason it is refused: published vectors are no access tokens. A key of the set
// also checks what names no key.
func Opened(ctx context.Context, set []byte, secrets [][]byte, narrow, signed, typ string) (payload []byte, reason string) {
	keys, err := parseKeys(set, "")
	if err != nil {
		return nil, err.Error()
	}
	for _, key := range keys {
		keys[""] = key
	}
	v := &Verifier{cfg: Config{Now: time.Now, MaxKeyAge: time.Hour}}
	v.keys.Store(&keySet{keys: keys, begun: time.Now(), asOf: time.Now()})
	payload, err = v.opened(ctx, signed, narrow, secrets, typ)
	if r := (*refusal)(nil); errors.As(err, &r) {
		return nil, names[r.by]
	}
	return payload, ""
}
