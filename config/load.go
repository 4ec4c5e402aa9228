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

// defaultFile is read if it exists and no other file is named.
const defaultFile = "ingam.yaml"

// loader reads the sources one after the other, and collects the errors, so that all
// can be reported at once.
type loader struct {
	config   *Config
	byKey    map[string]setting
	problems []error
	// broken are the keys of the settings that have errors.
	broken map[string]bool
	// folder is the folder of the configuration file while that is read, otherwise
	// empty.
	folder string
	// moved are settings of the file whose relative path exists in the working
	// directory only. Each function reports that, unless another source overrides the
	// setting.
	moved map[string]func()
}

func (l *loader) wrong(at source, key, format string, args ...any) {
	l.broken[key] = true
	if base, isFile := strings.CutSuffix(key, "_file"); isFile {
		l.broken[base] = true
	}
	err := fmt.Errorf(format, args...)
	// The source of a variable or a flag names the setting already; a line of a file
	// does not.
	if strings.HasPrefix(string(at), "INGAM_") || strings.HasPrefix(string(at), "--") || key == "" {
		l.problems = append(l.problems, fmt.Errorf("%s: %w", at, err))
		return
	}
	l.problems = append(l.problems, fmt.Errorf("%s: %s: %w", at, key, err))
}

// take sets a value from one source. For a secret the key may end in _file; the value
// is then the name of a file that contains the secret.
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
			// Report only the system's error. The path may be the secret itself, if
			// somebody has put it where the name of its file should be.
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
	// Giving a secret twice in one source is a mistake; of several sources the last one
	// wins.
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

// known reports whether a key is a setting, or names the file of a secret setting.
func (l *loader) known(key string) bool {
	base, isFile := strings.CutSuffix(key, "_file")
	s, ok := l.byKey[base]
	return l.byKey[key].field.IsValid() || isFile && ok && s.secret()
}

// Load reads the configuration. Flags, which must have been parsed, override environ,
// which overrides the file, which overrides the defaults. All errors are returned as
// one error with a line each.
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

// serviceLinks matches the variables that Kubernetes sets in every container of a
// namespace that has a service named ingam or ingam-something (the database of a
// release often has such a name). INGAM_SOMETHING_PORT is matched only if its value is
// a URL: otherwise it was written by somebody who looks for the right setting.
var serviceLinks = regexp.MustCompile(`^INGAM_(PORT(_.*)?=|([A-Z0-9_]+_)?(SERVICE_HOST=|SERVICE_PORT(_.*)?=|PORT=(tcp|udp|sctp)://|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?=))`)

// variables returns the INGAM_… variables of the environment, and reports those that
// are no setting. A misspelt one would be ignored silently.
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
