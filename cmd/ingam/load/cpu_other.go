//go:build !linux

package load

import (
	"errors"
	"fmt"
	"time"
)

// CPU returns the CPU time that a process has used; here, it cannot, and returns an
// errors.ErrUnsupported.
func CPU(int) (time.Duration, error) {
	return 0, fmt.Errorf("the CPU time of another process can be read only on Linux: %w", errors.ErrUnsupported)
}

var start = time.Now()

// threadTime returns the time, for lack of that of a thread.
func threadTime() time.Duration { return time.Since(start) }
