//go:build linux && cgo && !static

package openssl

import (
	"crypto/fips140"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// again runs the test that calls it in a process of its own, with other settings.
func again(t *testing.T, settings ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	command.Env = append(os.Environ(), settings...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestInGosFIPSModeGoSigns: whoever switches it on has promised somebody that all
// signatures are made by Go's module.
func TestInGosFIPSModeGoSigns(t *testing.T) {
	t.Parallel()
	if !fips140.Enabled() {
		again(t, "GODEBUG=fips140=on")
		return
	}
	if _, err := Open(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "FIPS") {
		t.Error(err)
	}
}

// TestTheSystemsConfigurationIsNotLoaded: this one would leave OpenSSL without algorithms,
// and another could have it load any code.
func TestTheSystemsConfigurationIsNotLoaded(t *testing.T) {
	t.Parallel()
	system(t)
	if os.Getenv("OPENSSL_CONF") != "" {
		return
	}
	path := filepath.Join(t.TempDir(), "openssl.cnf")
	const text = "openssl_conf = all\n[all]\nproviders = listed\n[listed]\nnull = nothing\n[nothing]\nactivate = 1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	again(t, "OPENSSL_CONF="+path)
}
