package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/storage"
)

// How often the server's background tasks run.
const (
	// keyInterval is how often the key rings are maintained. Which key signs follows
	// from stored times; the task only publishes the next key, days before it signs.
	keyInterval = 30 * time.Second
	// chainInterval is how often the audit log is chained. What is written in between can
	// be changed without a trace until then.
	chainInterval = time.Second
	// listInterval is how often the server looks for full status lists.
	listInterval = 10 * time.Second
	// refusalInterval is how long refused sign-ins are counted in memory before they
	// are stored. A crash can lose as many.
	refusalInterval = time.Minute
	// useInterval is how long the uses of secrets are noted in memory.
	useInterval = time.Minute
	// formInterval is how often the server looks for e-mail addresses that an older
	// version wrote meanwhile.
	formInterval = 10 * time.Minute
	// settleInterval is how long nothing must have been written before the write-ahead
	// log is copied into SQLite's file.
	settleInterval = 2 * time.Second
	// seenInterval is how often the listeners of this server are recorded as seen. One
	// that was not seen for three times as long is considered gone.
	seenInterval = 10 * time.Second
	// longestTask is the longest time for one run of a task. What is left is done in
	// the next run.
	longestTask = 30 * time.Second
)

// startTasks starts the background tasks. The returned function ends them and waits for
// them.
func (s *server) startTasks(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	task := func(interval time.Duration, name string, do func(context.Context) error) {
		running.Go(func() { every(ctx, interval, s.log, name, do) })
	}
	running.Go(func() { s.watcher.Run(ctx) })
	running.Go(func() { s.listWatcher.Run(ctx) })
	running.Go(func() { s.health.run(ctx) })
	task(chainInterval, "chain the audit log", s.chain.Run)
	task(keyInterval, "maintain the signing keys", s.maintainKeys)
	task(seenInterval, "note which verifiers listen", s.seeListeners)
	task(refusalInterval, "write down who was not signed in", s.signIn.WriteRefusals)
	task(useInterval, "note which secrets of clients are used", s.authenticator.WriteUses)
	task(settleInterval, "bring what was written into the database's file", s.store.Settle)
	task(formInterval, "renew the forms of addresses", s.store.RenewEmailForms)
	task(listInterval, "close full status lists", s.closeLists)
	task(s.cfg.Purge.Interval.Std(), "purge what has expired", s.purge)
	return func() {
		stop()
		running.Wait()
	}
}

// every calls do at the interval until ctx ends. A failure is logged, and do is called
// again at the next interval.
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

// maintainKeys maintains the key rings. That destroys and forgets keys by the clock, so
// a wrong clock would do it to the keys of every server; agrees prevents this.
func (s *server) maintainKeys(ctx context.Context) error {
	if err := agrees(ctx, s.cfg, s.store, s.now()); err != nil {
		return err
	}
	return s.ring.Maintain(ctx)
}

// seeListeners records which verifiers listen here, and ends the connections of those
// that have moved to another server.
func (s *server) seeListeners(ctx context.Context) error {
	gone, err := s.store.SeeListeners(ctx, s.connections.IDs())
	s.connections.End(gone)
	return err
}

// closeLists closes full status lists, long after every process knows that they are
// full.
func (s *server) closeLists(ctx context.Context) error {
	return s.lists.Maintain(ctx, 2*s.cfg.Changes.Staleness.Std()+time.Minute)
}

// purge deletes what has expired, and audit events that are older than the setting
// allows.
func (s *server) purge(ctx context.Context) error {
	now := s.now()
	if err := agrees(ctx, s.cfg, s.store, now); err != nil {
		return err
	}
	// The skew is subtracted because on a server whose clock is behind, it has not
	// expired yet.
	if _, err := s.store.Purge(ctx, now.Add(-s.cfg.Tokens.Skew.Std()), s.cfg.Purge.Batch, now.Add(-s.cfg.Changes.Retention.Std())); err != nil {
		return err
	}
	if s.cfg.Audit.Retention == 0 {
		return nil
	}
	_, err := s.chain.Purge(ctx, now.Add(-s.cfg.Audit.Retention.Std()), s.cfg.Purge.Batch)
	return err
}

// writeLast stores the refused sign-ins that were counted since the last time, and chains
// what was written: after the last request and before the database is closed.
func (s *server) writeLast(ctx context.Context) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.signIn.WriteRefusals(bounded); err != nil {
		s.log.ErrorContext(ctx, "what is in the audit log of those who were not signed in is not complete", "error", err)
	}
	if err := errors.Join(s.chain.Run(bounded), s.chain.Release(bounded)); err != nil {
		s.log.ErrorContext(ctx, "the last events of the audit log are not chained yet: the next server will do that", "error", err)
	}
}

// agrees refuses tasks that depend on the time if the clocks of this machine and of the
// database differ by more than the allowed skew.
func agrees(ctx context.Context, cfg *config.Config, store *storage.Store, now time.Time) error {
	clock, err := store.Clock(ctx)
	if err != nil {
		return err
	}
	// The query takes time as well.
	if off := now.Sub(clock); off.Abs() > cfg.Tokens.Skew.Std()+5*time.Second {
		return fmt.Errorf("the clock of this machine is %s off that of the database, which is more than tokens.skew (%s): set one of them right", off.Round(time.Second), cfg.Tokens.Skew)
	}
	return nil
}
