package migrations_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/migrations"
)

var engines = []string{"sqlite", "postgres", "mysql"}

func TestTheEnginesMarchInStep(t *testing.T) {
	t.Parallel()
	var first []migrations.File
	for _, engine := range engines {
		folder, err := migrations.FS(engine)
		if err != nil {
			t.Fatal(err)
		}
		list, err := migrations.List(folder)
		if err != nil {
			t.Fatal(err)
		}
		latest, err := migrations.Latest(folder)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range list {
			if f.Version != int64(i+1) {
				t.Errorf("%s: version %d in place %d", engine, f.Version, i+1)
			}
		}
		if latest != int64(len(list)) {
			t.Errorf("%s: the latest is %d of %d", engine, latest, len(list))
		}
		if first == nil {
			first = list
		}
		if diff := cmp.Diff(first, list); diff != "" {
			t.Errorf("%s: -%s +%s:\n%s", engine, engines[0], engine, diff)
		}
	}
}

func TestEachFileExplainsItself(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		folder, err := migrations.FS(engine)
		if err != nil {
			t.Fatal(err)
		}
		err = fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(folder, path)
			if !strings.HasPrefix(string(text), "-- ") || strings.HasPrefix(string(text), "-- +goose") {
				t.Errorf("%s/%s does not begin with what it is for", engine, path)
			}
			if !strings.Contains(string(text), "\n-- +goose Up\n") {
				t.Errorf("%s/%s has no Up", engine, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMySQLStatementsCanBeRepeated: MySQL commits after each statement that changes the
// schema. So it must be possible to run a file again from the top.
func TestMySQLStatementsCanBeRepeated(t *testing.T) {
	t.Parallel()
	folder, err := migrations.FS("mysql")
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(folder, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "-- +goose NO TRANSACTION\n") {
			t.Errorf("%s pretends to be a transaction", name)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "CREATE TABLE ") && !strings.HasPrefix(line, "CREATE TABLE IF NOT EXISTS ") ||
				strings.HasPrefix(line, "INSERT ") && !strings.HasPrefix(line, "INSERT IGNORE ") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

func TestAnUnknownEngineHasNoFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"oracle", "", "..", "sqlite/.."} {
		if _, err := migrations.FS(name); err == nil {
			t.Errorf("%q has files", name)
		}
	}
}
