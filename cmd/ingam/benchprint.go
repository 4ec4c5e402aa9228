package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/ingam/ingam/cmd/ingam/load"
)

// benchResult is what was measured of a case. A nil pointer is a value that cannot be
// known.
type benchResult struct {
	Case              string  `json:"case"`
	Connections       int     `json:"connections"`
	Requests          int     `json:"requests"`
	Seconds           float64 `json:"seconds"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	// CPU is the CPU time of a request in microseconds, InS and InOwn the same in the
	// two units.
	CPU   *float64 `json:"cpu_us"`
	InS   *float64 `json:"cpu_s"`
	InOwn *float64 `json:"cpu_own_signatures"`
	// S and Own are the units, in microseconds.
	S    float64 `json:"s_us"`
	Own  float64 `json:"own_signature_us"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	// Allocations are those of one request; Rows and Bytes are those that all requests
	// together have added to the database.
	Allocations *float64 `json:"allocations"`
	Rows        *int64   `json:"rows_added"`
	Bytes       *int64   `json:"bytes_added"`
}

func newBenchResult(name string, connections int, r load.Result, cpu bool) benchResult {
	in := func(d, unit time.Duration) float64 { return float64(d) / float64(unit) }
	b := benchResult{
		Case: name, Connections: connections, Requests: r.Requests(), Seconds: r.Elapsed.Seconds(), RequestsPerSecond: r.Rate(),
		S: in(r.Signatures[0], time.Microsecond), Own: in(r.Signatures[1], time.Microsecond),
		P50: in(r.Percentile(0.5), time.Millisecond), P99: in(r.Percentile(0.99), time.Millisecond), P999: in(r.Percentile(0.999), time.Millisecond),
	}
	if cpu && b.Requests > 0 {
		each := in(r.CPU, time.Microsecond) / float64(b.Requests)
		inS, inOwn := each/b.S, each/b.Own
		b.CPU, b.InS, b.InOwn = &each, &inS, &inOwn
	}
	return b
}

// add adds what a server has allocated and stored meanwhile, as far as that is known.
func (r *benchResult) add(before, after benchState, allocations, size bool) {
	if allocations && r.Requests > 0 {
		each := max(0, after.allocations-before.allocations) / float64(r.Requests)
		r.Allocations = &each
	}
	if size {
		rows, bytes := after.size.Rows-before.size.Rows, after.size.Bytes-before.size.Bytes
		r.Rows, r.Bytes = &rows, &bytes
	}
}

// printBench prints results as a table.
func printBench(t *terminal, results []benchResult) error {
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	// Names are padded, because all columns are aligned to the right.
	wide := 0
	for _, r := range results {
		wide = max(wide, len(r.Case))
	}
	fmt.Fprintf(w, "%-*s\tREQUESTS\tPER SECOND\tCPU µs\tCPU S\tCPU OWN\tp50 ms\tp99 ms\tp99.9 ms\tALLOCATIONS\tROWS ADDED\tBYTES ADDED\t\n", wide, "CASE")
	for _, r := range results {
		fmt.Fprintf(w, "%-*s\t%d\t%.0f\t%s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%s\t%s\t%s\t\n", wide, r.Case, r.Requests, r.RequestsPerSecond,
			known(r.CPU, "%.1f"), known(r.InS, "%.3f"), known(r.InOwn, "%.3f"), r.P50, r.P99, r.P999,
			known(r.Allocations, "%.0f"), known(r.Rows, "%d"), known(r.Bytes, "%d"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var s, own float64
	for _, r := range results {
		s, own = s+r.S/float64(len(results)), own+r.Own/float64(len(results))
	}
	_, err := fmt.Fprintf(t.stdout, "S is %.0f µs, and an own signature %.0f µs, on average of the cases.\n", s, own)
	return err
}

// known formats a value, or what stands for one that cannot be known.
func known[T any](v *T, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}
