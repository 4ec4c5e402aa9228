package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/storage"
)

// The server's own tasks, and how often they are done.
const (
	// keyInterval is how often the key rings are looked after. Which key signs
	// follows from stored times, so nothing hangs on it but when the next key is
	// published, which has days.
	keyInterval = 30 * time.Second
	// listInterval is how often it is looked which status lists are full.
	listInterval = 10 * time.Second
	// refusalInterval is how long refused sign-ins are counted together, and what a
	// crash can lose of them.
	refusalInterval = time.Minute
	// formInterval is how often addresses are looked for that an older version wrote
	// beside this one.
	formInterval = 10 * time.Minute
	// settleInterval is for how long nothing must have been written, at least, until
	// what was is brought into SQLite's file.
	settleInterval = 2 * time.Second
	// seenInterval is how often it is noted who listens; whoever was not seen for
	// three times as long is taken to be gone.
	seenInterval = 10 * time.Second
	// longestTask is how long a task may take that is done every so often. What it has
	// not come to, it does the next time.
	longestTask = 30 * time.Second
)

// startTasks starts what a server does by itself, and returns what ends it all and waits
// for it.
func (s *server) startTasks(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	task := func(interval time.Duration, name string, do func(context.Context) error) {
		running.Go(func() { every(ctx, interval, s.log, name, do) })
	}
	running.Go(func() { s.watcher.Run(ctx) })
	running.Go(func() { s.listWatcher.Run(ctx) })
	running.Go(func() { s.health.run(ctx) })
	task(keyInterval, "maintain the signing keys", s.maintainKeys)
	task(seenInterval, "note which verifiers listen", s.seeListeners)
	task(refusalInterval, "write down who was not signed in", s.signIn.WriteRefusals)
	task(settleInterval, "bring what was written into the database's file", s.store.Settle)
	task(formInterval, "renew the forms of addresses", s.store.RenewEmailForms)
	task(listInterval, "close full status lists", s.closeLists)
	task(s.cfg.Purge.Interval.Std(), "purge what has expired", s.purge)
	return func() {
		stop()
		running.Wait()
	}
}

// every calls do at the interval until ctx ends. A failure is logged, and
// tried again the next time.
func every(ctx context.Context, interval time.Duration, log *slog.Logger, task string, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		bounded, cancel := context.WithTimeout(ctx, longestTask)
		err := do(bounded)
		cancel()
		if err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "a task of the server failed and will be tried again", "task", task, "error", err)
		}
	}
}

// maintainKeys looks after the key rings, which destroys and forgets keys by the
// clock: a clock that is wrong would do it to the keys of every server.
func (s *server) maintainKeys(ctx context.Context) error {
	if err := agrees(ctx, s.cfg, s.store, s.now()); err != nil {
		return err
	}
	return s.ring.Maintain(ctx)
}

// seeListeners notes which verifiers listen here, and ends the connections of those that
// another server took over.
func (s *server) seeListeners(ctx context.Context) error {
	gone, err := s.store.SeeListeners(ctx, s.connections.IDs())
	s.connections.End(gone)
	return err
}

// closeLists closes status lists that are full, long after every process knows of it.
func (s *server) closeLists(ctx context.Context) error {
	return s.lists.Maintain(ctx, 2*s.cfg.Changes.Staleness.Std()+time.Minute)
}

// purge deletes what has expired, and what the audit log is not to keep any longer.
func (s *server) purge(ctx context.Context) error {
	now := s.now()
	if err := agrees(ctx, s.cfg, s.store, now); err != nil {
		return err
	}
	// To a server whose clock is behind, it has not expired yet.
	if _, err := s.store.Purge(ctx, now.Add(-s.cfg.Tokens.Skew.Std()), s.cfg.Purge.Batch, now.Add(-s.cfg.Changes.Retention.Std())); err != nil {
		return err
	}
	if s.cfg.Audit.Retention == 0 {
		return nil
	}
	_, err := s.store.PurgeAudit(ctx, now.Add(-s.cfg.Audit.Retention.Std()), s.cfg.Purge.Batch)
	return err
}

// writeLast writes down who was not signed in since the last time: when nobody can be
// refused any more, and before the database closes.
func (s *server) writeLast(ctx context.Context) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.signIn.WriteRefusals(bounded); err != nil {
		s.log.ErrorContext(ctx, "what is in the audit log of those who were not signed in is not complete", "error", err)
	}
}

// agrees refuses what depends on the time where this machine's clock and the
// database's are further apart than is allowed for.
func agrees(ctx context.Context, cfg *config.Config, store *storage.Store, now time.Time) error {
	clock, err := store.Clock(ctx)
	if err != nil {
		return err
	}
	// Asking takes time as well.
	if off := now.Sub(clock); off.Abs() > cfg.Tokens.Skew.Std()+5*time.Second {
		return fmt.Errorf("the clock of this machine is %s off that of the database, which is more than tokens.skew (%s): set one of them right", off.Round(time.Second), cfg.Tokens.Skew)
	}
	return nil
}
