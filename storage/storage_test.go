package storage_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// migrateURL is a variable that makes the test binary a process which only migrates a
// database.
const migrateURL = "INGAM_TEST_MIGRATE_URL"

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateURL); url != "" {
		if err := migrateOnly(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// A Store leaves no goroutine behind.
	goleak.VerifyTestMain(storagetest.Main(m))
}

func migrateOnly(url string) error {
	ctx := context.Background()
	s, err := storage.Open(ctx, url, storage.Options{})
	if err != nil {
		return err
	}
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	if err := s.CheckSchema(ctx); err != nil {
		return err
	}
	return s.Close()
}

func TestEngines(t *testing.T) {
	t.Parallel()
	for _, e := range storagetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			storagetest.Run(t, e)
		})
	}
}

// onEachEngine runs a test on each engine.
func onEachEngine(t *testing.T, test func(t *testing.T, e storagetest.Engine)) {
	for _, e := range storagetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}

// open opens a Store with options. It is closed at the end of the test.
func open(t testing.TB, url string, o storage.Options) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
