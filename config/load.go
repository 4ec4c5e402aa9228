package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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

func (s setting) list() bool { return s.field.Kind() == reflect.Slice && s.nested() == nil }

// nested returns the value if it does not fit on a line.
func (s setting) nested() nested {
	n, _ := s.field.Addr().Interface().(nested)
	return n
}

func (s setting) boolean() bool { return s.field.Kind() == reflect.Bool }

// set reads a value.
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
	add := func(name, doc string, boolean, list bool) {
		if list {
			// Given again, it adds: the first must not be lost without a word.
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

// loader gathers what is wrong, so that it can be said at once.
type loader struct {
	config   *Config
	byKey    map[string]setting
	problems []error
	// broken are the settings among the problems.
	broken map[string]bool
	// folder is that of the configuration file while it is read, else empty.
	folder string
	// moved are settings of the file whose path leads somewhere from the working
	// directory alone, and what is to be said of it unless another source wins.
	moved map[string]func()
}

func (l *loader) wrong(at source, key, format string, args ...any) {
	l.broken[key] = true
	if base, isFile := strings.CutSuffix(key, "_file"); isFile {
		l.broken[base] = true
	}
	err := fmt.Errorf(format, args...)
	// A variable and a flag are their own key; a line of a file is not.
	if strings.HasPrefix(string(at), "INGAM_") || strings.HasPrefix(string(at), "--") || key == "" {
		l.problems = append(l.problems, fmt.Errorf("%s: %w", at, err))
		return
	}
	l.problems = append(l.problems, fmt.Errorf("%s: %s: %w", at, key, err))
}

// pathIn returns the path in a value that names a file, and what stands before
// it. The path is empty if there is none.
func pathIn(key, value string) (before, path string) {
	if strings.HasSuffix(key, "_file") {
		return "", value
	}
	if path, ok := strings.CutPrefix(value, "sqlite:"); ok && key == "database" && !strings.HasPrefix(path, ":memory:") {
		return "sqlite:", path
	}
	return "", ""
}

// absolute returns a value with the path in it, if there is one, made absolute from
// the folder, or from the working directory if that is empty.
func absolute(folder, key, value string) string {
	before, path := pathIn(key, value)
	if path == "" || filepath.IsAbs(path) {
		return value
	}
	if folder == "" {
		var err error
		if folder, err = os.Getwd(); err != nil {
			return value
		}
	}
	return before + filepath.Join(folder, path)
}

// fromFile returns what a value of the configuration file means: there a relative
// path is relative to the file, so that a command finds the same database wherever
// it is called. If only the working directory has something at that path, the file
// was written for that; then misplaced says both.
func (l *loader) fromFile(key, value string) (meant string, misplaced error) {
	if l.folder == "" {
		return value, nil
	}
	meant = absolute(l.folder, key, value)
	if meant == value {
		return value, nil
	}
	_, here := pathIn(key, absolute("", key, value))
	_, there := pathIn(key, meant)
	_, hereErr := os.Stat(here)
	if _, thereErr := os.Stat(there); hereErr == nil && errors.Is(thereErr, fs.ErrNotExist) {
		misplaced = fmt.Errorf("there is no %s, though there is %s: a relative path in the file is relative to the file, not to where a command is called; write where it is", there, here)
	}
	return meant, misplaced
}

// take sets a value from one source. A secret may be given as a file that holds
// it, by a key that ends in _file.
func (l *loader) take(at source, key, text string) {
	if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		l.wrong(at, key, "it holds a NUL, or is not UTF-8")
		return
	}
	s, ok := l.byKey[key]
	text, misplaced := l.fromFile(key, text)
	secretFile := ""
	if base, isFile := strings.CutSuffix(key, "_file"); !ok && isFile && l.byKey[base].field.IsValid() && l.byKey[base].secret() {
		b, err := os.ReadFile(text)
		if err != nil && misplaced != nil {
			l.wrong(at, key, "%w", misplaced)
			return
		}
		if err != nil {
			// The error of the system alone: its path may be the secret itself,
			// given where its file should be.
			if failed, ok := errors.AsType[*fs.PathError](err); ok {
				err = failed.Err
			}
			l.wrong(at, key, "%s cannot be read: %w", quoted(text), err)
			return
		}
		secretFile = text
		s, text = l.byKey[base], strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		if text == "" {
			l.wrong(at, key, "the file is empty")
			return
		}
		text, misplaced = l.fromFile(s.key, text)
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
	delete(l.moved, s.key)
	if misplaced != nil {
		l.moved[s.key] = func() { l.wrong(at, key, "%w", misplaced) }
	}
	delete(l.config.secretFiles, s.key)
	if secretFile != "" {
		l.config.secretFiles[s.key] = secretFile
	}
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
	c := &Config{sources: map[string]source{}, secretFiles: map[string]string{}}
	l := &loader{config: c, byKey: map[string]setting{}, broken: map[string]bool{}, moved: map[string]func(){}}
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
				text := f.Value.String()
				if list, ok := f.Value.(pflag.SliceValue); ok {
					text = strings.Join(list.GetSlice(), ",")
				}
				l.take(source("--"+name), key, text)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.moved)) {
		l.moved[key]()
	}
	l.check()
	if err := errors.Join(l.problems...); err != nil {
		return nil, fmt.Errorf("the configuration is wrong:\n%w", err)
	}
	return c, nil
}

// PrivateFiles returns the files that only the server should read, as the
// settings name them: the master key, a SQLite database, and files that hold a
// secret.
func (c *Config) PrivateFiles() []string {
	files := slices.Collect(maps.Values(c.secretFiles))
	if c.MasterKeyFile != "" {
		files = append(files, c.MasterKeyFile)
	}
	if path, ok := strings.CutPrefix(c.Database.Reveal(), "sqlite:"); ok {
		files = append(files, path)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// serviceLinks are the variables that Kubernetes sets in every container of a
// namespace that has a service called ingam, or ingam-something (a release's
// database is often called so). INGAM_SOMETHING_PORT is not among them: it is
// what someone writes who looks for the setting, unless its value is a URL.
var serviceLinks = regexp.MustCompile(`^INGAM_(PORT(_.*)?=|([A-Z0-9_]+_)?(SERVICE_HOST=|SERVICE_PORT(_.*)?=|PORT=(tcp|udp|sctp)://|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?=))`)

// variables returns the environment's INGAM_… variables, and objects to those
// that are no setting: a misspelt one would be ignored, which is the worst that
// can happen to a setting.
func (l *loader) variables(environ []string) map[string]string {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "INGAM_") || strings.HasPrefix(name, "INGAM_TEST_") || serviceLinks.MatchString(kv) {
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
	for _, name := range slices.Sorted(maps.Keys(vars)) {
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
	absolutePath, err := filepath.Abs(path)
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("the configuration file: %w", err))
		return
	}
	l.folder = filepath.Dir(absolutePath)
	defer func() { l.folder = "" }()
	documents, err := yaml.NewLoader(bytes.NewReader(b))
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("%s: %w", path, err))
		return
	}
	var first, second yaml.Node
	err = documents.Load(&first)
	if err == nil {
		l.section(path, "", first.Content[0])
		// What stands in a second document would be ignored.
		if err = documents.Load(&second); err == nil {
			l.wrong(lineOf(path, &second), "", "a second document begins here; write one, without ---")
		}
	}
	if err != nil && err != io.EOF {
		l.problems = append(l.problems, notYAML(path, err))
	}
}

// notYAML is an error of the parser with the line it stands on. Of anchors the
// parser's message repeats the name, and a password that begins with * reads as
// one.
func notYAML(path string, err error) error {
	at, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return fmt.Errorf("%s: it is not YAML", path)
	}
	message := at.Message
	if strings.Contains(message, "anchor") {
		message = "an anchor is not known; put a value that begins with * or & in quotes"
	}
	return fmt.Errorf("%s:%d: it is not YAML: %s", path, max(at.Mark.Line, 1), message)
}

func lineOf(path string, n *yaml.Node) source { return source(fmt.Sprintf("%s:%d", path, n.Line)) }

// section reads one mapping of the file.
func (l *loader) section(path, prefix string, n *yaml.Node) {
	at := func(n *yaml.Node) source { return lineOf(path, n) }
	n = resolved(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.wrong(at(n), strings.TrimSuffix(prefix, "."), "settings are expected here, as key: value")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode {
			l.wrong(at(name), strings.TrimSuffix(prefix, "."), "a name is expected here")
			continue
		}
		key := prefix + name.Value
		if line, ok := seen[key]; ok {
			l.wrong(at(name), key, "it is given twice; first on line %d", line)
			continue
		}
		seen[key] = name.Line
		switch {
		case strings.Contains(name.Value, "."):
			// What the errors and the documentation call keys.bits is not a name
			// that the file can have, and one setting could be given in two ways.
			if s, ok := l.byKey[key]; ok {
				of, rest, _ := strings.Cut(s.key, ".")
				l.wrong(at(name), key, "write %s under %s:", rest, of)
			} else {
				l.wrong(at(name), key, "there is no such setting%s", suggest(key, l.keys()))
			}
		case l.isSection(key):
			l.section(path, key+".", value)
		case !l.known(key):
			l.wrong(at(name), key, "there is no such setting%s", suggest(key, l.keys()))
		case l.byKey[key].field.IsValid() && l.byKey[key].nested() != nil:
			l.byKey[key].nested().read(resolved(value), at, func(n *yaml.Node, format string, args ...any) { l.wrong(at(n), key, format, args...) })
			l.config.sources[key] = at(name)
		case l.byKey[key].field.IsValid() && l.byKey[key].list():
			l.list(path, name, key, resolved(value))
		default:
			if value := resolved(value); value.Kind != yaml.ScalarNode {
				l.wrong(at(value), key, "a single value is expected here")
			} else if value.ShortTag() == "!!null" {
				l.wrong(at(value), key, "it has no value; give it one or remove the line")
			} else {
				l.take(at(name), key, value.Value)
			}
		}
	}
}

// list reads a list. Each item is tried alone, so that a wrong one is named
// with its own line.
func (l *loader) list(path string, name *yaml.Node, key string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		l.wrong(lineOf(path, n), key, "a list is expected here, [] if it is empty")
		return
	}
	var items []string
	for _, item := range n.Content {
		item = resolved(item)
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" || len(split(item.Value)) != 1 {
			l.wrong(lineOf(path, item), key, "each item of the list must be a single value")
			continue
		}
		l.take(lineOf(path, item), key, item.Value)
		items = append(items, item.Value)
	}
	if !l.broken[key] {
		l.take(lineOf(path, name), key, strings.Join(items, ","))
	}
}

// resolved follows an alias to what it stands for.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
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
		d := distance(name, candidate)
		if extends(name, candidate) || extends(candidate, name) {
			// A word too many, as in INGAM_DATABASE_URL, or a section left out.
			d = min(d, 1)
		}
		if d < nearest {
			best, nearest = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// extends reports whether long is short with words before or after it. A
// variable's first word is INGAM, which every other shares.
func extends(long, short string) bool {
	words := func(s string) string {
		return "_" + strings.ReplaceAll(strings.TrimPrefix(s, "INGAM_"), ".", "_") + "_"
	}
	return long != short && (strings.HasPrefix(words(long), words(short)) || strings.HasSuffix(words(long), words(short)))
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
// without secrets, and with where each value comes from. Paths are absolute: read
// again from anywhere, they lead to the same files.
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
		value := plainOr(absolute("", s.key, s.text()))
		if s.nested() != nil {
			value = s.text()
		}
		if s.list() {
			items := split(s.text())
			for i := range items {
				items[i] = strconv.Quote(items[i])
			}
			value = "[" + strings.Join(items, ", ") + "]"
		}
		from := c.sources[s.key]
		if from == byDefault && s.byDefault == "" && !s.list() {
			from = "not set"
		}
		fmt.Fprintf(&b, "%-52s # %s\n", indent+name+": "+value, from)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plain matches what means the same to YAML with and without quotes.
var plain = regexp.MustCompile(`^[a-zA-Z0-9/][a-zA-Z0-9/_.:@?=&%+-]*[a-zA-Z0-9/_.?=&%+-]$|^[0-9]+$`)

// plainOr returns a scalar on one line, so that a comment can follow it. What
// strconv escapes in a quoted string, YAML escapes alike.
func plainOr(text string) string {
	if plain.MatchString(text) && !strings.EqualFold(text, "null") {
		return text
	}
	return strconv.Quote(text)
}
