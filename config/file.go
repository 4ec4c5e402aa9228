package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"
)

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
		// A second document in the file would be ignored.
		if err = documents.Load(&second); err == nil {
			l.wrong(lineOf(path, &second), "", "a second document begins here; write one, without ---")
		}
	}
	if err != nil && err != io.EOF {
		l.problems = append(l.problems, notYAML(path, err))
	}
}

// notYAML returns a parser's error with its line. For anchors and aliases the parser's
// message repeats the name, and a password that begins with * is parsed as an alias.
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

// section reads one mapping of the configuration file.
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
			// Errors and the documentation write a setting with its section, as
			// keys.bits. The file must not: one setting could then be given in two
			// ways.
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

// list reads a list. Each item is checked alone, so that a wrong one is reported with
// its own line.
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

// resolved returns the node that an alias refers to.
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
