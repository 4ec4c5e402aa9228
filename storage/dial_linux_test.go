package storage_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/ingam/ingam/storage"
)

func TestConnectionsToServersNoticeThatNobodyIsThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := storage.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const tcpUserTimeout = 0x12
	for name, c := range map[string]struct{ level, option, want int }{
		"probes an idle connection":             {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		"seconds until the first probe":         {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 5},
		"milliseconds without acknowledgements": {syscall.IPPROTO_TCP, tcpUserTimeout, 5000},
	} {
		err := raw.Control(func(fd uintptr) {
			if got, err := syscall.GetsockoptInt(int(fd), c.level, c.option); err != nil || got != c.want {
				t.Errorf("%s: %d, %v", name, got, err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}
