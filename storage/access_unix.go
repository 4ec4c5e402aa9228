//go:build unix

package storage

import "syscall"

// writeAccess says why this process may not write to a path. It opens nothing: see
// creating.
func writeAccess(path string) error {
	const w = 2 // W_OK of access(2)
	return syscall.Access(path, w)
}
