package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// fileError is something wrong at a place of a file.
type fileError struct {
	file string
	line int
	err  error
}

func (e *fileError) Error() string { return fmt.Sprintf("%s:%d: %v", e.file, e.line, e.err) }
func (e *fileError) Unwrap() error { return e.err }

// place is where a value stands in a file.
type place struct {
	file string
	node *yaml.Node
}

// wrong returns an error at a place.
func (p place) wrong(format string, args ...any) error {
	return &fileError{p.file, p.node.Line, fmt.Errorf(format, args...)}
}

// yamlFiles returns the files of a folder whose names end in .yaml or .yml, sorted, or the
// one file that path names.
func yamlFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(file)) {
			files = append(files, file)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no .yaml file in %s", path)
	}
	return files, err
}

// readYAML reads the documents of a file into values that do makes, each with its place. A
// key that a value has no member for is an error: it may be a misspelt one.
func readYAML(file string, do func(place) error) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	for {
		var document yaml.Node
		if err := d.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if len(document.Content) == 0 {
			continue
		}
		if err := do(place{file, document.Content[0]}); err != nil {
			return err
		}
	}
}

// into reads a place into a value, by the names that its members have in JSON.
func (p place) into(value any) error { return p.read(reflect.ValueOf(value).Elem()) }

func (p place) read(v reflect.Value) error {
	node := p.node
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	_, plain := v.Addr().Interface().(encoding.TextUnmarshaler)
	_, own := v.Addr().Interface().(json.Unmarshaler)
	switch {
	case plain || own:
	case v.Kind() == reflect.Pointer && node.Tag != "!!null":
		v.Set(reflect.New(v.Type().Elem()))
		return p.read(v.Elem())
	case v.Kind() == reflect.Struct && node.Kind == yaml.MappingNode:
		return place{p.file, node}.members(v)
	case v.Kind() == reflect.Slice && node.Kind == yaml.SequenceNode:
		list := reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content))
		for i, item := range node.Content {
			if err := (place{p.file, item}).read(list.Index(i)); err != nil {
				return err
			}
		}
		v.Set(list)
		return nil
	}
	var plainValue any
	if err := node.Decode(&plainValue); err != nil {
		return p.wrong("%w", err)
	}
	b, err := json.Marshal(plainValue)
	if err == nil {
		err = json.Unmarshal(b, v.Addr().Interface())
	}
	if err != nil {
		return p.wrong("this is not %s", wordOf(v.Type()))
	}
	return nil
}

// members reads a mapping into a struct.
func (p place) members(v reflect.Value) error {
	known := map[string]reflect.Value{}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			known[name] = v.FieldByIndex(f.Index)
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		key := place{p.file, p.node.Content[i]}
		name := key.node.Value
		member, ok := known[name]
		switch {
		case !ok:
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			return key.wrong("there is no key %q here; there are: %s", name, strings.Join(names, " "))
		case seen[name]:
			return key.wrong("%s is there twice", name)
		}
		seen[name] = true
		if err := (place{p.file, p.node.Content[i+1]}).read(member); err != nil {
			return err
		}
	}
	return nil
}

// wordOf says what a value of a type looks like.
func wordOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "a mapping"
	}
	return "what belongs here"
}
