package processes

import (
	"math"
	"syscall"
	"testing"
	"unsafe"
)

// limitFiles limits how long files of a process can become, so that its writes fail as on
// a full disk.
func limitFiles(t *testing.T, pid int, most uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: most, Max: math.MaxUint64}
	_, _, errno := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}

func TestAServerThatHasNoRoomToWriteIsNotReady(t *testing.T) {
	t.Parallel()
	d := emptyDeployment(t, "").oneAtATime()
	s := d.start()
	secret, a := d.client("app"), d.webClient("web")
	d.user("minji")
	p := s.person()
	p.get("/login").submit("username", "minji", "password", goodPassword)
	refresh, token := a.tokens(s, p, "minji").Refresh, s.token("app", secret)
	limitFiles(t, s.cmd.Process.Pid, 512)
	wantUnavailable(t, "a refresh", a.refresh(s, refresh))
	s.awaitUnwritable("The server cannot write to its database")
	if !s.active("app", secret, token) {
		t.Error("what is only read is not answered")
	}
	limitFiles(t, s.cmd.Process.Pid, math.MaxUint64)
	s.awaitReady()
	if set := a.refresh(s, refresh).tokens(t); set.Refresh == "" {
		t.Error("the refresh token is lost")
	}
	s.wantLogged(1, "")
}
