//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package storage

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// holdFolder locks the folder of the database at path until the returned file is
// closed. A shared lock keeps restores away; an exclusive one, if alone is set, keeps
// servers away too. The folder is locked and not the database: if the file is moved
// away, a server goes on using it, and a lock on it would no longer protect path.
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
	// Any other error means that the file system has no such locks.
	return folder, nil
}
