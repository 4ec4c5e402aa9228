package config

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"
)

// defaultFile is read if it is there and no other is named.
const defaultFile = "ingam.yaml"

// setting is one field of Config.
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

func (s setting) boolean() bool { return s.field.Kind() == reflect.Bool }

// set reads a value.
func (s setting) set(text string) error {
	if u, ok := s.field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err := u.UnmarshalText([]byte(text))
		if err != nil && s.key == "log.level" {
			return fmt.Errorf("%q is not a level; there are debug, info, warn and error", text)
		}
		return err
	}
	switch s.field.Kind() {
	case reflect.String:
		s.field.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		s.field.SetInt(int64(n))
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		s.field.SetBool(b)
	default:
		panic("a setting of a kind that cannot be read: " + s.key)
	}
	return nil
}

// isText reports whether the value has a text form of its own.
func (s setting) isText() bool {
	_, ok := s.field.Addr().Interface().(encoding.TextMarshaler)
	return ok
}

// text is the value as it could be set.
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

// settings returns all of c's, in order.
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

// source is where a value came from: a place that can be gone to.
type source string

const byDefault source = "default"

// shown are the flags that help lists. There are as many as there are settings,
// and dozens of them above every command would hide what it is about.
var shown = []string{"config", "issuer", "listen", "database", "master-key-file", "log-level"}

// Flags adds a flag for each setting, and --config.
func Flags(f *pflag.FlagSet) {
	f.String("config", "", "the configuration file (default: "+defaultFile+", if it is there)")
	add := func(name, doc string, boolean bool) {
		f.String(name, "", doc)
		if boolean {
			f.Lookup(name).NoOptDefVal = "true"
		}
		f.Lookup(name).Hidden = !slices.Contains(shown, name)
	}
	for _, s := range settings(&Config{}) {
		doc := s.doc
		if s.byDefault != "" {
			doc += " (default " + s.byDefault + ")"
		}
		add(s.flag(), doc, s.boolean())
		if s.secret() {
			add(s.flag()+"-file", "a file that holds "+s.flag(), false)
		}
	}
}

// loader gathers what is wrong, so that it can be said at once.
type loader struct {
	config   *Config
	byKey    map[string]setting
	problems []error
}

func (l *loader) wrong(at source, key, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	// A variable and a flag are their own key; a line of a file is not.
	if strings.HasPrefix(string(at), "INGAM_") || strings.HasPrefix(string(at), "--") || key == "" {
		l.problems = append(l.problems, fmt.Errorf("%s: %w", at, err))
		return
	}
	l.problems = append(l.problems, fmt.Errorf("%s: %s: %w", at, key, err))
}

// take sets a value from one source. A secret may be given as a file that holds
// it, by a key that ends in _file.
func (l *loader) take(at source, key, text string) {
	s, ok := l.byKey[key]
	if base, isFile := strings.CutSuffix(key, "_file"); !ok && isFile && l.byKey[base].field.IsValid() && l.byKey[base].secret() {
		b, err := os.ReadFile(text)
		if err != nil {
			l.wrong(at, key, "%w", err)
			return
		}
		s, text = l.byKey[base], strings.TrimRight(string(b), "\r\n")
	}
	// Within one source, a secret given twice is a mistake; between sources
	// the later wins.
	if before := l.config.sources[s.key]; s.secret() && samePlace(before, at) {
		l.wrong(at, key, "the setting is also given at %s", before)
		return
	}
	if err := s.set(text); err != nil {
		l.wrong(at, key, "%w", err)
		return
	}
	l.config.sources[s.key] = at
}

func samePlace(a, b source) bool {
	kind := func(s source) string {
		switch {
		case s == "" || s == byDefault:
			return ""
		case strings.HasPrefix(string(s), "INGAM_"):
			return "INGAM_"
		case strings.HasPrefix(string(s), "--"):
			return "--"
		}
		return "file"
	}
	return kind(a) != "" && kind(a) == kind(b)
}

// known reports whether a key is a setting, or the file of a secret one.
func (l *loader) known(key string) bool {
	base, isFile := strings.CutSuffix(key, "_file")
	s, ok := l.byKey[base]
	return l.byKey[key].field.IsValid() || isFile && ok && s.secret()
}

// Load reads the configuration from its sources: flags, which must have been
// parsed, over environ over the file over defaults. All that is wrong is one
// error, a line each.
func Load(flags *pflag.FlagSet, environ []string) (*Config, error) {
	c := &Config{sources: map[string]source{}}
	l := &loader{config: c, byKey: map[string]setting{}}
	all := settings(c)
	for _, s := range all {
		l.byKey[s.key] = s
		c.sources[s.key] = byDefault
		if s.byDefault != "" {
			if err := s.set(s.byDefault); err != nil {
				panic("the default of " + s.key + ": " + err.Error())
			}
		}
	}
	variables := l.variables(environ)
	l.file(flags, variables["INGAM_CONFIG"])
	for _, s := range all {
		for _, key := range []string{s.key, s.key + "_file"} {
			name := setting{key: key}.env()
			if text, ok := variables[name]; ok && l.known(key) {
				l.take(source(name), key, text)
			}
		}
	}
	for _, s := range all {
		for _, key := range []string{s.key, s.key + "_file"} {
			name := setting{key: key}.flag()
			if f := flags.Lookup(name); l.known(key) && f != nil && f.Changed {
				l.take(source("--"+name), key, f.Value.String())
			}
		}
	}
	if len(l.problems) == 0 {
		l.problems = c.check()
	}
	if err := errors.Join(l.problems...); err != nil {
		return nil, fmt.Errorf("the configuration is wrong:\n%w", err)
	}
	return c, nil
}

// serviceLinks are the variables that Kubernetes sets in every container of a
// namespace that has a service called ingam.
var serviceLinks = regexp.MustCompile(`^INGAM_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP)(_PROTO|_PORT|_ADDR)?)?)$`)

// variables returns the environment's INGAM_… variables, and objects to those
// that are no setting: a misspelt one would be ignored, which is the worst that
// can happen to a setting.
func (l *loader) variables(environ []string) map[string]string {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "INGAM_") || strings.HasPrefix(name, "INGAM_TEST_") || serviceLinks.MatchString(name) {
			continue
		}
		vars[name] = value
	}
	names := []string{"INGAM_CONFIG"}
	for key := range l.byKey {
		names = append(names, setting{key: key}.env())
		if l.known(key + "_file") {
			names = append(names, setting{key: key + "_file"}.env())
		}
	}
	for name := range vars {
		if !slices.Contains(names, name) {
			l.wrong(source(name), "", "there is no such setting%s", suggest(name, names))
		}
	}
	return vars
}

// file reads the configuration file.
func (l *loader) file(flags *pflag.FlagSet, fromEnv string) {
	path, named := defaultFile, false
	if fromEnv != "" {
		path, named = fromEnv, true
	}
	if f := flags.Lookup("config"); f != nil && f.Changed {
		path, named = f.Value.String(), true
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return
	}
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("the configuration file: %w", err))
		return
	}
	var document yaml.Node
	if err := yaml.Unmarshal(b, &document); err != nil {
		l.problems = append(l.problems, fmt.Errorf("%s is not YAML: %w", path, err))
		return
	}
	if len(document.Content) == 0 {
		return
	}
	l.section(path, "", document.Content[0])
}

// section reads one mapping of the file.
func (l *loader) section(path, prefix string, n *yaml.Node) {
	at := func(n *yaml.Node) source { return source(fmt.Sprintf("%s:%d", path, n.Line)) }
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.wrong(at(n), strings.TrimSuffix(prefix, "."), "settings are expected here, as key: value")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		switch {
		case seen[key]:
			l.wrong(at(name), key, "it is given twice")
		case l.isSection(key):
			l.section(path, key+".", value)
		case !l.known(key):
			l.wrong(at(name), key, "there is no such setting%s", suggest(key, l.keys()))
		default:
			if text, ok := scalar(value); ok {
				l.take(at(name), key, text)
			} else {
				l.wrong(at(value), key, "a single value, or a list of them, is expected here")
			}
		}
		seen[key] = true
	}
}

// scalar returns a value, or a list of them, as it would be written in a
// variable.
func scalar(n *yaml.Node) (string, bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "", true
		}
		return n.Value, true
	case yaml.SequenceNode:
		var list []string
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return "", false
			}
			list = append(list, item.Value)
		}
		return strings.Join(list, ","), true
	}
	return "", false
}

func (l *loader) isSection(key string) bool {
	for k := range l.byKey {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

func (l *loader) keys() []string {
	var keys []string
	for k := range l.byKey {
		keys = append(keys, k)
	}
	return keys
}

// suggest names the setting that a misspelt one may be meant for.
func suggest(name string, names []string) string {
	best, nearest := "", 4
	for _, candidate := range slices.Sorted(slices.Values(names)) {
		if d := distance(name, candidate); d < nearest {
			best, nearest = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is how many letters to change to get from a to b (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// Print writes the effective configuration as YAML that can be read again,
// without secrets, and with where each value comes from.
func (c *Config) Print(w io.Writer) error {
	var b strings.Builder
	section := ""
	for _, s := range settings(c) {
		name, indent := s.key, ""
		if of, rest, nested := strings.Cut(s.key, "."); nested {
			if of != section {
				fmt.Fprintf(&b, "%s:\n", of)
			}
			section, name, indent = of, rest, "  "
		}
		value := []byte(s.text())
		if kind := s.field.Kind(); kind != reflect.Int && kind != reflect.Bool || s.isText() {
			var err error
			if value, err = yaml.Marshal(s.text()); err != nil {
				return err
			}
		}
		line := indent + name + ": " + strings.TrimSpace(string(value))
		fmt.Fprintf(&b, "%-52s # %s\n", line, c.sources[s.key])
	}
	_, err := io.WriteString(w, b.String())
	return err
}
