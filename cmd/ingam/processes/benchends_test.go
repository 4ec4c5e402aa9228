//go:build linux

package processes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBenchLeavesNoServerBehind, however it ends, and no folder unless it is killed.
func TestBenchLeavesNoServerBehind(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *os.Process) error{
		"interrupted":     func(p *os.Process) error { return p.Signal(os.Interrupt) },
		"ended":           func(p *os.Process) error { return p.Signal(syscall.SIGTERM) },
		"terminal closed": func(p *os.Process) error { return p.Signal(syscall.SIGHUP) },
		"killed":          func(p *os.Process) error { return p.Kill() },
		"nobody reads it": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			reader, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			reader.Close()
			duration := "1m"
			if end == nil {
				duration = "300ms"
			}
			bench := exec.Command(plainBinary(), "bench", "--only", "jwks", "--connections", "1", "--duration", duration)
			bench.Dir, bench.Env, bench.Stdout = dir, []string{"TMPDIR=" + dir}, out
			if err := bench.Start(); err != nil {
				t.Fatal(err)
			}
			out.Close()
			server := 0
			eventually(t, "there is a server", 10*time.Second, func() bool {
				server = childOf(bench.Process.Pid)
				return server > 0
			})
			if end != nil {
				// Some way into the run.
				time.Sleep(200 * time.Millisecond)
				if err := end(bench.Process); err != nil {
					t.Fatal(err)
				}
			}
			if err := bench.Wait(); err == nil {
				t.Error("it succeeded")
			}
			eventually(t, "the server has ended", 30*time.Second, func() bool { return syscall.Kill(server, 0) != nil })
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 && name != "killed" {
				t.Errorf("it leaves %q", left)
			}
		})
	}
}

// childOf returns a child of a process; 0 if there is none.
func childOf(parent int) int {
	lists, _ := filepath.Glob("/proc/" + strconv.Itoa(parent) + "/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		if child, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return child
		}
	}
	return 0
}
