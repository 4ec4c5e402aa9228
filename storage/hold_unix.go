//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package storage

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// holdFolder keeps restores away from the database at path for as long as what it
// returns is open or, if alone is set, servers. It is the folder that is locked: a
// server goes on using a file that was moved away, and then holds nothing at path.
// Returns ErrServing, or errRestoring.
func holdFolder(path string, alone bool) (*os.File, error) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	how, refused := syscall.LOCK_SH, errRestoring
	if alone {
		how, refused = syscall.LOCK_EX, ErrServing
	}
	err = syscall.Flock(int(folder.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		folder.Close()
		return nil, refused
	}
	// Whatever else there is, the file system has no such locks.
	return folder, nil
}
