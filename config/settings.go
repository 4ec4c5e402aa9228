package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// setting is one field of Config, with what its tag says.
type setting struct {
	key, byDefault, doc string
	field               reflect.Value
}

func (s setting) env() string {
	return "INGAM_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

func (s setting) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.key)
}

func (s setting) secret() bool { return s.field.Type() == reflect.TypeFor[Secret]() }

func (s setting) list() bool { return s.field.Kind() == reflect.Slice && s.nested() == nil }

// nested returns the value if it does not fit on a line, otherwise nil.
func (s setting) nested() nested {
	n, _ := s.field.Addr().Interface().(nested)
	return n
}

func (s setting) boolean() bool { return s.field.Kind() == reflect.Bool }

// set parses a value and sets it.
func (s setting) set(text string) error {
	if u, ok := s.field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch s.field.Kind() {
	case reflect.String:
		s.field.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s is not a whole number", quoted(text))
		}
		s.field.SetInt(int64(n))
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%s is neither true nor false", quoted(text))
		}
		s.field.SetBool(b)
	default:
		panic("a setting of a kind that cannot be read: " + s.key)
	}
	return nil
}

// text returns the value in the form in which it could be set.
func (s setting) text() string {
	if m, ok := s.field.Addr().Interface().(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	return fmt.Sprint(s.field.Interface())
}

// settings returns all settings of c, in order.
func settings(c *Config) []setting {
	var list []setting
	var walk func(v reflect.Value, prefix string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			tag := v.Type().Field(i).Tag
			key, ok := tag.Lookup("key")
			if !ok {
				continue
			}
			if _, leaf := tag.Lookup("doc"); !leaf {
				walk(v.Field(i), prefix+key+".")
				continue
			}
			list = append(list, setting{prefix + key, tag.Get("default"), tag.Get("doc"), v.Field(i)})
		}
	}
	walk(reflect.ValueOf(c).Elem(), "")
	return list
}

// source says where a value came from: the line of a file, a variable or a flag.
type source string

const byDefault source = "default"

// shown are the flags that help lists. Every setting has a flag, and dozens of them
// would hide what a command's own help says.
var shown = []string{"config", "issuer", "listen", "database", "master-key-file", "log-level"}

// Flags adds a flag for each setting, and --config.
func Flags(f *pflag.FlagSet) {
	f.String("config", "", "the configuration file (default: "+defaultFile+", if it is there)")
	add := func(name, doc string, boolean, list bool) {
		if list {
			// A repeated flag adds to the list, so that its first value is not lost
			// silently.
			f.StringArray(name, nil, doc)
		} else {
			f.String(name, "", doc)
		}
		if boolean {
			f.Lookup(name).NoOptDefVal = "true"
		}
		f.Lookup(name).Hidden = !slices.Contains(shown, name)
	}
	for _, s := range settings(&Config{}) {
		if s.nested() != nil {
			continue
		}
		doc := s.doc
		if s.byDefault != "" {
			doc += " (default " + s.byDefault + ")"
		}
		add(s.flag(), doc, s.boolean(), s.list())
		if s.secret() {
			add(s.flag()+"-file", "a file that holds "+s.flag(), false, false)
		}
	}
}
