package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
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
		t := reflect.TypeOf(v)
		for t.Kind() == reflect.Pointer { // also to a body that may be left out
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return nil
		}
		if err := noneTwice(json.NewDecoder(bytes.NewReader(data)), ""); err != nil {
			return err
		}
		return strictMembers(data, t)
	},
}

// wrongMember is an error about a member of a body.
type wrongMember struct{ pointer, detail string }

// Error has both, as flawAt takes them apart. A name may hold any character.
func (w *wrongMember) Error() string { return w.pointer + "\x00" + w.detail }

// noneTwice refuses a member that is there twice in an object, at any depth: claims, texts and
// keys have members, too.
func noneTwice(d *json.Decoder, at string) error {
	begin, err := d.Token()
	if err != nil {
		return err
	}
	kind, nested := begin.(json.Delim)
	seen := map[string]bool{}
	for i := 0; nested && d.More(); i++ {
		of := at + "/" + strconv.Itoa(i)
		if kind == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			key := fmt.Sprint(name)
			of = at + "/" + inPointer.Replace(key)
			if seen[key] {
				return &wrongMember{of, "is there twice"}
			}
			seen[key] = true
		}
		if err := noneTwice(d, of); err != nil {
			return err
		}
	}
	if nested {
		_, err = d.Token()
	}
	return err
}

// inPointer writes a name as a part of a JSON Pointer (RFC 6901 section 3).
var inPointer = strings.NewReplacer("~", "~0", "/", "~1")

// strictMembers checks the members of a JSON object that belongs to a struct.
func strictMembers(data []byte, t reflect.Type) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil // the library has said so
	}
	members := membersOf(t)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		key := fmt.Sprint(name)
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
