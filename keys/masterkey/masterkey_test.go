package masterkey_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
)

func TestAPrivateKeyOpensOnlyInItsOwnRow(t *testing.T) {
	t.Parallel()
	m, _ := newMaster(t, "")
	other, _ := newMaster(t, "")
	sealed, err := m.Seal(keys.Tokens, "a", []byte("private"))
	must(t, err)
	if got, err := m.Open(keys.Tokens, "a", sealed); err != nil || string(got) != "private" {
		t.Fatalf("%q, %v", got, err)
	}
	if bytes.Contains(sealed, []byte("private")) {
		t.Error("it is not sealed")
	}
	for what, open := range map[string]func() ([]byte, error){
		"another kid":        func() ([]byte, error) { return m.Open(keys.Tokens, "b", sealed) },
		"another ring":       func() ([]byte, error) { return m.Open(keys.Refresh, "a", sealed) },
		"another master key": func() ([]byte, error) { return other.Open(keys.Tokens, "a", sealed) },
	} {
		if _, err := open(); !errors.Is(err, keys.ErrMasterKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMasterKeyFiles(t *testing.T) {
	t.Parallel()
	_, path := newMaster(t, "")
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
	before, err := os.ReadFile(path)
	must(t, err)
	if err := masterkey.Write(path, ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing file: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("an existing file was changed")
	}
	for what, content := range map[string]string{"empty": "", "not JSON": "hello", "other JSON": `{"a":1}`, "half": string(before[:len(before)/2])} {
		bad := filepath.Join(t.TempDir(), "bad.key")
		must(t, os.WriteFile(bad, []byte(content), 0o600))
		_, err := masterkey.Open(bad)
		if !errors.Is(err, keys.ErrMasterKey) {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && len(content) > 20 && strings.Contains(err.Error(), content[10:20]) {
			t.Errorf("%s: the error quotes the file", what)
		}
	}
	if _, err := masterkey.Open(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "ingam master-key new") {
		t.Errorf("a missing file: %v", err)
	}
}

// newMaster returns a master key in a new file. It also opens what the master key in the
// file from has sealed.
func newMaster(t *testing.T, from string) (*masterkey.Key, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.key")
	must(t, masterkey.Write(path, from))
	m, err := masterkey.Open(path)
	must(t, err)
	return m, path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
