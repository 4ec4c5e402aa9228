package keys_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
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
	if err := keys.WriteMasterKey(path, ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing file: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("an existing file was changed")
	}
	for what, content := range map[string]string{"empty": "", "not JSON": "hello", "other JSON": `{"a":1}`, "half": string(before[:len(before)/2])} {
		bad := filepath.Join(t.TempDir(), "bad.key")
		must(t, os.WriteFile(bad, []byte(content), 0o600))
		_, err := keys.OpenMasterKey(bad)
		if !errors.Is(err, keys.ErrMasterKey) {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && len(content) > 20 && strings.Contains(err.Error(), content[10:20]) {
			t.Errorf("%s: the error quotes the file", what)
		}
	}
	if _, err := keys.OpenMasterKey(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "ingam master-key new") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestTheMasterKeyCanBeReplacedWhileItIsInUse(t *testing.T) {
	t.Parallel()
	c := newClock()
	old, oldPath := newMaster(t, "")
	store := newStore(t)
	server := keys.New(store, old, policy, c.now)
	must(t, server.Maintain(t.Context()))
	token := sign(t, server, keys.Tokens)

	both, _ := newMaster(t, oldPath)
	next := keys.New(store, both, policy, c.now)
	must(t, next.Reload(t.Context()))
	n, err := next.Reseal(t.Context(), "test")
	must(t, err)
	if n != 4 {
		t.Errorf("resealed %d keys, want 4", n)
	}
	must(t, keys.New(store, both, policy, c.now).Reload(t.Context()))
	if err := keys.New(store, old, policy, c.now).Reload(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("the old master key still opens: %v", err)
	}
	// A server that runs on with the old one has what it needs.
	must(t, server.Reload(t.Context()))
	if _, err := server.Verify(keys.Tokens, token, "at+jwt"); err != nil {
		t.Error(err)
	}
}

func TestAWrongMasterKeySealsNothing(t *testing.T) {
	t.Parallel()
	store, c := newStore(t), newClock()
	right, _ := newMaster(t, "")
	wrong, _ := newMaster(t, "")
	k := keys.New(store, right, policy, c.now)
	must(t, k.Maintain(t.Context()))
	// The next key signs now, and the one after it is to be made.
	c.pass(policy.RotateEvery + time.Second)
	if err := keys.New(store, wrong, policy, c.now).Maintain(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("error %v", err)
	}
	must(t, k.Maintain(t.Context()))
	wantStates(t, k, keys.Retired, keys.Active, keys.Published)
	sign(t, k, keys.Tokens)
}
