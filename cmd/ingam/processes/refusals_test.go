package processes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingam/ingam/storage/storagetest"
)

// refuses runs `serve`, which must refuse to start, and returns its message.
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
	onEachEmptyEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		secret := d.client("app")
		token := s.token("app", secret)
		s.stop()
		state := func() string { return d.state() + d.must("key", "list", "--json") }
		before := state()
		right := d.masterKey

		d.masterKey = filepath.Join(d.dir, "other.key")
		d.must("master-key", "new", "--out", d.masterKey)
		wantSaid(t, d.refuses(), "master key", d.masterKey+" is not the one")
		d.masterKey = filepath.Join(d.dir, "missing.key")
		for _, said := range []string{d.refuses(), d.command("", nil, "key", "rotate").stderr} {
			wantSaid(t, said, "there is no file "+d.masterKey, "restore the old one")
			if strings.Contains(said, "master-key new") {
				t.Errorf("it advises to make another one: %s", said)
			}
		}
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
		if after := state(); after != before {
			t.Errorf("something changed:\n%s\n%s", before, after)
		}
		if s = d.start(); !s.active("app", secret, token) {
			t.Error("with the right key, the token is not active")
		}
	})
}

func TestAMissingMasterKeyOfAServerWithoutKeysCanBeMade(t *testing.T) {
	t.Parallel()
	onEachEmptyEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		d.masterKey = filepath.Join(d.dir, "missing.key")
		advised := func() {
			t.Helper()
			wantSaid(t, d.refuses("--migrate"), "there is no file "+d.masterKey, "ingam master-key new --out "+d.masterKey)
		}
		advised()
		if file, sqlite := strings.CutPrefix(d.database, "sqlite:"); sqlite {
			if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it made a database: %v", err)
			}
		}
		d.must("migrate", "up")
		advised()
	})
}

func TestFilesThatOthersCanReadAreWarnedOf(t *testing.T) {
	t.Parallel()
	d := emptyDeployment(t, "").oneAtATime()
	database := strings.TrimPrefix(d.database, "sqlite:")
	address := filepath.Join(d.dir, "address")
	if err := os.WriteFile(address, []byte(d.database+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The server warns, and then ends by itself: it cannot listen, because its address
	// is taken.
	held, err := net.Listen("tcp", strings.TrimPrefix(d.issuer, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	warned := func() map[string]int {
		t.Helper()
		files := map[string]int{}
		for line := range strings.Lines(d.refuses("--database-file", address)) {
			var record struct{ Level, Msg, File, Mode string }
			if json.Unmarshal([]byte(line), &record) == nil && strings.Contains(record.Msg, "others have access") {
				files[record.Level+" "+record.File+" "+record.Mode]++
			}
		}
		return files
	}
	if files := warned(); len(files) > 0 {
		t.Errorf("files of their owner: %v", files)
	}
	want := map[string]int{}
	for file, mode := range map[string]os.FileMode{d.masterKey: 0o640, database: 0o604, address: 0o644} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprintf("WARN %s %04o", file, mode)] = 1
	}
	if files := warned(); !maps.Equal(files, want) {
		t.Errorf("%v, want %v", files, want)
	}
}

func TestSchemasThatDoNotFitRefuseToStart(t *testing.T) {
	t.Parallel()
	onEachEmptyEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		sqlite := strings.HasPrefix(d.database, "sqlite:")
		sendBack := func(why string) {
			t.Helper()
			for _, args := range [][]string{
				{"client", "list"}, {"api", "list"}, {"audit", "list"}, {"revoke", "--all"},
				{"key", "list"}, {"key", "rotate"}, {"key", "withdraw", "x"}, {"master-key", "reseal"},
			} {
				e := d.command("", nil, args...)
				if e.status != failed || e.stdout != "" {
					t.Errorf("%v: %+v", args, e)
				}
				wantSaid(t, e.stderr, why, "ingam migrate up")
			}
			if !sqlite {
				wantSaid(t, d.refuses(), why, "ingam migrate up", "--migrate")
			}
		}
		if sqlite {
			// Without this file, commands would say that the file is missing.
			if err := os.WriteFile(strings.TrimPrefix(d.database, "sqlite:"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sendBack("no schema yet")
		d.must("migrate", "up")

		// The schema is now one migration behind. If there was only one migration,
		// there is no schema.
		var applied []struct{ Version int64 }
		d.mustJSON(&applied, "migrate", "status")
		newest := applied[len(applied)-1].Version
		storagetest.Exec(t, d.database, fmt.Sprint("DELETE FROM goose_db_version WHERE version_id = ", newest))
		if len(applied) > 1 {
			sendBack("older schema")
		} else {
			sendBack("no schema yet")
		}
		isTrue := map[bool]string{true: "1", false: "TRUE"}[sqlite]
		storagetest.Exec(t, d.database, fmt.Sprintf("INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, %s)", newest, isTrue))
		d.must("client", "list")

		storagetest.Exec(t, d.database, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (900000, "+isTrue+")")
		if code := d.start().stop(); code != done {
			t.Errorf("a newer schema that allows this binary: exit status %d", code)
		}
		storagetest.Exec(t, d.database, "UPDATE server SET oldest_schema = 900000")
		wantSaid(t, d.refuses(), "newer schema", "run a newer binary")
		wantSaid(t, d.refuses("--migrate"), "newer schema")
		if e := d.command("", nil, "revoke", "--all"); e.status != failed {
			t.Errorf("a command on a schema that is too new: %+v", e)
		}
	})
}

func TestSQLiteIsMigratedByTheServerItself(t *testing.T) {
	t.Parallel()
	d := emptyDeployment(t, "").oneAtATime()
	s := d.start()
	if args := strings.Join(s.cmd.Args, " "); strings.Contains(args, "migrate") {
		t.Fatalf("it was told to: %s", args)
	}
	var applied []struct {
		AppliedAt *string `json:"applied_at"`
	}
	d.mustJSON(&applied, "migrate", "status")
	for i, m := range applied {
		if m.AppliedAt == nil {
			t.Errorf("migration %d was not applied", i)
		}
	}
}

func TestWhatCannotBeReachedRefusesToStart(t *testing.T) {
	t.Parallel()
	d := emptyDeployment(t, "").oneAtATime()
	held, err := net.Listen("tcp", strings.TrimPrefix(d.issuer, "http://"))
	for tries := 0; err != nil && tries < 10; tries++ { // another process was given this port meanwhile
		d.issuer = "http://" + freeAddress(t)
		held, err = net.Listen("tcp", strings.TrimPrefix(d.issuer, "http://"))
	}
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

func TestAnUnknownCommandIsNamedWhateverFlagsComeWithIt(t *testing.T) {
	t.Parallel()
	asked := func(args ...string) (int, string) {
		e := run(t, nil, "", args...)
		if e.stdout != "" {
			t.Errorf("ingam %s wrote to standard output: %s", strings.Join(args, " "), e.stdout)
		}
		return e.status, e.stderr
	}
	for _, group := range []string{
		"", "api", "client", "client secret", "user", "session", "grant", "key", "master-key", "migrate", "audit", "token", "config", "completion",
	} {
		words := strings.Fields(group)
		name := strings.TrimSpace("ingam " + group)
		for _, rest := range []string{
			"nothing", "nothing --role x", "nothing --role=x", "nothing -x", "nothing U --role", "--log-level debug nothing --role x", "nothing --help", "nothing -h",
		} {
			status, said := asked(append(words, strings.Fields(rest)...)...)
			if want := fmt.Sprintf("there is no command %q", name+" nothing"); status != misuse || !strings.Contains(said, want) {
				t.Errorf("%s %s: status %d, %s", name, rest, status, said)
			}
		}
		// Without a subcommand, the error names the flag.
		if status, said := asked(append(words, "--role", "x")...); status != misuse || !strings.Contains(said, "unknown flag: --role") {
			t.Errorf("%s --role x: status %d, %s", name, status, said)
		}
	}
	if status, said := asked("user", "create", "--rule", "x"); status != misuse || !strings.Contains(said, "unknown flag: --rule") {
		t.Errorf("a command that is there: status %d, %s", status, said)
	}
}
