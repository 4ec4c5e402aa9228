// Package openssltest makes libraries that are not quite OpenSSL 3, for tests.
package openssltest

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

//go:embed testdata/faulty.c
var source []byte

const name = "libcrypto.so.3"

// made counts the libraries that were made, and names the copy of the system's beside each.
// Under its own name the loader would take the faulty one for it. And under one name for
// all, it would take the first copy of a process for each of them; what that one calls
// within itself goes to the faulty library that it was loaded with.
var made atomic.Int32

// Folder returns a folder with a libcrypto.so.3 that has a fault. The definitions choose it
// (see faulty.c), and everything else is the system's library; without any it is no library
// at all. The test is skipped where OpenSSL 3 is not installed.
func Folder(t testing.TB, definitions ...string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if len(definitions) == 0 {
		write(t, filepath.Join(folder, name), []byte("no library"))
		return folder
	}
	found, err := exec.CommandContext(t.Context(), "gcc", "-print-file-name="+name).Output()
	if err != nil {
		t.Fatal(err)
	}
	system, err := os.ReadFile(strings.TrimSpace(string(found)))
	if os.IsNotExist(err) {
		t.Skip("OpenSSL 3 is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	renamed := fmt.Sprintf("lib%06d.so.3", made.Add(1))
	write(t, filepath.Join(folder, renamed), bytes.ReplaceAll(system, []byte(name+"\x00"), []byte(renamed+"\x00")))
	write(t, filepath.Join(folder, "faulty.c"), source)
	arguments := []string{
		"-shared", "-fPIC", "-o", name, "faulty.c", "-L.", "-Wl,--no-as-needed", "-l:" + renamed, "-Wl,-rpath,$ORIGIN",
		`-DSYSTEM="` + renamed + `"`,
	}
	for _, d := range definitions {
		arguments = append(arguments, "-D"+d)
	}
	build := exec.CommandContext(t.Context(), "gcc", arguments...)
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return folder
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
