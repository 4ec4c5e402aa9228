package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ingam/ingam/storage"
)

// health is what readiness depends on, beside how fresh the copies in memory are.
type health struct {
	*storage.Store
	log      *slog.Logger
	draining atomic.Bool
	// asking is the sign of life that is being waited for.
	asking singleflight.Group
	// unwritable is why nothing can be written; nil while it can.
	unwritable atomic.Pointer[string]
}

// pingTimeout is how long the database has to give a sign of life.
const pingTimeout = 5 * time.Second

// Ping asks the database for a sign of life, once for all who ask at the same time:
// strangers can ask as often as they like, and readiness has its connections from
// those of the watchers.
func (h *health) Ping(ctx context.Context) error {
	answer := h.asking.DoChan("", func() (any, error) {
		// Whoever asked first may hang up, and the others wait on.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		return nil, h.Store.Ping(bounded)
	})
	select {
	case a := <-answer:
		return a.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *health) Draining() bool { return h.draining.Load() }

func (h *health) Unwritable() string {
	if why := h.unwritable.Load(); why != nil {
		return *why
	}
	return ""
}

// writeInterval is how often it is tried whether anything can be written, and
// writeTimeout how long that may take: together they are less than 10 s. Probes of
// readiness only read what came of it, however many there are.
const (
	writeInterval = 5 * time.Second
	writeTimeout  = 4 * time.Second
	// rewriteInterval is writeInterval while nothing can be.
	rewriteInterval = time.Second
)

// run tries to write until ctx ends.
func (h *health) run(ctx context.Context) {
	for {
		interval := writeInterval
		if h.Unwritable() != "" {
			interval = rewriteInterval
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
			h.tryWriting(ctx)
		}
	}
}

// tryWriting logs when it begins to fail, and when it does no longer.
func (h *health) tryWriting(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := h.TryWriting(bounded)
	failing := h.Unwritable() != ""
	switch {
	case ctx.Err() != nil: // the server is stopping
	case err != nil:
		why := storage.WhyUnwritable(err)
		h.unwritable.Store(&why)
		if !failing {
			h.log.ErrorContext(ctx, "cannot write to the database: "+why+"; the server is not ready until it can be written to", "error", err)
		}
	case failing:
		h.unwritable.Store(nil)
		h.log.InfoContext(ctx, "the database can be written to again")
	}
}
