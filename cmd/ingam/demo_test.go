package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// demonstrate runs `serve --demo` in a folder, and returns what it printed.
func demonstrate(t *testing.T, dir, listen string) (s *server, printed string) {
	t.Helper()
	d := &deployment{t: t, dir: dir, binary: "ingam", issuer: "http://" + listen}
	s = &server{d: d, url: d.issuer, log: &logBuffer{}, waited: make(chan struct{})}
	stdout := &logBuffer{}
	s.cmd = exec.Command(d.binary, "serve", "--demo", "--listen", listen)
	s.cmd.Dir, s.cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	s.cmd.Stdout, s.cmd.Stderr = stdout, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.waited)
	}()
	t.Cleanup(s.kill)
	s.awaitReady()
	eventually(t, "the demonstration says what to do", time.Minute, func() bool { return strings.Contains(stdout.String(), "Ctrl-C") })
	return s, stdout.String()
}

func TestTheDemonstrationWorksByCopyingWhatItPrints(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed, which the demonstration's commands need: install it")
	}
	dir := t.TempDir()
	listen := freeAddress(t)
	s, printed := demonstrate(t, dir, listen)
	if !strings.Contains(printed, "DEMONSTRATION") || !strings.Contains(printed, "not for real use") {
		t.Errorf("it does not say that it is a demonstration:\n%s", printed)
	}
	commands := regexp.MustCompile(`(?m)^  (curl .*)$`).FindAllStringSubmatch(printed, -1)
	if len(commands) != 2 {
		t.Fatalf("%d commands in\n%s", len(commands), printed)
	}
	copied := func(i int) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", commands[i][1])
		// As a terminal in the same folder has it: nothing is set.
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", commands[i][1], err, stderr.String())
		}
		return stdout.String()
	}
	for range 2 {
		var answer struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int    `json:"expires_in"`
		}
		if err := json.Unmarshal([]byte(copied(0)), &answer); err != nil || answer.ExpiresIn != 900 || strings.Count(answer.AccessToken, ".") != 2 {
			t.Errorf("%v %+v", err, answer)
		}
		var claims map[string]any
		if err := json.Unmarshal([]byte(copied(1)), &claims); err != nil || claims["iss"] != "http://"+listen || claims["aud"] != demoAudience || claims["sub"] != demoClient {
			t.Errorf("%v %v", err, claims)
		}
		// A second start goes on with the same client and keys.
		if code := s.stop(); code != 0 {
			t.Fatalf("exit status %d", code)
		}
		s, _ = demonstrate(t, dir, listen)
	}

	err := filepath.Walk(filepath.Join(dir, demoFolder), func(path string, info os.FileInfo, err error) error {
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has the mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheDemonstrationTouchesNothingReal(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	e := d.command("", nil, "serve", "--demo")
	if e.status != failed || !strings.Contains(e.stderr, "unset database") {
		t.Errorf("%+v", e)
	}
	if _, err := os.Stat(filepath.Join(d.dir, demoFolder)); err == nil {
		t.Error("it made its folder")
	}
	if _, err := os.Stat(strings.TrimPrefix(d.database, "sqlite:")); err == nil {
		t.Error("it made the database")
	}
}
