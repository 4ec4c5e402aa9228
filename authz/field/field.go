// Package field says which member of a record an error is about, so that who sent the
// record, or fills in its form, can be shown where. It does not own what is wrong.
package field

import (
	"errors"
	"fmt"
	"strings"
)

// At returns err, about the member of a record at that path: names of members as they are
// in JSON, and numbers of elements. It returns nil if err is nil. The text stays.
func At(err error, path ...any) error {
	if err == nil {
		return nil
	}
	return &located{err, path}
}

// Pointer returns where an error is, as a JSON Pointer (RFC 6901), or an empty text if it
// does not say so. Of several places in one chain the outer ones come first.
func Pointer(err error) string {
	var b strings.Builder
	for l := Located(nil); errors.As(err, &l); err = l.Unwrap() {
		for _, name := range l.Where() {
			b.WriteString("/" + escaped.Replace(fmt.Sprint(name)))
		}
	}
	return b.String()
}

// escaped writes a name as RFC 6901 section 3 has it.
var escaped = strings.NewReplacer("~", "~0", "/", "~1")

// Located is an error that says itself where it is: also one of a package that stands below
// this one.
type Located interface {
	error
	Where() []any
	Unwrap() error
}

type located struct {
	error
	path []any
}

func (l *located) Unwrap() error { return l.error }

// Where implements Located.
func (l *located) Where() []any { return l.path }
