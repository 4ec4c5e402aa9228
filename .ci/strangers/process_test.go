package strangers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// How long an application may take until it listens. The largest ones compile
// themselves first.
const startTime = 3 * time.Minute

// startProcess starts an application and waits until it listens on address. It ends
// with the test, together with the processes that it started; if the test failed, what
// it wrote, and is returned, is shown.
func startProcess(t testing.TB, cmd *exec.Cmd, address string) *tail {
	t.Helper()
	out := new(tail)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A grandchild that outlives its group must not hold the test.
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%s wrote:\n%s", filepath.Base(cmd.Path), out.String())
		}
	})
	for deadline := time.Now().Add(startTime); ; time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return out
		}
		select {
		case <-ended:
			t.Fatalf("%s ended before it listened: %v", filepath.Base(cmd.Path), cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen on %s", filepath.Base(cmd.Path), address)
		}
	}
}

// tail keeps the end of what a process writes.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 64 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = bytes.Clone(t.b[over:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// need fails unless the machine has the tools: a stranger that was not met is no
// success.
func need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed", tool)
		}
	}
}

// install copies the folder from to the cache and runs commands there, once: a later
// run with the same files takes what is there. It returns the folder in the cache.
//
// Commands run without a shell, in that folder.
func install(t testing.TB, from string, commands ...[]string) string {
	t.Helper()
	key := sha256.New()
	err := filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		key.Write(append([]byte(path+"\x00"), sum[:]...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		for _, arg := range command {
			key.Write([]byte(arg + "\x00"))
		}
	}
	return cached(t, filepath.Join(from, hex.EncodeToString(key.Sum(nil)[:8])), func(dir string) error {
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			return err
		}
		for _, command := range commands {
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%v: %w\n%s", command, err, out)
			}
		}
		return nil
	})
}

// cached returns the folder of that name in the cache, which fill fills the first time.
func cached(t testing.TB, name string, fill func(dir string) error) (dir string) {
	t.Helper()
	dir = filepath.Join(cacheDir(t), name)
	unlock := lock(t, dir)
	defer unlock()
	done := dir + ".installed"
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	// What an interrupted run left is no start.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := fill(dir); err != nil {
		t.Fatalf("install %s: %v", dir, err)
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// goBinary builds a command of a Go module at a version, "example.com/cmd/x@v1.2.3",
// with the dependencies that the module itself pins.
func goBinary(t testing.TB, command string) (path string) {
	t.Helper()
	dir := cached(t, filepath.Join("go", strings.ReplaceAll(command, "/", "-")), func(dir string) error {
		cmd := exec.Command("go", "install", command)
		cmd.Env = append(os.Environ(), "GOBIN="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
	built, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(built) != 1 {
		t.Fatalf("%s holds %v, not one binary: %v", dir, built, err)
	}
	return built[0]
}

// venv installs python/NAME/requirements.txt into a virtual environment, beside a copy
// of the folder's other files, and returns the folder and the environment's python.
func venv(t testing.TB, name string) (dir, python string) {
	t.Helper()
	need(t, "python3")
	dir = install(t, filepath.Join("python", name),
		[]string{"python3", "-m", "venv", "venv"},
		[]string{"venv/bin/pip", "install", "--quiet", "--requirement", "requirements.txt"})
	return dir, filepath.Join(dir, "venv", "bin", "python")
}

// npm installs node/NAME by its lock file, and runs further commands, such as a build.
func npm(t testing.TB, name string, further ...[]string) (dir string) {
	t.Helper()
	need(t, "node", "npm")
	return install(t, filepath.Join("node", name),
		append([][]string{{"npm", "ci", "--no-audit", "--no-fund", "--silent"}}, further...)...)
}

// cacheDir is where installed applications stay between runs: $INGAM_STRANGERS_CACHE,
// or a folder in the user's cache.
func cacheDir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("INGAM_STRANGERS_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "ingam-strangers")
}

// lock keeps two runs from installing into one folder.
func lock(t testing.TB, dir string) (unlock func()) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}
