package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestProbesAtOnceAskTheDatabaseOnce: otherwise many health probes would take the
// connections with which this process learns of revocations.
func TestProbesAtOnceAskTheDatabaseOnce(t *testing.T) {
	t.Parallel()
	r := &storagetest.Recorder{}
	store, err := storage.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ingam.db"), storage.Options{Wrap: r.Wrap})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var asked atomic.Int64
	began, answers := make(chan struct{}, 100), make(chan struct{})
	r.FailWith(func(statement string) error {
		if statement == "PRAGMA schema_version" {
			asked.Add(1)
			began <- struct{}{}
			<-answers
		}
		return nil
	})
	h := &health{Store: store}
	first, hangUp := context.WithCancel(t.Context())
	hungUp := make(chan error, 1)
	go func() { hungUp <- h.Ping(first) }()
	<-began
	// The first one to ask hangs up. The others still get an answer.
	hangUp()
	if err := <-hungUp; !errors.Is(err, context.Canceled) {
		t.Errorf("the probe that hung up: %v", err)
	}
	const probes = 50
	var all sync.WaitGroup
	come := make(chan struct{}, probes)
	for range probes {
		all.Go(func() {
			come <- struct{}{}
			if err := h.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	for range probes {
		<-come
	}
	close(answers)
	all.Wait()
	// Some probes may have begun only after the answer.
	if n := asked.Load(); n > probes/2 {
		t.Errorf("the database was asked %d times", n)
	}
}
