//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package storage

import (
	"os"
	"path/filepath"
)

// holdFolder locks nothing here: this system cannot lock a folder.
func holdFolder(path string, _ bool) (*os.File, error) { return os.Open(filepath.Dir(path)) }
