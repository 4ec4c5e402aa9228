//go:build !linux

package main

import "syscall"

// endedWithParent makes nothing end a child; there is no such request here.
func endedWithParent() *syscall.SysProcAttr { return nil }
