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

// TestAListOfMillionsTakesNoMoreMemory: a list of all grants, as JSON or for people, is
// printed while it is read.
func TestAListOfMillionsTakesNoMoreMemory(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.must("migrate", "up")
	manyGrants(t, d, 15)
	binary := plainBinary()
	// peak runs a listing command, and returns how many lines it printed and its
	// greatest use of memory.
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
		// Not what wait(2) tells: there the peak of this process counts, which forked.
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
		// A thousand are more than the pipe holds, so that there is time to look.
		_, few := peak(append(args, "--limit", "1000")...)
		lines, all := peak(append(args, "--all")...)
		// They were 2 KB each in memory.
		if lines < 1<<15 || all-few > 24<<10 {
			t.Errorf("%s: %d KiB for 1000, %d KiB for all (%d lines)", strings.Join(args, " "), few, all, lines)
		}
	}

	// The newest hundred, and a word about the rest.
	var list []grantJSON
	e := d.command("", nil, "grant", "list", "--json")
	if err := json.Unmarshal([]byte(e.stdout), &list); err != nil || len(list) != 100 || e.status != done {
		t.Errorf("%v, %d", err, len(list))
	}
	wantSaid(t, e.stderr, "the newest grants (100)", "--all", "--limit")
	if list[0].Username != "minji" || list[0].ClientName != "app" || list[0].ClientID != "app" {
		t.Errorf("%+v", list[0])
	}

	// Whoever looks at the first lines and goes ends it.
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
