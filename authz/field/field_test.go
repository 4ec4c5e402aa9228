package field_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ingam/ingam/authz/field"
)

func TestAnErrorSaysWhereItIs(t *testing.T) {
	t.Parallel()
	cause := errors.New("wrong")
	for want, err := range map[string]error{
		"":                 cause,
		"/itself/1":        fmt.Errorf("record: %w", itself{field.At(cause, 1)}),
		"/name":            field.At(cause, "name"),
		"/origins/2":       fmt.Errorf("client: %w", field.At(cause, "origins", 2)),
		"/claims/a~1b~0/x": field.At(fmt.Errorf("claims: %w", field.At(cause, "a/b~", "x")), "claims"),
	} {
		if got := field.Pointer(err); got != want || !errors.Is(err, cause) {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	if field.At(nil, "name") != nil || field.Pointer(nil) != "" {
		t.Error("no error is somewhere")
	}
	if text := field.At(cause, "name").Error(); text != "wrong" {
		t.Errorf("the text became %q", text)
	}
}

// itself is an error that says where it is.
type itself struct{ error }

func (i itself) Where() []any  { return []any{"itself"} }
func (i itself) Unwrap() error { return i.error }
