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
