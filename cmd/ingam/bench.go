package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/cmd/ingam/load"
	"github.com/ingam/ingam/config"
)

// The bounds of a benchmark, so that it ends.
const (
	mostConnections = 256
	mostRequests    = 10_000_000
	longestCase     = 10 * time.Minute
	mostGrants      = 10_000_000
	mostClients     = 100_000
)

// benchOptions are the flags of ingam bench.
type benchOptions struct {
	url, client, secretFile string
	pid                     int
	only                    []string
	connections, requests   int
	duration                time.Duration
	grants, clients         int
	asJSON                  bool
}

func benchCommand(t *terminal) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what requests cost",
		Long: `Measure what requests cost: how many a second are answered, how long they take, and how
much CPU time, memory and room in the database each one needs.

Without flags it measures a server that it starts for this, in a temporary folder, with
default settings. The settings are those that are given as flags: no other configuration
is read. With --database it uses that database, which must be new, and stays as it is then.

With --url it measures a running server, by what the client may do, and sends nothing to
any other host. CPU time is measured if --pid names the server's process on this machine.

CPU time is told in microseconds, in S and in own signatures. S is the CPU time of one
RSA-2048 signature by Go's standard library, measured meanwhile: it makes machines
comparable. An own signature is one in the way that the server signs;
with --url, that is taken to be with 2048 bits and by keys.engine auto.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			if o.url != "" {
				return benchRunning(t, cmd, o)
			}
			return benchOwn(t, cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "the issuer of a running server to measure, instead of starting one")
	f.StringVar(&o.client, "client", "", "with --url: the id of a client that may use client_credentials, with client_secret_basic")
	f.StringVar(&o.secretFile, "secret-file", "", "with --url: a file with the client's secret")
	f.IntVar(&o.pid, "pid", 0, "with --url: the server's process, to measure its CPU time")
	f.StringSliceVar(&o.only, "only", nil, "measure only these, separated by commas: "+strings.Join(benchNames, ", "))
	f.IntVar(&o.connections, "connections", 16, "how many requests are under way at a time")
	f.IntVar(&o.requests, "requests", 0, "how many requests to send of each kind, instead of --duration")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "how long to send requests of each kind")
	f.IntVar(&o.grants, "grants", 0, "how many grants the database has at first")
	f.IntVar(&o.clients, "clients", 0, "how many more clients the database has at first")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return cmd
}

// check refuses wrong flags before anything is done.
func (o *benchOptions) check(cmd *cobra.Command) error {
	for _, b := range []struct {
		name           string
		value          int
		fewest, utmost int
	}{
		{"connections", o.connections, 1, mostConnections}, {"requests", o.requests, 1, mostRequests},
		{"grants", o.grants, 1, mostGrants}, {"clients", o.clients, 1, mostClients}, {"pid", o.pid, 1, load.LargestPID},
	} {
		if cmd.Flags().Changed(b.name) && (b.value < b.fewest || b.value > b.utmost) {
			return usage(cmd, "--%s is from %d to %d", b.name, b.fewest, b.utmost)
		}
	}
	if o.duration < 10*time.Millisecond || o.duration > longestCase {
		return usage(cmd, "--duration is from 10ms to %s", longestCase)
	}
	if o.requests > 0 && cmd.Flags().Changed("duration") {
		return usage(cmd, "--requests and --duration do not go together")
	}
	for _, name := range o.only {
		if !slices.Contains(benchNames, name) {
			return usage(cmd, "there is nothing to measure with the name %q; there are %s", name, strings.Join(benchNames, ", "))
		}
	}
	if o.url == "" {
		return o.checkOwn(cmd)
	}
	return o.checkRunning(cmd)
}

// checkOwn refuses flags that do not go with a server that is started here.
func (o *benchOptions) checkOwn(cmd *cobra.Command) error {
	for _, name := range []string{"client", "secret-file", "pid"} {
		if cmd.Flags().Changed(name) {
			return usage(cmd, "--%s goes with --url", name)
		}
	}
	for _, name := range benchSets {
		if cmd.Flags().Changed(name) {
			return usage(cmd, "--%s cannot be chosen for a benchmark", name)
		}
	}
	return nil
}

// checkRunning refuses flags that do not go with a running server, and an address to
// which a secret must not be sent.
func (o *benchOptions) checkRunning(cmd *cobra.Command) error {
	if err := require(cmd, "client", "secret-file"); err != nil {
		return err
	}
	settings, database := settingsIn(cmd.Root().PersistentFlags())
	if len(settings) > 0 || database || o.grants > 0 || o.clients > 0 {
		return usage(cmd, "with --url the server is as it is: --grants, --clients and settings do not go with it")
	}
	u, err := url.Parse(o.url)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return usage(cmd, "--url is the issuer of a server, such as https://id.example.com")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usage(cmd, "--url begins with https://, unless the server is on this machine: the client's secret would be readable on the way")
	}
	return nil
}

// benchRunning measures a server that somebody else has started.
func benchRunning(t *terminal, cmd *cobra.Command, o benchOptions) error {
	secret, err := readSecret(o.secretFile)
	if err != nil {
		return err
	}
	b, err := newBench(t, o, "auto", 2048)
	if err != nil {
		return err
	}
	if o.pid > 0 {
		b.cpu = func() (time.Duration, error) { return load.CPU(o.pid) }
		if _, err := b.cpu(); err != nil {
			return err
		}
	}
	ctx := cmd.Context()
	s, err := findBenchTarget(ctx, o.url, o.connections)
	if err != nil {
		return err
	}
	cases, missing, err := s.visitorCases(ctx, o.client, secret)
	if err != nil {
		return err
	}
	if cases, err = chosen(cases, o.only, missing); err != nil {
		return err
	}
	for _, name := range missing {
		if len(o.only) == 0 {
			fmt.Fprintf(t.stderr, "not measured: %s\n", name)
		}
	}
	return b.run(ctx, s, cases, "the server at "+o.url)
}

// chosen returns the cases that were asked for, or all. It fails if a case is missing that
// was asked for.
func chosen(all []benchCase, only, missing []string) ([]benchCase, error) {
	if len(only) == 0 {
		return all, nil
	}
	for _, name := range only {
		for _, m := range missing {
			if name == m || strings.HasPrefix(m, name+" ") {
				return nil, fmt.Errorf("it cannot be measured here: %s", m)
			}
		}
		if !slices.ContainsFunc(all, func(c benchCase) bool { return c.name == name }) {
			return nil, fmt.Errorf("it cannot be measured here: %s", name)
		}
	}
	return slices.DeleteFunc(all, func(c benchCase) bool { return !slices.Contains(only, c.name) }), nil
}

// benchOwn starts a server, measures it, and removes all of it.
func benchOwn(t *terminal, cmd *cobra.Command, o benchOptions) (err error) {
	ctx, stop := outlive(cmd.Context())
	defer stop()
	own, err := newBenchServer(t, cmd)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, own.remove())
		if own.taken {
			fmt.Fprintln(t.stderr, "What was measured with is still in the database, which is good for nothing else.")
		}
	}()
	b, err := newBench(t, o, string(own.cfg.Keys.Engine), own.cfg.Keys.Bits)
	if err != nil {
		return err
	}
	defer b.progress.end()
	records, err := newBenchRecords(ctx, own, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.store.Close()) }()
	if err := own.start(ctx); err != nil {
		return err
	}
	s, err := findBenchTarget(ctx, own.cfg.Issuer.String(), o.connections)
	if err != nil {
		return err
	}
	if o.grants > 0 {
		if err := records.multiplyGrants(ctx, own, s, b); err != nil {
			return err
		}
	}
	b.size, b.sound = records.store.Size, own.logs
	// There may be no such clock: only Linux has one.
	if _, err := own.cpu(); !errors.Is(err, errors.ErrUnsupported) {
		b.cpu = own.cpu
	}
	if b.allocations, err = own.allocations(ctx); err != nil {
		return err
	}
	cases, err := records.cases(ctx, s)
	if err != nil {
		return err
	}
	if cases, err = chosen(cases, o.only, nil); err != nil {
		return err
	}
	if err := b.run(ctx, s, cases, "a server of its own on "+string(records.store.Engine())); err != nil {
		return own.explain(err)
	}
	return nil
}

// outlive returns a context that also ends when the terminal is closed. That, and a reader of
// the output who goes, as in "ingam bench | head", by default end a process at once: then its
// server would run on for ever, and its folder stay.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	// Not Ignore, which the server would inherit.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	stop := func() { signal.Stop(pipes) }
	if signal.Ignored(syscall.SIGHUP) { // as nohup does
		return ctx, stop
	}
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGHUP)
	return ctx, func() { cancel(); stop() }
}

// benchSets are the settings that a benchmark sets itself.
var benchSets = []string{"issuer", "listen", "metrics-listen", "master-key-file"}

// benchConfig returns the configuration of a server that is measured: the defaults, and
// the settings that were given as flags.
func benchConfig(t *terminal, cmd *cobra.Command, own []string) (*config.Config, []string, error) {
	at := *t
	at.environ = append(slices.DeleteFunc(slices.Clone(t.environ), func(kv string) bool { return strings.HasPrefix(kv, "INGAM_") }), own...)
	cfg, err := at.load(cmd, config.ForServe)
	return cfg, at.environ, err
}

// percentOf returns a part as a number of hundredths.
func percentOf(part float64) int { return int(part*100 + 0.5) }

// outcome is an error, unless ctx has ended: then it is what ended it.
func outcome(ctx context.Context, err error) error { return cmp.Or(ctx.Err(), err) }
