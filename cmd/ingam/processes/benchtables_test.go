package processes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ingam/ingam/storage/storagetest"
)

// BenchmarkCommand prints what ingam bench says of the release build: on each engine; how
// costs grow; and beside another server. The tables are those of docs/performance.md.
func BenchmarkCommand(b *testing.B) {
	d := &benching{t: b, binary: release(b)}
	for _, e := range storagetest.Engines() {
		once(b, "Engine/"+e.Name, func(b *testing.B) {
			d := &benching{t: b, binary: d.binary}
			fmt.Printf("\n$ ingam bench    # %s\n%s\n", e.Name, d.run("--database", e.NewURL(b)))
		})
	}
	once(b, "Growth/Connections", func(b *testing.B) {
		d.growth(b, "connections", "", []int{1, 4, 16, 64}, "token", "refresh", "introspection", "jwks")
	})
	once(b, "Growth/Clients", func(b *testing.B) {
		d.growth(b, "clients", "", []int{10, 100, 1_000, 10_000}, "token", "introspection")
	})
	for _, e := range storagetest.Engines() {
		once(b, "Growth/Grants/"+e.Name, func(b *testing.B) {
			d.growth(b, "grants", e.Name, []int{1_000, 10_000, 100_000, 1_000_000}, "code", "refresh")
		})
	}
	once(b, "Peer", func(b *testing.B) { d.beside(b) })
}

// once runs a benchmark that measures by itself how often.
func once(b *testing.B, name string, run func(b *testing.B)) {
	b.Run(name, func(b *testing.B) {
		if b.N == 1 {
			run(b)
		}
		b.ReportMetric(0, "ns/op")
	})
}

// benching runs ingam bench.
type benching struct {
	t      testing.TB
	binary string
}

// run returns what the command prints.
func (d *benching) run(args ...string) string {
	d.t.Helper()
	cmd := exec.Command(d.binary, append([]string{"bench"}, args...)...)
	cmd.Dir, cmd.Env = d.t.TempDir(), []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.Getenv("TMPDIR")}
	out, err := cmd.Output()
	if err != nil {
		message := ""
		if failed, ok := err.(*exec.ExitError); ok {
			message = string(failed.Stderr)
		}
		d.t.Fatalf("%v: %s", err, message)
	}
	return string(out)
}

// measured is what ingam bench tells of its cases, as JSON.
func (d *benching) measured(args ...string) (all []benchJSON) {
	d.t.Helper()
	mustUnmarshal(d.t, d.run(append(args, "--json")...), &all)
	return all
}

// growth prints, as a table, what cases cost with ever more of something.
func (d *benching) growth(b *testing.B, flag, engine string, values []int, cases ...string) {
	d = &benching{t: b, binary: d.binary}
	fmt.Printf("\n$ ingam bench --%s N --only %s    # %s\n\n| %s |", flag, strings.Join(cases, ","), engine, flag)
	for _, name := range cases {
		fmt.Printf(" %s: per second | CPU | p99 |", name)
	}
	fmt.Printf("\n|%s\n", strings.Repeat("---|", 1+3*len(cases)))
	for _, n := range values {
		args := []string{"--" + flag, strconv.Itoa(n), "--only", strings.Join(cases, ",")}
		for _, e := range storagetest.Engines() {
			if e.Name == engine {
				args = append(args, "--database", e.NewURL(b))
			}
		}
		fmt.Printf("| %d |", n)
		for _, r := range d.measured(args...) {
			fmt.Printf(" %.0f | %.2f S | %.1f ms |", r.Rate, *r.CPU/r.S, r.P99)
		}
		fmt.Println()
	}
}

// beside measures tokens of another server, an oidc-provider, and of this one, in turn, so
// that whatever else the machine does slows down both.
func (d *benching) beside(b *testing.B) {
	d = &benching{t: b, binary: d.binary}
	const turns, secret = 3, "abcdefghijklmnopqrstuvwxyz0123456789"
	folder, err := filepath.Abs("../testdata/peer")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "oidc-provider")); err != nil {
		b.Skip("npm's oidc-provider is not installed: run npm ci in cmd/ingam/testdata/peer, or make bench-peers")
	}
	file := filepath.Join(b.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		b.Fatal(err)
	}
	issuer, pid := startPeer(b, folder, secret)
	fmt.Println("\n| | tokens per second | CPU per token | p99 |\n|---|---|---|---|")
	for range turns {
		for _, of := range []struct {
			name string
			args []string
		}{
			{"Ingam", nil},
			{"oidc-provider, one process", []string{"--url", issuer, "--client", "app", "--secret-file", file, "--pid", strconv.Itoa(pid)}},
		} {
			r := d.measured(append(of.args, "--only", "token", "--duration", "4s")...)[0]
			fmt.Printf("| %s | %.0f | %.0f µs, %.2f S | %.1f ms |\n", of.name, r.Rate, *r.CPU, *r.CPU/r.S, r.P99)
		}
	}
}

// startPeer starts an oidc-provider that has the client app.
func startPeer(b *testing.B, folder, secret string) (issuer string, pid int) {
	b.Helper()
	cmd := exec.Command("node", "provider.mjs", "app", secret)
	cmd.Dir, cmd.Env = folder, []string{"PATH=" + os.Getenv("PATH"), "NODE_ENV=production"}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := fmt.Fscanln(out, &issuer); err != nil {
		b.Fatalf("oidc-provider does not say where it listens: %v", err)
	}
	return issuer, cmd.Process.Pid
}
