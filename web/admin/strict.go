package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// strictJSON is JSON as the API reads and writes it. The library lets two things pass: null
// for a member that has no such value, which would look as if it was cleared; and a member
// that is there twice, of which whoever looks at the request in between may read the other.
var strictJSON = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal, // writes texts as they are: nothing of it is put into HTML
	Unmarshal: func(data []byte, v any) error {
		if err := json.Unmarshal(data, v); err != nil {
			return err
		}
		if t := reflect.TypeOf(v).Elem(); t.Kind() == reflect.Struct {
			return strictMembers(data, t)
		}
		return nil
	},
}

// wrongMember is an error about a member of a body.
type wrongMember struct{ pointer, detail string }

func (w *wrongMember) Error() string { return w.pointer + " " + w.detail }

// strictMembers checks the members of a JSON object that belongs to a struct.
func strictMembers(data []byte, t reflect.Type) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil // the library has said so
	}
	members, seen := membersOf(t), map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		key := fmt.Sprint(name)
		if seen[key] {
			return &wrongMember{"/" + key, "is there twice"}
		}
		seen[key] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := strictMember(value, "/"+key, members[key]); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func strictMember(value json.RawMessage, at string, f reflect.StructField) error {
	if f.Type == nil {
		return nil
	}
	if string(value) == "null" && f.Tag.Get("nullable") != "true" {
		return &wrongMember{at, "is null, which is none of its values"}
	}
	of := f.Type
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct {
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			return err
		}
		for i, item := range list {
			if err := inside(fmt.Sprintf("%s/%d", at, i), strictMembers(item, of.Elem())); err != nil {
				return err
			}
		}
	}
	return nil
}

// inside says of an error about a member of a part in which part it is.
func inside(at string, err error) error {
	var w *wrongMember
	if errors.As(err, &w) {
		return &wrongMember{at + w.pointer, w.detail}
	}
	return err
}

// membersOf returns the fields of a struct by the names that they have in JSON.
func membersOf(t reflect.Type) map[string]reflect.StructField {
	members := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			members[name] = f
		}
	}
	return members
}
