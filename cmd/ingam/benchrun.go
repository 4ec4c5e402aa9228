package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/ingam/ingam/cmd/ingam/load"
	"github.com/ingam/ingam/storage"
)

// bench measures cases, one after another.
type bench struct {
	t        *terminal
	o        benchOptions
	progress *progress
	// signers are those of the two units: S, and an own signature.
	signers []crypto.Signer
	// cpu returns the CPU time that the server has used, allocations the number of
	// objects that it has allocated, and size what is in its database. Each is nil if
	// that cannot be known.
	cpu         func() (time.Duration, error)
	allocations func(context.Context) (float64, error)
	size        func(context.Context) (storage.Size, error)
	// sound, if set, fails after a case in which the server did not do all its work.
	sound func() error
}

// newBench returns a benchmark of a server that signs with an engine, and with RSA keys of so
// many bits.
func newBench(t *terminal, o benchOptions, engine string, bits int) (*bench, error) {
	standard, err := load.StandardSigner()
	if err != nil {
		return nil, err
	}
	key := standard
	if bits != standard.N.BitLen() {
		if key, err = rsa.GenerateKey(rand.Reader, bits); err != nil {
			return nil, err
		}
	}
	own, err := engineSigner(key, engine)
	if err != nil {
		return nil, err
	}
	return &bench{t: t, o: o, progress: newProgress(t.stderr), signers: []crypto.Signer{standard, own}}, nil
}

// engineSigner returns a key that signs RS256 in the way that a server with that
// keys.engine does.
func engineSigner(key *rsa.PrivateKey, engine string) (crypto.Signer, error) {
	e, err := openEngine(engine, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return e.Signer("", key)
}

// run measures cases and prints what was measured.
func (b *bench) run(ctx context.Context, s *benchTarget, cases []benchCase, where string) error {
	defer b.progress.end()
	var results []benchResult
	for i, c := range cases {
		r, err := b.measure(ctx, s, c, fmt.Sprintf("%d of %d: %s", i+1, len(cases), c.name))
		if err != nil {
			return named(c.name, outcome(ctx, err))
		}
		results = append(results, r)
	}
	b.progress.end()
	if b.o.asJSON {
		return b.t.printJSON(results)
	}
	fmt.Fprintf(b.t.stderr, "%s, %d connections; version %s with %s, %d CPUs\n", where, b.o.connections, thisBuild().version, runtime.Version(), runtime.NumCPU())
	return printBench(b.t, results)
}

// measure measures a case.
func (b *bench) measure(ctx context.Context, s *benchTarget, c benchCase, title string) (r benchResult, err error) {
	b.progress.part(title, 0)
	plan, rate, err := b.warmUp(ctx, s, c)
	defer load.Close(plan.Wires)
	if err != nil {
		return r, err
	}
	plan.Requests, plan.Duration = b.o.requests, longestCase
	if b.o.requests == 0 {
		plan.Requests, plan.Duration = mostRequests, b.o.duration
	}
	if c.most > 0 {
		// The first requests were slower than these will be.
		plan.Requests = min(plan.Requests, c.most, max(b.o.requests, int(2*rate*b.o.duration.Seconds()), b.o.connections))
	}
	if plan.Series, err = c.ready(ctx, plan.Requests); err != nil {
		return r, err
	}
	plan.CPU, plan.Signers = b.cpu, b.signers
	plan.Progress = func(part float64) { b.progress.part(title, part) }
	before, err := b.look(ctx)
	if err != nil {
		return r, err
	}
	measured, err := plan.Run(ctx)
	if err != nil {
		return r, err
	}
	if b.sound != nil {
		if err := b.sound(); err != nil {
			return r, err
		}
	}
	after, err := b.look(ctx)
	if err != nil {
		return r, err
	}
	if b.cpu != nil && measured.Requests() > 0 && measured.CPU <= 0 {
		return r, errIdle
	}
	r = newBenchResult(c.name, b.o.connections, measured, b.cpu != nil)
	r.add(before, after, b.allocations != nil, b.size != nil)
	return r, nil
}

// errIdle: who answers requests uses CPU time.
var errIdle = errors.New("the process used no CPU time, so it is not the server: see --pid")

// warmUp opens connections and sends some requests, which fill caches and show how many are
// answered in a second.
func (b *bench) warmUp(ctx context.Context, s *benchTarget, c benchCase) (plan load.Plan, rate float64, err error) {
	plan.Want = c.want
	if plan.Wires, err = s.Dial(ctx, b.o.connections); err != nil {
		return plan, 0, err
	}
	plan.Requests = 8 * b.o.connections
	if b.o.requests > 0 {
		plan.Requests = min(plan.Requests, b.o.requests)
	}
	if plan.Series, err = c.ready(ctx, plan.Requests); err != nil {
		return plan, 0, err
	}
	warm, err := plan.Run(ctx)
	return plan, warm.Rate(), err
}

// look returns how much the server has allocated and stored.
func (b *bench) look(ctx context.Context) (seen benchState, err error) {
	if b.allocations != nil {
		if seen.allocations, err = b.allocations(ctx); err != nil {
			return seen, err
		}
	}
	if b.size != nil {
		seen.size, err = b.size(ctx)
	}
	return seen, err
}

// benchState is what a server has allocated and stored by a moment.
type benchState struct {
	allocations float64
	size        storage.Size
}
