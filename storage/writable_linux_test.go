package storage_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/ingam/ingam/storage"
)

// asNobody runs f without the rights of root, because root can write everywhere. On Linux
// each thread has its own user.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends here
		const nobody = 65534
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			t.Error(errno)
			return
		}
		f()
	}()
	<-done
}

func TestAReadOnlyFileOrFolderIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, folder os.FileMode
		want         string
	}{
		"file":   {0o444, 0o777, "the file PATH cannot be written: permission denied"},
		"folder": {0o666, 0o555, "the folder FOLDER cannot be written, and SQLite keeps files beside the database: permission denied"},
		"both":   {0o444, 0o555, "the file PATH cannot be written: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			path := filepath.Join(folder, "ingam.db")
			made := open(t, "sqlite:"+path, storage.Options{})
			if err := made.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := made.Close(); err != nil {
				t.Fatal(err)
			}
			for path, mode := range map[string]os.FileMode{path: c.file, folder: c.folder, filepath.Dir(folder): 0o755} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() { os.Chmod(folder, 0o700) })
			var err error
			asNobody(t, func() {
				var s *storage.Store
				// This context cannot be cancelled, so database/sql runs
				// statements on this thread.
				if s, err = storage.Open(context.Background(), "sqlite:"+path, storage.Options{}); err == nil {
					err = s.TryWriting(context.Background())
					s.Close()
				}
			})
			want := strings.NewReplacer("PATH", path, "FOLDER", folder).Replace(c.want)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, not %s", err, want)
			}
			if err != nil && storage.WhyUnwritable(err) != "it is read-only" {
				t.Errorf("%s: %v", storage.WhyUnwritable(err), err)
			}
		})
	}
}
