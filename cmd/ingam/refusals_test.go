package main

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingam/ingam/storage/storagetest"
)

// refuses runs `serve`, which has to refuse, and returns what it says.
func (d *deployment) refuses(args ...string) string {
	d.t.Helper()
	e := d.command("", []string{"INGAM_LISTEN=" + strings.TrimPrefix(d.issuer, "http://")}, append([]string{"serve"}, args...)...)
	if e.status != failed {
		d.t.Errorf("exit status %d\n%s", e.status, e.stderr)
	}
	return e.stderr
}

func wantSaid(t *testing.T, said string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("it does not say %q but\n%s", w, said)
		}
	}
}

func TestAWrongMasterKeyRefusesToStartAndChangesNothing(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s := d.start()
		secret := d.client("app")
		token := s.token("app", secret)
		s.stop()
		before := d.state()
		right := d.masterKey

		d.masterKey = filepath.Join(d.dir, "other.key")
		d.must("master-key", "new", "--out", d.masterKey)
		wantSaid(t, d.refuses(), "master key", "is not the one")
		d.masterKey = filepath.Join(d.dir, "missing.key")
		wantSaid(t, d.refuses(), "there is no file "+d.masterKey, "ingam master-key new")
		d.masterKey = filepath.Join(d.dir, "broken.key")
		if err := os.WriteFile(d.masterKey, []byte(`{"primaryKeyId":1,"key":[{"keyData":"hunter2"}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		said := d.refuses()
		wantSaid(t, said, "is not a master key file")
		if strings.Contains(said, "hunter2") {
			t.Error("it repeats the file")
		}

		d.masterKey = right
		if after := d.state(); after != before {
			t.Errorf("something changed:\n%s\n%s", before, after)
		}
		if s = d.start(); !s.active("app", secret, token) {
			t.Error("with the right key, not as before")
		}
	})
}

func TestSchemasThatDoNotFitRefuseToStart(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		sqlite := strings.HasPrefix(d.database, "sqlite:")
		e := d.command("", nil, "client", "list")
		if e.status != failed {
			t.Errorf("without a schema: %+v", e)
		}
		wantSaid(t, e.stderr, "no schema yet", "ingam migrate up")
		if !sqlite {
			wantSaid(t, d.refuses(), "no schema yet", "ingam migrate up", "--migrate")
		}
		d.must("migrate", "up")
		storagetest.Exec(t, d.database, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (900000, "+map[bool]string{true: "1", false: "TRUE"}[sqlite]+")")
		if code := d.start().stop(); code != done {
			t.Errorf("a newer schema that allows this binary: exit status %d", code)
		}
		storagetest.Exec(t, d.database, "UPDATE server SET oldest_schema = 900000")
		wantSaid(t, d.refuses(), "newer schema", "run a newer binary")
		wantSaid(t, d.refuses("--migrate"), "newer schema")
		if e := d.command("", nil, "revoke", "--all"); e.status != failed {
			t.Errorf("a command on a schema that is too new: %+v", e)
		}
		storagetest.Exec(t, d.database, "UPDATE server SET oldest_schema = 1")
		storagetest.Exec(t, d.database, "DELETE FROM goose_db_version WHERE version_id > 0")
		if !sqlite {
			wantSaid(t, d.refuses(), "ingam migrate up")
		}
	})
}

func TestWhatCannotBeReachedRefusesToStart(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	held, err := net.Listen("tcp", strings.TrimPrefix(d.issuer, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	wantSaid(t, d.refuses(), "listen", "in use")
	held.Close()
	for _, scheme := range []string{"postgres", "mysql"} {
		u := url.URL{Scheme: scheme, User: url.UserPassword("ingam", "hunter2"), Host: freeAddress(t), Path: "/ingam"}
		d.database = u.String()
		said := d.refuses()
		wantSaid(t, said, "opening the database")
		if strings.Contains(said, "hunter2") {
			t.Errorf("it tells the password: %s", said)
		}
	}
	d.database = "sqlite:" + d.dir
	wantSaid(t, d.refuses(), "is a folder")
	d.database = "sqlite:" + d.masterKey
	wantSaid(t, d.refuses(), "SQLite")
}
