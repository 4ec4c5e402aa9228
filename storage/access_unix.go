//go:build unix

package storage

import "syscall"

// writeAccess returns why this process may not write to a path, or nil if it may. It
// does not open the file; creating says why that would be dangerous.
func writeAccess(path string) error {
	const w = 2 // W_OK of access(2)
	return syscall.Access(path, w)
}
