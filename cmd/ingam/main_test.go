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

// TestMain lets the test binary be the command, for the scripts here and for the tests
// in processes, which start it as they start the binary that is released.
func TestMain(m *testing.M) {
	// Under the race detector a program sleeps for a second as it ends, and the
	// tests run hundreds of commands.
	if _, given := os.LookupEnv("GORACE"); !given {
		os.Setenv("GORACE", "atexit_sleep_ms=10")
	}
	testscript.Main(m, map[string]func(){"ingam": command})
}

// command is main, unless a test in processes wants what no setting can do.
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

// serveAsking serves, and asks the test at a socket about each statement of a request
// before and after it reaches the database, and what time it is.
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

// serveOn is serve on a database that is opened otherwise.
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

// runForOthers runs commands for the tests at a socket, until standard input ends: many
// run so in the time of one that starts.
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
