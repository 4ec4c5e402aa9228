package web

import (
	"context"
	"testing"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// TestADatabaseThatHangsDoesNotHoldAStream: a stream has no end, so the question whether
// its listener may stay needs one.
func TestADatabaseThatHangsDoesNotHoldAStream(t *testing.T) {
	t.Parallel()
	bounded := true
	recorder := &storagetest.Recorder{Of: func(ctx context.Context) bool {
		_, is := ctx.Deadline()
		bounded = bounded && is
		return true
	}}
	store, err := storage.Open(t.Context(), storagetest.Migrated(t, storagetest.Engines()[0]), storage.Options{Wrap: recorder.Wrap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	bounded = true
	recorder.Take()
	registry := clients.NewRegistry(store, nil, time.Now, nil, clients.PKCERequired)
	f := feed{statuses: statuses{Statuses: Statuses{Events: authz.NewStatusEvents(nil, registry, store)}, timeout: time.Minute}, listener: listeners.Listener{ClientID: "api"}}
	if f.mayStay(t.Context()) {
		t.Error("a client that does not exist stays")
	}
	if asked := len(recorder.Take()); asked == 0 || !bounded {
		t.Errorf("%d statements, with a limit of time: %t", asked, bounded)
	}
}
