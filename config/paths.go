package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pathIn returns the path in a value that names a file, and the text before it. The
// path is empty if the value names no file.
func pathIn(key, value string) (before, path string) {
	if strings.HasSuffix(key, "_file") {
		return "", value
	}
	if path, ok := strings.CutPrefix(value, "sqlite:"); ok && key == "database" && !strings.HasPrefix(path, ":memory:") {
		return "sqlite:", path
	}
	return "", ""
}

// absolute makes the path in a value absolute, if there is one, starting from the
// folder, or from the working directory if folder is empty.
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

// fromFile interprets a value of the configuration file. A relative path is relative to
// the file, so that a command finds the same database from every working directory. If
// the path exists in the working directory only, the file was probably written for
// that; misplaced then names both paths.
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

// PrivateFiles returns the configured files that only the server should be able to
// read: the master key, a SQLite database, and files that contain a secret.
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
