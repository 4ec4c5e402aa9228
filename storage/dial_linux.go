package storage

import (
	"errors"
	"strings"
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which the package syscall lacks.
const tcpUserTimeout = 0x12

// boundUnacknowledged sets how long what was sent may stay without a sign that it
// arrived. Probes of an idle connection do not tell: they are not sent while
// something is on its way, and that is sent again for a quarter of an hour.
func boundUnacknowledged(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var set error
	err := c.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unacknowledged.Milliseconds()))
	})
	return errors.Join(err, set)
}
