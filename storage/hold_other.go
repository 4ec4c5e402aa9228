//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package storage

import (
	"os"
	"path/filepath"
)

// holdFolder does nothing where a folder cannot be locked.
func holdFolder(path string, _ bool) (*os.File, error) { return os.Open(filepath.Dir(path)) }
