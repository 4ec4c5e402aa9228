package load

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// rounds is how often a run pauses to measure signatures, so that other load on the machine
// slows down both alike.
const rounds = 10

// Plan says what is sent, for how long, and what is measured meanwhile.
type Plan struct {
	Wires []*Wire
	// Series has one element for each wire.
	Series []Series
	Want   Answer
	// Requests is how many requests are sent.
	Requests int
	// Duration, if not zero, ends the run although fewer requests were sent.
	Duration time.Duration
	// CPU, if set, returns the CPU time that the server has used.
	CPU func() (time.Duration, error)
	// Signers are what signatures are measured of.
	Signers []crypto.Signer
	// Progress, if set, is told which part of the run is done, from 0 to 1.
	Progress func(part float64)
}

// Result is what a run has measured.
type Result struct {
	// Elapsed and CPU are the times of all requests together.
	Elapsed, CPU time.Duration
	// Latencies are how long each request took, in ascending order.
	Latencies []time.Duration
	// Signatures are the times of one signature by each signer.
	Signatures []time.Duration
}

// Requests returns how many requests were sent.
func (r Result) Requests() int { return len(r.Latencies) }

// Rate returns how many requests were answered in a second.
func (r Result) Rate() float64 { return float64(r.Requests()) / r.Elapsed.Seconds() }

// Percentile returns the latency that a part p of the requests did not exceed.
func (r Result) Percentile(p float64) time.Duration { return Percentile(r.Latencies, p) }

// Run sends the requests. The first error ends it.
func (p Plan) Run(ctx context.Context) (r Result, err error) {
	stopwatches := make([]*stopwatch, len(p.Signers))
	for i, s := range p.Signers {
		stopwatches[i] = &stopwatch{signer: s}
	}
	defer context.AfterFunc(ctx, func() { Close(p.Wires) })()
	for round := range min(rounds, p.Requests) {
		n := p.Requests*(round+1)/min(rounds, p.Requests) - p.Requests*round/min(rounds, p.Requests)
		if err := p.round(&r, n); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return r, err
		}
		for _, s := range stopwatches {
			if err := s.measure(); err != nil {
				return r, err
			}
		}
		if p.Progress != nil {
			p.Progress(float64(round+1) / float64(min(rounds, p.Requests)))
		}
	}
	slices.Sort(r.Latencies)
	for _, s := range stopwatches {
		r.Signatures = append(r.Signatures, Percentile(slices.Sorted(slices.Values(s.took)), 0.5))
	}
	return r, nil
}

// round sends n requests, or as many as there is time for, over all wires.
func (p Plan) round(r *Result, n int) error {
	if p.CPU == nil {
		p.CPU = func() (time.Duration, error) { return 0, nil }
	}
	var until time.Time
	before, err := p.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if p.Duration > 0 {
		until = began.Add(p.Duration / rounds)
	}
	s := sending{want: p.Want, until: until}
	s.left.Store(int64(n))
	latencies, errs := make([][]time.Duration, len(p.Wires)), make([]error, len(p.Wires))
	var group sync.WaitGroup
	for i, w := range p.Wires {
		group.Go(func() {
			if latencies[i], errs[i] = s.send(w, p.Series[i]); errs[i] != nil {
				s.left.Store(0)
			}
		})
	}
	group.Wait()
	r.Elapsed += time.Since(began)
	after, err := p.CPU()
	if err != nil {
		return err
	}
	r.CPU += after - before
	for i := range p.Wires {
		if errs[i] != nil {
			return fmt.Errorf("after %d requests: %w", len(r.Latencies)+len(latencies[i]), errs[i])
		}
		r.Latencies = append(r.Latencies, latencies[i]...)
	}
	return nil
}

// sending is what the connections of a round share.
type sending struct {
	want  Answer
	left  atomic.Int64
	until time.Time // zero for no end
}

func (s *sending) send(w *Wire, of Series) (latencies []time.Duration, err error) {
	for began := time.Now(); s.left.Add(-1) >= 0 && (s.until.IsZero() || began.Before(s.until)); {
		text := of.Next()
		if text == "" {
			return latencies, nil
		}
		body, err := w.Exchange(text, s.want)
		if err != nil {
			return latencies, err
		}
		now := time.Now()
		latencies = append(latencies, now.Sub(began))
		if began = now; of.Took != nil {
			if err := of.Took(body); err != nil {
				return latencies, err
			}
			began = time.Now()
		}
	}
	return latencies, nil
}

// Percentile returns the smallest value that a part p of the sorted values does not exceed;
// zero if there are none.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	// p is a decimal fraction, which a float has only nearly.
	rank := int(p*float64(len(sorted)) + 1 - 1e-9)
	return sorted[min(max(rank, 1), len(sorted))-1]
}
