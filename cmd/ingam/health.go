package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ingam/ingam/storage"
)

// health is what readiness depends on, apart from the freshness of the caches.
type health struct {
	*storage.Store
	log      *slog.Logger
	draining atomic.Bool
	// asking is the ping of the database that is in progress.
	asking singleflight.Group
	// unwritable is why the database cannot be written to; nil if it can.
	unwritable atomic.Pointer[string]
}

// pingTimeout is how long the database may take to answer a ping.
const pingTimeout = 5 * time.Second

// Ping checks that the database answers, with one ping for all who ask at the same
// time. Strangers can ask as often as they like, and the connections for readiness are
// shared with the watchers.
func (h *health) Ping(ctx context.Context) error {
	answer := h.asking.DoChan("", func() (any, error) {
		// The first caller may disconnect while the others still wait.
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

// writeInterval is how often a write is tried, and writeTimeout how long it may take;
// together less than 10 s. Readiness probes only read the last result, however many
// there are.
const (
	writeInterval = 5 * time.Second
	writeTimeout  = 4 * time.Second
	// rewriteInterval replaces writeInterval while writing fails.
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

// tryWriting tries to write, and logs when that begins to fail and when it works again.
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
