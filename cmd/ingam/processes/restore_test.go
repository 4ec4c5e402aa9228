package processes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestARestoredDatabaseTakesBackWhatItNoLongerKnowsOf checks tokens after a restore. A cut
// sets an epoch to the number of its change, and a token is valid if its number is not
// lower. After a restore, the same numbers are given out again. So a token with a number
// that the database does not know must be refused: it would survive the next cut.
func TestARestoredDatabaseTakesBackWhatItNoLongerKnowsOf(t *testing.T) {
	t.Parallel()
	d := emptyDeployment(t, "")
	file := strings.TrimPrefix(d.database, "sqlite:")
	s := d.start()
	secret := d.client("app")
	old := s.token("app", secret)
	if code := s.stop(); code != done {
		t.Fatal(code)
	}
	backup, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	for range 5 {
		d.must("revoke", "--client", "app")
	}
	s = d.start()
	lost := s.token("app", secret)
	if s.active("app", secret, old) || !s.active("app", secret, lost) {
		t.Fatal("the cut does not hold")
	}
	s.kill()

	for _, path := range []string{file + "-wal", file + "-shm"} {
		os.Remove(path)
	}
	if err := os.WriteFile(filepath.Clean(file), backup, 0o600); err != nil {
		t.Fatal(err)
	}
	s = d.start()
	if s.active("app", secret, lost) {
		t.Error("a token of changes that were lost is active")
	}
	if !s.active("app", secret, old) {
		t.Error("a token from before the backup is not active")
	}
	d.must("revoke", "--client", "app")
	for what, token := range map[string]string{"from before the backup": old, "of changes that were lost": lost} {
		if s.active("app", secret, token) {
			t.Errorf("a token %s outlives the cut that was made again", what)
		}
	}
	if !s.active("app", secret, s.token("app", secret)) {
		t.Error("a new token is not active")
	}
	// The lost tokens are still refused when the database reaches their numbers again.
	d.must("revoke", "--all")
	for range 8 {
		d.must("client", "disable", "app")
		d.must("client", "enable", "app")
	}
	if s.active("app", secret, lost) || !s.active("app", secret, s.token("app", secret)) {
		t.Error("a token of changes that were lost comes back")
	}
}
