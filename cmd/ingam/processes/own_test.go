package processes

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
)

// ingam is the path of the binary that servers run, and commands too unless a test names
// another. It is the test binary of the command, which has more functions for the tests
// here: see cmd/ingam/main_test.go.
var ingam = os.Getenv("INGAM_TEST_SERVER")

// dir contains the files of this run. plain is ingam without the race detector; it runs
// commands, in one process. A command does one thing after the other, and the detector
// makes the hash of a password take a second.
var (
	dir, plain string
	commands   = sync.OnceValue(startRunner)
)

// TestMain builds the binary, with the race detector if the tests have it.
func TestMain(m *testing.M) {
	flag.Parse()
	parallel := false
	flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
	if !parallel {
		// The tests mostly wait for other processes.
		flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	}
	// A program with the race detector sleeps for a second before it ends, and the
	// tests start hundreds of processes.
	if _, given := os.LookupEnv("GORACE"); !given {
		os.Setenv("GORACE", "atexit_sleep_ms=10")
	}
	os.Exit(storagetest.Main(prepared{m}).Run())
}

type prepared struct{ tests storagetest.Tests }

func (p prepared) Run() int {
	var err error
	if dir, err = os.MkdirTemp("", "ingam-processes"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if ingam == "" {
		ingam = filepath.Join(dir, "ingam")
		if raced() {
			plain = filepath.Join(dir, "plain", "ingam") // by its name it knows that it is the command
			err = errors.Join(build(plain), build(ingam, "-race"))
		} else {
			err = build(ingam)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "building the server: %v\n", err)
			return 1
		}
	}
	plain = cmp.Or(plain, ingam)
	// Tests can run ingam by its name, as people do.
	os.Setenv("PATH", filepath.Dir(ingam)+string(os.PathListSeparator)+os.Getenv("PATH"))
	status := p.tests.Run()
	if err := commands().end(); err != nil {
		fmt.Fprintf(os.Stderr, "the process that ran commands: %v\n", err)
		return max(1, status)
	}
	return status
}

// build builds the test binary of the command.
func build(path string, flags ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"test", "-c", "-vet=off", "-o", path}, flags, []string{"./cmd/ingam"})...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// raced reports whether this binary has the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// runner is a process that runs commands on request.
type runner struct {
	cmd *exec.Cmd
	// asks is its standard input: the process ends when that is closed.
	asks   io.Closer
	client *http.Client
	err    error
}

// startRunner starts a runner.
func startRunner() *runner {
	socket := filepath.Join(dir, "runs")
	cmd := exec.Command(plain)
	cmd.Env = append(os.Environ(), "INGAM_TEST_RUNS="+socket)
	cmd.Stderr = os.Stderr
	asks, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return &runner{err: err}
	}
	return &runner{cmd: cmd, asks: asks, client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
			for range 600 { // the process may not listen yet
				if conn, err = (&net.Dialer{}).DialContext(ctx, "unix", socket); err == nil {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			return conn, err
		},
	}}}
}

// end ends the process, and returns an error if the race detector reported something.
func (r *runner) end() error {
	if r.err != nil {
		return r.err
	}
	r.asks.Close()
	return r.cmd.Wait()
}

// run runs a command in the runner's process, with only the given environment. A new
// process would first read the dictionaries of common passwords. That takes ten times as
// long as most commands, and the tests run thousands. The scripts of cmd/ingam show that
// each command works as a process of its own.
func run(t testing.TB, environ []string, stdin string, args ...string) ended {
	t.Helper()
	r := commands()
	if r.err != nil {
		t.Fatal(r.err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	asked, err := json.Marshal(map[string]any{"Args": args, "Environ": environ, "Stdin": stdin})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://runner", bytes.NewReader(asked))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		t.Fatalf("ingam %s: %v", strings.Join(args, " "), err)
	}
	defer answer.Body.Close()
	var e struct {
		Status         int
		Stdout, Stderr string
	}
	if err := json.NewDecoder(answer.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	return ended{e.Stdout, e.Stderr, e.Status}
}
