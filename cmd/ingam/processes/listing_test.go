package processes

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
)

// manyGrants stores 2 to the power of n grants of minji to app, without a server.
func manyGrants(t *testing.T, d *deployment, n int) {
	t.Helper()
	u := d.user("minji")
	d.client("app")
	storagetest.Exec(t, d.database, `
		INSERT INTO grants (id, client_id, user_id, session_id, scopes, audiences, auth_ms, amr, offline, user_epoch, client_epoch, server_epoch,
		                    created_ms, expires_ms, generation, rotated_ms, refresh_iat_ms, refresh_exp_ms, refresh_kid, refresh_version, revoked_why)
		VALUES ('g', 'app', '`+u.ID+`', '', '["openid","profile","read"]', '["https://api.test"]', 0, '[]', 1, 1000, 1000, 1000,
		        1, `+"4102444800000"+`, 1, 0, 0, 4102444800000, '', 1, '')`)
	storagetest.DoubleGrants(t, d.database, n)
}

// TestAListOfMillionsTakesNoMoreMemory checks that a list of all grants is printed while
// it is read, as JSON and for people.
func TestAListOfMillionsTakesNoMoreMemory(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.must("migrate", "up")
	manyGrants(t, d, 15)
	binary := plainBinary()
	// peak runs a listing command, and returns how many lines it printed and the most
	// memory that it used.
	peak := func(args ...string) (lines, kib int) {
		t.Helper()
		cmd := exec.Command(binary, args...)
		cmd.Dir, cmd.Env, cmd.Stderr = d.dir, d.environ(), os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The peak that wait(2) returns is not used: it includes the memory of
		// this process, from before the new program was started in it.
		look := func() {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if _, high, ok := strings.Cut(string(status), "VmHWM:"); ok {
				fmt.Sscan(high, &kib)
			}
		}
		for scan := bufio.NewScanner(out); scan.Scan(); lines++ {
			if lines%1000 == 0 {
				look()
			}
		}
		if err := cmd.Wait(); err != nil || kib == 0 {
			t.Fatal(err)
		}
		return lines, kib
	}
	for _, args := range [][]string{{"grant", "list"}, {"grant", "list", "--json"}} {
		// A thousand lines do not fit into the pipe. So the command still runs
		// while its memory is read.
		_, few := peak(append(args, "--limit", "1000")...)
		lines, all := peak(append(args, "--all")...)
		// Each grant takes 2 KB if all of them are held in memory.
		if lines < 1<<15 || all-few > 24<<10 {
			t.Errorf("%s: %d KiB for 1000, %d KiB for all (%d lines)", strings.Join(args, " "), few, all, lines)
		}
	}

	// By default only the newest hundred are listed, and a message says so.
	var list []grantJSON
	e := d.command("", nil, "grant", "list", "--json")
	if err := json.Unmarshal([]byte(e.stdout), &list); err != nil || len(list) != 100 || e.status != done {
		t.Errorf("%v, %d", err, len(list))
	}
	wantSaid(t, e.stderr, "the newest grants (100)", "--all", "--limit")
	if list[0].Username != "minji" || list[0].ClientName != "app" || list[0].ClientID != "app" {
		t.Errorf("%+v", list[0])
	}

	// The command ends if its output is closed, for example by head.
	cmd := exec.Command(binary, "grant", "list", "--all")
	cmd.Dir, cmd.Env = d.dir, d.environ()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timeout.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "ID ") {
		t.Errorf("%q, %v", line, err)
	}
	out.Close()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		t.Errorf("it ended with %v", err)
	}
}
