package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestMain lets the test binary act as the command. The scripts here use it, and package
// processes starts it like the released binary.
func TestMain(m *testing.M) {
	// Under the race detector a program sleeps for a second when it ends, and the tests
	// run hundreds of commands.
	if _, given := os.LookupEnv("GORACE"); !given {
		os.Setenv("GORACE", "atexit_sleep_ms=10")
	}
	testscript.Main(m, map[string]func(){"ingam": command})
}

// command is main, unless a test in processes needs something that no setting offers.
func command() {
	switch {
	case os.Getenv("INGAM_TEST_ASKS") != "":
		os.Exit(serveAsking(os.Getenv("INGAM_TEST_ASKS"), os.Getenv("INGAM_TEST_CLOCK") != ""))
	case os.Getenv("INGAM_TEST_RUNS") != "":
		runForOthers(os.Getenv("INGAM_TEST_RUNS"))
	default:
		main()
	}
}

// serveAsking is serve with a Recorder of the test: it asks the test, at a socket, before
// and after each statement of a request. With clock, it also uses the test's clock.
func serveAsking(socket string, clock bool) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := &terminal{environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr, now: time.Now}
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.Flags(flags)
	cfg, err := config.Load(flags, t.environ)
	if err == nil {
		asked := storagetest.Asking(socket)
		if clock {
			t.now = asked.Now
		}
		if os.Getenv("INGAM_TEST_ASKS_OF") == "requests" {
			asked.Of = func(ctx context.Context) bool { return ctx.Value(http.ServerContextKey) != nil }
		}
		err = serveOn(ctx, t, cfg, storage.Options{Serving: true, Wrap: asked.Wrap})
	}
	if err != nil {
		io.WriteString(os.Stderr, err.Error()+"\n")
		return failed
	}
	return done
}

// serveOn is serve with other options for the database.
func serveOn(ctx context.Context, t *terminal, cfg *config.Config, with storage.Options) (err error) {
	f, err := openFoundation(ctx, t, cfg, serveOptions{migrate: true}, with)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.store.Close()) }()
	s, err := newServer(ctx, f)
	if err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	return s.run(ctx)
}

// runForOthers runs the commands that tests send to a socket, until standard input ends.
// Starting a process for each command would take much longer.
func runForOthers(socket string) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Args, Environ []string
			Stdin         string
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var stdout, stderr bytes.Buffer
		status := run(r.Context(), asked.Args, asked.Environ, strings.NewReader(asked.Stdin), &stdout, &stderr)
		json.NewEncoder(w).Encode(map[string]any{"Status": status, "Stdout": stdout.String(), "Stderr": stderr.String()})
	}))
	io.Copy(io.Discard, os.Stdin)
}
