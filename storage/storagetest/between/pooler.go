package between

import (
	"bytes"
	"fmt"
	"net"
	neturl "net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// PgBouncer starts PgBouncer in transaction mode in front of a PostgreSQL database and
// returns the URL of the database through it. All clients share two connections to the
// database. The test is skipped where PgBouncer is not installed.
func PgBouncer(t testing.TB, url string) (through string) {
	t.Helper()
	binary, err := exec.LookPath("pgbouncer")
	if err != nil {
		binary, err = exec.LookPath("/usr/sbin/pgbouncer") // which not everyone has in PATH
	}
	if err != nil {
		t.Skip("install PgBouncer to run this")
	}
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	// Not t.TempDir, whose parents are for root alone: PgBouncer refuses to run as root.
	dir, err := os.MkdirTemp("", "ingam-pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	password, _ := u.User.Password()
	file := filepath.Join(dir, "pgbouncer.ini")
	err = os.WriteFile(file, fmt.Appendf(nil, `[databases]
* = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
`, u.Hostname(), u.Port(), u.User.Username(), password, port), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{file}
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		for _, path := range []string{dir, file} {
			if err := os.Chown(path, uid, -1); err != nil {
				t.Fatal(err)
			}
		}
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(binary, args...)
	var said bytes.Buffer // read when the process has ended
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			break
		}
		select {
		case <-ended:
			t.Fatalf("PgBouncer ended: %s", said.String())
		default:
		}
		if time.Since(begun) > time.Minute {
			t.Fatal("PgBouncer does not listen")
		}
	}
	u.Host = address
	return u.String()
}
