// Package migrations contains the database schema: one folder of SQL files per engine,
// embedded in the binary. Package storage runs them; it owns the order, the locking,
// and the answer to "may this binary use this database".
//
//	migrate up, serve → storage.Migrate → FS(engine), one file after the other
//
// A version means the same on every engine, and its file has the same name. Each file
// begins with what it is for. A released file is never edited; another one changes what
// it created.
//
// Old and new binaries run side by side during an upgrade. So while a binary in use
// does not know a file, that file may only add: a table, or a column that may be left
// out on insert. What removes something comes a release later and raises
// server.oldest_schema, after which older binaries refuse to start. So does the first
// signing key that older binaries cannot read.
//
// PostgreSQL and SQLite run a file in a transaction. MySQL commits after every
// statement that changes the schema. So a MySQL file must work when it is run again
// from the top, after a crash half way through.
package migrations

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed sqlite/*.sql postgres/*.sql mysql/*.sql
var files embed.FS

// FS returns the SQL files of one engine: "sqlite", "postgres" or "mysql".
func FS(engine string) (fs.FS, error) {
	if _, err := fs.Stat(files, engine); err != nil {
		return nil, fmt.Errorf("migrations: no files for an engine called %q", engine)
	}
	return fs.Sub(files, engine)
}

// File is one migration.
type File struct {
	Version int64
	// Name is the name of the file without its version and extension.
	Name string
}

// List returns the migrations in a folder, in the order of their versions.
func List(folder fs.FS) ([]File, error) {
	// Glob returns names in order, and the versions are zero-padded.
	names, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	list := make([]File, 0, len(names))
	for _, n := range names {
		digits, name, _ := strings.Cut(strings.TrimSuffix(path.Base(n), ".sql"), "_")
		v, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || v < 1 {
			return nil, fmt.Errorf("migrations: %s does not begin with a version", n)
		}
		list = append(list, File{Version: v, Name: name})
	}
	return list, nil
}

// Latest returns the version of the last file in a folder.
func Latest(folder fs.FS) (int64, error) {
	list, err := List(folder)
	if err != nil {
		return 0, err
	}
	if len(list) == 0 {
		return 0, fmt.Errorf("migrations: the folder is empty")
	}
	return list[len(list)-1].Version, nil
}
