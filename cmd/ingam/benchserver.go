package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/cmd/ingam/load"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys/masterkey"
)

// benchServer is a server that is started to be measured: this binary, in a process of its
// own, with all that it writes in a temporary folder.
type benchServer struct {
	folder  string
	cfg     *config.Config
	environ []string
	// settings are the flags that it is started with.
	settings      []string
	givenDatabase bool
	// taken says that there are records of the benchmark in a database that was given.
	taken bool

	process *exec.Cmd
	ended   chan struct{}
}

// newBenchServer makes the folder and the master key. It does not start the server.
func newBenchServer(t *terminal, cmd *cobra.Command) (s *benchServer, err error) {
	folder, err := os.MkdirTemp("", "ingam-bench-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(folder)
		}
	}()
	s = &benchServer{folder: folder}
	listen, err1 := freeAddress()
	measures, err2 := freeAddress()
	// An empty file, so that one that lies in the working directory is not read.
	none, master := filepath.Join(s.folder, "ingam.yaml"), filepath.Join(s.folder, "master.key")
	if err := errors.Join(err1, err2, os.WriteFile(none, nil, 0o600), masterkey.Write(master, "")); err != nil {
		return nil, err
	}
	s.cfg, s.environ, err = benchConfig(t, cmd, []string{
		"INGAM_CONFIG=" + none, "INGAM_ISSUER=http://" + listen, "INGAM_LISTEN=" + listen, "INGAM_METRICS_LISTEN=" + measures,
		"INGAM_MASTER_KEY_FILE=" + master, "INGAM_DATABASE=sqlite:" + filepath.Join(s.folder, "ingam.db"),
	})
	if err != nil {
		return nil, err
	}
	s.settings, s.givenDatabase = settingsIn(cmd.Root().PersistentFlags())
	// Not as a flag, which everyone on the machine could read.
	s.environ = append(s.environ, "INGAM_DATABASE="+s.cfg.Database.Reveal())
	return s, nil
}

// settingsIn returns the settings that were given as flags, and whether the database was
// among them, which is left out.
func settingsIn(flags *pflag.FlagSet) (settings []string, database bool) {
	flags.VisitAll(func(f *pflag.Flag) {
		switch {
		case !f.Changed:
			return
		case f.Name == "database" || f.Name == "database-file":
			database = true
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			settings = append(settings, "--"+f.Name+"="+v)
		}
	})
	return settings, database
}

// freeAddress returns an address of this machine on which nothing listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// start starts the server and waits until it is ready.
func (s *benchServer) start(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = exec.Command(binary, append([]string{"serve"}, s.settings...)...)
	s.process.Args[0] = os.Args[0]
	s.process.SysProcAttr = endedWithParent()
	s.process.Env, s.process.Stdout, s.process.Stderr = s.environ, log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func(process *exec.Cmd) {
		process.Wait()
		close(ended)
	}(s.process)
	s.ended = ended
	deadline := time.After(time.Minute)
	for {
		if _, _, err := getOnce(ctx, s.cfg.Issuer.String()+"/health/ready", maxDocument); err == nil {
			return nil
		}
		select {
		case <-ended:
			return s.explain(errors.New("the server that is to be measured does not start"))
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return s.explain(errors.New("the server that is to be measured does not get ready"))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *benchServer) log() string { return filepath.Join(s.folder, "server.log") }

// logs fails if the server cannot log. It answers all the same then, and faster than it
// would otherwise.
func (s *benchServer) logs() error {
	log, err := os.OpenFile(s.log(), os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = log.WriteString("\n")
		err = errors.Join(err, log.Close())
	}
	if err != nil {
		return fmt.Errorf("the server cannot log what it does: %w", err)
	}
	return nil
}

// stop ends the server, and waits for its end.
func (s *benchServer) stop() {
	if s.process == nil {
		return
	}
	// There are no signals to others on Windows.
	if runtime.GOOS == "windows" || s.process.Process.Signal(syscall.SIGTERM) != nil {
		s.process.Process.Kill()
	}
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		s.process.Process.Kill()
		<-s.ended
	}
	s.process = nil
}

// remove ends the server and removes the folder.
func (s *benchServer) remove() error {
	s.stop()
	return os.RemoveAll(s.folder)
}

// explain adds to an error what the server said last, if that was no record of a request.
func (s *benchServer) explain(err error) error {
	text, _ := os.ReadFile(s.log())
	last := ""
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, `"level":"INFO"`) {
			last = line
		}
	}
	if last == "" {
		return err
	}
	return fmt.Errorf("%w; the last that it reported: %s", err, last)
}

// cpu returns the CPU time that the server has used.
func (s *benchServer) cpu() (time.Duration, error) { return load.CPU(s.process.Process.Pid) }

// allocations returns a function that returns how many objects the server has allocated,
// not counting those that it allocates to answer that question.
func (s *benchServer) allocations(ctx context.Context) (func(context.Context) (float64, error), error) {
	asked, each := 0.0, 0.0
	ask := func(ctx context.Context) (float64, error) {
		body, _, err := getOnce(ctx, "http://"+s.cfg.Metrics.Listen+"/metrics", maxDocument)
		if err != nil {
			return 0, err
		}
		all, err := metric(body, "go_memstats_mallocs_total")
		asked++
		return all - (asked-1)*each, err
	}
	// The first answers allocate more than later ones.
	var before, after float64
	for range 3 {
		var err error
		before = after
		if after, err = ask(ctx); err != nil {
			return nil, err
		}
	}
	each = after - before
	return ask, nil
}

// metric returns the value of a metric without labels.
func metric(text []byte, name string) (float64, error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("the server has no metric %s", name)
}

// alone is an HTTP client that follows nobody elsewhere: neither redirects nor a proxy.
var alone = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: false},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       10 * time.Second,
}

// getOnce returns a document, on a connection of its own, and its ETag.
func getOnce(ctx context.Context, url string, limit int64) (body []byte, etag string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := alone.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// Not resp.Status: its text is the server's, and could control the terminal.
		return nil, "", fmt.Errorf("GET %s: %d %s", url, resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit))
	return body, resp.Header.Get("ETag"), err
}
