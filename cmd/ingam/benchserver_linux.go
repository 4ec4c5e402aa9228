package main

import "syscall"

// endedWithParent makes the kernel end a child when the thread that started it ends, for
// which the parent may be killed in a way that it cannot notice.
func endedWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
