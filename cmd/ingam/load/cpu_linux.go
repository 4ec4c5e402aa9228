package load

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

// CPU returns the CPU time that a process has used: of all its threads, as a user and in
// the kernel. The kernel's clock of a process has nanoseconds (clock_getcpuclockid(3));
// /proc has only hundredths of a second.
func CPU(pid int) (time.Duration, error) {
	used, err := clock(int32(^pid<<3 | 2)) // 2: CPUCLOCK_SCHED
	if err != nil {
		return 0, fmt.Errorf("the CPU time of process %d: %w", pid, err)
	}
	return used, nil
}

// threadTime returns the CPU time that the present thread has used.
func threadTime() time.Duration {
	used, err := clock(3) // CLOCK_THREAD_CPUTIME_ID
	if err != nil {
		return time.Since(start)
	}
	return used
}

var start = time.Now()

func clock(id int32) (time.Duration, error) {
	var ts syscall.Timespec
	// The id of a process's clock is negative.
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(uint32(id)), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, errno
	}
	return time.Duration(ts.Nano()), nil
}
