//go:build !quick

package strangers

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestRustOpenIDConnect is the flow of the crate's documentation.
func TestRustOpenIDConnect(t *testing.T) {
	s := meet(t, "openidconnect (Rust)", "4.0.1")
	need(s, "cargo")
	address, app := s.place()
	c := s.client(app + "/callback")
	dir := install(s, filepath.Join("rust", "openidconnect"), []string{"cargo", "build", "--quiet"})
	s.run(exec.Command(filepath.Join(dir, "target", "debug", "app")), address, c, "ADDRESS="+address, "APP="+app)
	s.knows(s.person().open(app + "/login").body)
}
