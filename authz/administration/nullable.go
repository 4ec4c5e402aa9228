package administration

import (
	"bytes"
	"encoding/json"
)

// Nullable is a member of a change that can be absent, null or a value (RFC 7396).
type Nullable[T any] struct {
	// Sent is whether the member is there at all.
	Sent bool
	// Value is nil for null.
	Value *T
}

// Null returns a member that is null or, if value is not nil, that value.
func Null[T any](value *T) Nullable[T] { return Nullable[T]{true, value} }

// IsZero makes encoding/json leave the member out (omitzero).
func (n Nullable[T]) IsZero() bool { return !n.Sent }

// MarshalJSON implements json.Marshaler.
func (n Nullable[T]) MarshalJSON() ([]byte, error) { return json.Marshal(n.Value) }

// UnmarshalJSON implements json.Unmarshaler.
func (n *Nullable[T]) UnmarshalJSON(b []byte) error {
	n.Sent, n.Value = true, nil
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	return json.Unmarshal(b, &n.Value)
}
