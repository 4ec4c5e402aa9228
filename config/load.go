package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// defaultFile is read if it is there and no other is named.
const defaultFile = "ingam.yaml"

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
